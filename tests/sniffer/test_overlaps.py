"""Flows that two networks have, and that carry something else in each."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.headers import udp_frame
from bystander.sniffer.frames import PAD, Frames
from bystander.sniffer.overlaps import Overlaps
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.separation import KINDS

PHONE, PBX = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


def rtp(seq: int, ssrc: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 8, seq & 0xFFFF, seq * 160, ssrc) + bytes(160)


def frame(vlan: int, payload: bytes, src: tuple[str, int] = PHONE, dst: tuple[str, int] = PBX) -> bytes:
    plain = udp_frame(src, dst, payload)
    return plain[:12] + struct.pack("!HH", 0x8100, vlan) + plain[12:] if vlan else plain


def seen(frames: list[bytes]) -> Overlaps:
    overlaps, parser = Overlaps(), FrameParser(KINDS)
    for start in range(0, len(frames), 7):
        part = frames[start : start + 7]
        sizes = np.array([len(one) for one in part], np.int64)
        data = np.frombuffer(b"".join(part) + bytes(PAD), np.uint8)
        times = np.arange(len(part), dtype=np.int64)
        for datagrams in parser.parse(Frames(data, np.cumsum(sizes) - sizes, sizes, sizes, times)).datagrams:
            overlaps.feed(datagrams)
    overlaps.settle()
    return overlaps


def test_two_streams_of_one_address_in_two_vlans() -> None:
    found = seen([frame(vlan, rtp(seq, vlan)) for seq in range(9) for vlan in (10, 20)])
    assert (found.networks, found.flows, found.kinds) == (["vlan 10", "vlan 20"], 1, ["vlan"])
    untagged = seen([frame(vlan, rtp(seq, vlan + 1)) for seq in range(9) for vlan in (0, 20)])
    assert (untagged.networks, untagged.kinds) == (["", "vlan 20"], ["vlan"])


@pytest.mark.parametrize("lost", [0, 5])
def test_copies_are_none(lost: int) -> None:
    frames = [frame(vlan, rtp(seq, 1)) for seq in range(9) for vlan in (10, 20)]
    assert seen(frames[lost:]).flows == 0


def test_one_network_to_an_address_is_none() -> None:
    there = [frame(10, rtp(seq, 1)) for seq in range(9)]
    back = [frame(20, rtp(seq, 2), PBX, PHONE) for seq in range(9)]
    assert seen(there + back).networks == []


def test_too_few_prove_nothing_and_other_traffic_is_everywhere() -> None:
    assert seen([frame(vlan, rtp(seq, vlan)) for seq in range(2) for vlan in (10, 20)]).flows == 0
    dhcp = [
        frame(vlan, bytes([1, 1, 6, 0, vlan, n]) + bytes(240), ("0.0.0.0", 68), ("255.255.255.255", 67))
        for n in range(9)
        for vlan in (10, 20)
    ]
    assert seen(dhcp).flows == 0


@given(st.lists(st.tuples(st.sampled_from((0, 10, 20, 30)), st.integers(0, 40)), max_size=80))
def test_what_is_found_is_so(sent: list[tuple[int, int]]) -> None:
    """Against sets: three or more different packets in two networks, and none in more than one."""
    found = seen([frame(vlan, rtp(seq, 1)) for vlan, seq in sent])
    by_vlan: dict[int, set[int]] = {}
    for vlan, seq in sent:
        by_vlan.setdefault(vlan, set()).add(seq)
    alone = sum(map(len, by_vlan.values())) == len(set().union(*by_vlan.values()))
    enough = {vlan for vlan, numbers in by_vlan.items() if len(numbers) >= 3}
    expected = sorted(f"vlan {vlan}" if vlan else "" for vlan in enough)
    assert found.networks == (expected if alone and len(enough) > 1 else [])
