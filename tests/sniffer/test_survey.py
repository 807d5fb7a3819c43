"""What a mirror shows of itself, on frames of every kind."""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from bystander.sniffer.frames import LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, LINKTYPE_RAW, PAD, Frames
from bystander.sniffer.survey import Survey


def frames_of(raws: list[bytes], linktype: int = LINKTYPE_ETHERNET, cut: int | None = None) -> Frames:
    """A block of frames; ``cut`` is a snap length."""
    kept = [raw[:cut] for raw in raws]
    sizes = np.array([len(raw) for raw in kept], np.int64)
    data = np.frombuffer(b"".join(kept) + bytes(PAD), np.uint8)
    lengths = np.array([len(raw) for raw in raws], np.int64)
    return Frames(data, np.cumsum(sizes) - sizes, sizes, lengths, np.arange(len(raws)) * 1000, linktype)


def survey(raws: list[bytes], **options: object) -> Survey:
    made = Survey()
    made.feed(frames_of(raws, **options))  # type: ignore[arg-type]
    return made


def packet(payload: bytes = b"hello", *, dst: str = "02:00:00:00:00:02", tags: tuple[int, ...] = ()) -> bytes:
    layers = Ether(src="02:00:00:00:00:01", dst=dst)
    for tag in tags:
        layers /= Dot1Q(vlan=tag)
    return bytes(layers / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=4000, dport=4002) / Raw(payload))


def test_destinations_by_kind() -> None:
    group = packet(dst="01:00:5e:00:00:01")
    seen = survey([packet(), packet(dst="02:00:00:00:00:03"), group, packet(dst="ff:ff:ff:ff:ff:ff")])
    assert seen.casts == {"unicast": 2, "multicast": 1, "broadcast": 1}
    assert len(seen.stations) == 2


@given(st.lists(st.lists(st.integers(0, 4095), max_size=3).map(tuple), min_size=1, max_size=20))
def test_stacks_of_tags(stacks: list[tuple[int, ...]]) -> None:
    seen = survey([packet(tags=tags) for tags in stacks])
    assert sum(seen.vlans.values()) == len(stacks)
    assert seen.vlans == {tags: stacks.count(tags) for tags in stacks}
    assert seen.ethertypes == {"IPv4": len(stacks)}
    assert seen.ip_checked == len(stacks) and seen.ip_bad == 0


def test_the_tag_that_the_kernel_took_off_is_the_outer_one() -> None:
    block = frames_of([packet(tags=(120,)), packet()])
    block.vlan = np.array([7, -1])
    seen = Survey()
    seen.feed(block)
    assert seen.vlans == {(7, 120): 1, (): 1}


def test_checksums_right_wrong_and_absent() -> None:
    good = packet(b"odd")
    wrong = good[:-1] + b"!"
    absent = good[:40] + bytes(2) + good[42:]
    broken = good[:22] + b"\x01" + good[23:]  # the time to live, and so the header's sum
    seen = survey([good, wrong, absent, broken])
    assert (seen.ip_checked, seen.ip_bad) == (4, 1)
    assert (seen.udp_checked, seen.udp_bad) == (2, 1)
    assert seen.udp_bad_from == {"10.0.0.1": 1}


@given(st.binary(max_size=60))
def test_every_right_checksum_is_right(payload: bytes) -> None:
    seen = survey([packet(payload)])
    assert (seen.ip_bad, seen.udp_bad, seen.udp_checked) == (0, 0, 1)


def test_cut_frames_and_long_ones() -> None:
    seen = survey([packet(bytes(400)), packet(bytes(1500)), packet()], cut=96)
    assert seen.truncated == 2
    assert seen.longer == 1


def test_time_that_runs_backwards() -> None:
    seen = Survey()
    for times in ([0, 10, 5], [3, 20]):
        block = frames_of([packet()] * len(times))
        block.time_ns = np.array(times, np.int64)
        seen.feed(block)
    assert seen.backwards == 2


def test_other_links() -> None:
    cooked = struct.pack("!HHH8sH", 0, 1, 6, bytes(8), 0x0800) + packet()[14:]
    assert survey([cooked], linktype=LINKTYPE_LINUX_SLL).ip_checked == 1
    assert survey([packet()[14:]], linktype=LINKTYPE_RAW).frames == 1


@given(
    st.lists(st.binary(max_size=80), max_size=10), st.sampled_from([LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL])
)
def test_nothing_captured_raises(raws: list[bytes], linktype: int) -> None:
    assert survey(raws, linktype=linktype).frames == len(raws)


@given(st.integers(0, 100))
def test_a_frame_cut_anywhere(cut: int) -> None:
    assert survey([packet(bytes(40), tags=(1, 2))], cut=cut).frames == 1
