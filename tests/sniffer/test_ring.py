"""The live ring, on real veth pairs in network namespaces (root), and the walk through a block (no root)."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer import ring as ring_module
from bystander.sniffer.errors import CaptureError
from bystander.sniffer.frames import LINKTYPE_ETHERNET, LINKTYPE_RAW, PAD, Frames
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.realm import realm_of
from bystander.sniffer.ring import BLOCK_BYTES, Ring, RingStatistics, record_words

CLONE_NEWNET = 0x40000000
#: Far above the 20 ms in which the kernel hands a block over; reached only when it never does.
PATIENCE_S = 30.0
_numbers = itertools.count()


MAC_AND_NET = 82 | 96 << 16
NOW_S = 1_700_000_000


def header(distance: int, at_s: int = NOW_S) -> bytes:
    """The words of a tpacket3_hdr that the walk reads."""
    return struct.pack("=7I", distance, at_s, 5, 100, 100, 1, MAC_AND_NET)


def block_of(sizes: list[int], filling: bytes = bytes(8), first: int = 48) -> tuple[np.ndarray, list[int]]:
    """Words of a block whose records have these sizes, as the kernel chains them, and where each begins.

    ``filling`` is what lies behind each header and in the rest of the block, again and again.
    """
    distances = [(82 + size + 7) & ~7 for size in sizes]
    starts = [first + sum(distances[:i]) for i in range(len(sizes))]
    size = first + sum(distances)
    block = bytearray((filling * (size // len(filling) + 1))[:size])
    for start, distance in zip(starts, distances, strict=True):
        block[start : start + 28] = header(distance if start != starts[-1] else 0)
    return np.frombuffer(block, np.uint8).view(np.uint32), starts


SIZES = st.lists(st.integers(0, 1600), min_size=1, max_size=200)


class TestWalk:
    @given(
        st.lists(
            st.tuples(st.sampled_from([0, 60, 214, 215, 1514]), st.sampled_from([1, 2, 31, 32, 33, 200])),
            min_size=1,
            max_size=6,
        )
    )
    def test_every_record_is_found_in_runs_and_between_them(self, runs: list[tuple[int, int]]) -> None:
        sizes = [size for size, times in runs for _ in range(times)]
        block, starts = block_of(sizes)
        assert (4 * record_words(block, 12, len(starts))).tolist() == starts

    @given(SIZES, st.binary(min_size=8, max_size=200))
    def test_mixed_sizes(self, sizes: list[int], filling: bytes) -> None:
        block, starts = block_of(sizes, filling)
        found = record_words(block, 12, len(starts))
        assert (4 * found).tolist() == starts
        assert found.dtype == np.int64

    @given(SIZES)
    def test_headers_left_over_in_gaps_are_not_records(self, sizes: list[int]) -> None:
        block, starts = block_of(sizes, filling=header(40, at_s=NOW_S - 1) + bytes(12))
        assert (4 * record_words(block, 12, len(starts))).tolist() == starts

    @given(SIZES)
    def test_forged_headers_in_payloads_are_not_records(self, sizes: list[int]) -> None:
        """Somebody who puts ring headers into a packet costs the walk its speed and no more."""
        block, starts = block_of(sizes, filling=header(40, at_s=NOW_S + 1) + bytes(12))
        assert (4 * record_words(block, 12, len(starts))).tolist() == starts

    def test_a_clock_that_steps_back_loses_no_record(self) -> None:
        block, starts = block_of([100, 200] * 50, filling=header(40, at_s=NOW_S - 1) + bytes(12))
        for start in starts[50:]:
            block[start // 4 + 1] = NOW_S - 3600
        assert (4 * record_words(block, 12, len(starts))).tolist() == starts

    def test_the_fast_ways_are_taken(self) -> None:
        """Wrong guesses would only be slow, and so be seen by nobody."""
        equal, starts = block_of([214] * 100)
        assert ring_module._equal_records(equal, 12, len(starts)) is not None
        mixed, starts = block_of([214, 60, 1514] * 100, filling=header(40, at_s=NOW_S - 1) + bytes(12))
        assert ring_module._equal_records(mixed, 12, len(starts)) is None
        assert ring_module._recognised_records(mixed, 12, len(starts)) is not None


def command(*words: str) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


@dataclass
class Wire:
    """A veth pair in a namespace of its own: ``switch`` is the sending end, ``mirror`` the recorder's."""

    namespace: str

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Run in the namespace; sockets opened here stay in it."""
        libc = ctypes.CDLL(None, use_errno=True)
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.namespace}", os.O_RDONLY)
        try:
            assert libc.setns(there, CLONE_NEWNET) == 0
            yield
        finally:
            assert libc.setns(home, CLONE_NEWNET) == 0
            os.close(home)
            os.close(there)

    def ip(self, *words: str) -> str:
        return command("ip", "-n", self.namespace, *words)

    def link(self, interface: str) -> dict[str, object]:
        answer = self.ip("-d", "-s", "-j", "link", "show", interface)
        found: dict[str, object] = json.loads(answer)[0]
        return found

    def pair(self) -> None:
        self.ip("link", "add", "switch", "type", "veth", "peer", "name", "mirror")
        for end in ("switch", "mirror"):
            self.ip("link", "set", end, "up")

    def sender(self, interface: str = "switch") -> socket.socket:
        with self.inside():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            sock.bind((interface, 0))
        return sock

    def ring(self, interface: str = "mirror", **options: object) -> Ring:
        with self.inside():
            return Ring(interface, **options)  # type: ignore[arg-type]


@pytest.fixture
def wire() -> Iterator[Wire]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    name = f"ring-{os.getpid()}-{next(_numbers)}"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
    try:
        wire = Wire(name)
        with wire.inside():
            # The kernel's own neighbour discovery must not be taken for something the recorder sent.
            for scope in ("all", "default"):
                setting = Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
                if setting.exists():
                    setting.write_text("1")
        wire.pair()
        yield wire
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def udp(payload: bytes, port: int = 4000, ethertypes: tuple[int, ...] = (), fragment: int = 0) -> bytes:
    """An Ethernet frame to a foreign address, so that only a promiscuous interface would take it."""
    tags = b"".join(struct.pack("!HH", ethertype, 100) for ethertype in ethertypes)
    link = bytes.fromhex("02000000aaaa 02000000bbbb") + tags + b"\x08\x00"
    size = 28 + len(payload)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 1, fragment, 64, 17, 0, bytes(4), bytes(4))
    return link + ip + struct.pack("!HHHH", port, port, 8 + len(payload), 0) + payload


def contents(frames: Frames) -> list[bytes]:
    assert (frames.offset + PAD <= len(frames.data)).all()
    assert (frames.captured <= frames.length).all()
    pairs = zip(frames.offset.tolist(), frames.captured.tolist(), strict=True)
    return [frames.data[start : start + size].tobytes() for start, size in pairs]


def receive(ring: Ring, enough: Callable[[list[bytes]], bool]) -> list[bytes]:
    """Take frames until there are enough, or patience ends."""
    poll = select.poll()
    poll.register(ring, select.POLLIN)
    taken: list[bytes] = []
    deadline = time.monotonic() + PATIENCE_S
    while not enough(taken) and time.monotonic() < deadline:
        poll.poll(50)
        for frames in ring.ready():
            taken += contents(frames)
    return taken


def wait(ring: Ring) -> None:
    poll = select.poll()
    poll.register(ring, select.POLLIN)
    assert poll.poll(PATIENCE_S * 1000)


def until(condition: Callable[[], bool]) -> bool:
    """Whether it comes true: the kernel spreads the news of a carrier at its leisure."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def send(sender: socket.socket, ring: Ring, frames: list[bytes]) -> None:
    """Send frames no faster than the kernel takes them: a virtual cable holds only so many."""
    for start in range(0, len(frames), 100):
        part = frames[start : start + 100]
        counted = ring.statistics().packets + len(part)
        for frame in part:
            sender.send(frame)
        assert until(lambda wanted=counted: ring.statistics().packets == wanted)  # type: ignore[misc]


def handed_over(ring: Ring) -> bool:
    """Whether the block that comes next is the taker's."""
    word = ring._next * ring_module._WORDS_PER_BLOCK + ring_module._STATUS
    return bool(ring._words[word] & ring_module.TP_STATUS_USER)


def at_least(count: int) -> Callable[[list[bytes]], bool]:
    return lambda taken: len(taken) >= count


class TestCapture:
    def test_every_frame_arrives_intact_in_order_and_nothing_is_sent(self, wire: Wire) -> None:
        sent = [udp(struct.pack("!I", i) * (1 + i % 300)) for i in range(20_000)]
        taken: list[bytes] = []
        with wire.sender() as sender, wire.ring() as ring:
            for at in range(0, len(sent), 1000):
                send(sender, ring, sent[at : at + 1000])
                taken += receive(ring, lambda _: True)
                for frames in ring.ready():
                    taken += contents(frames)
            taken += receive(ring, at_least(len(sent) - len(taken)))
            assert taken == sent
            assert ring.linktype == LINKTYPE_ETHERNET
            assert ring.statistics() == RingStatistics(packets=len(sent), drops=0, freezes=0)
        assert wire.link("mirror")["stats64"]["tx"]["packets"] == 0  # type: ignore[index]

    def test_a_frame_can_be_read_past_its_end_in_the_last_block_too(
        self, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Round and round a small ring: the padding behind its very last frames is not the ring's."""
        # Every block is filled to its end, however slowly.
        monkeypatch.setattr(ring_module, "RETIRE_MS", 600_000)
        sent: list[bytes] = []
        taken: list[bytes] = []
        copied = 0
        with wire.sender() as sender, wire.ring(ring_bytes=2 * BLOCK_BYTES) as ring:
            while copied < 3 and len(sent) < 10_000:
                batch = [udp(struct.pack("!I", len(sent) + i) * 350) for i in range(100)]
                send(sender, ring, batch)
                sent += batch
                for frames in ring.ready():
                    taken += contents(frames)
                    copied += frames.data.base is None
            assert ring.statistics().drops == 0
        assert copied == 3
        assert taken == sent[: len(taken)]

    def test_times_are_utc_and_rise(self, wire: Wire) -> None:
        with wire.sender() as sender, wire.ring() as ring:
            before = time.time_ns()
            times: list[int] = []
            for i in range(3):
                sender.send(udp(bytes([i])))
                wait(ring)
                times += [at for frames in ring.ready() for at in frames.time_ns.tolist()]
            after = time.time_ns()
        assert len(times) == 3
        assert [before, *times, after] == sorted([before, *times, after])

    def test_c25_one_frame_does_not_wait_for_a_block_to_fill(self, wire: Wire) -> None:
        with wire.sender() as sender, wire.ring() as ring:
            sender.send(udp(b"alone"))
            wait(ring)
            assert [contents(frames) for frames in ring.ready()] == [[udp(b"alone")]]

    def test_c25_promiscuous_from_open_to_close(self, wire: Wire) -> None:
        assert wire.link("mirror")["promiscuity"] == 0
        with wire.ring():
            assert wire.link("mirror")["promiscuity"] == 1
        assert wire.link("mirror")["promiscuity"] == 0

    def test_promiscuous_mode_ends_though_frames_are_still_held(self, wire: Wire) -> None:
        with wire.sender() as sender, wire.ring() as ring:
            sender.send(udp(b"held"))
            wait(ring)
            held = list(ring.ready())
        assert wire.link("mirror")["promiscuity"] == 0
        assert contents(held[0]) == [udp(b"held")]  # the memory is still there

    def test_outgoing_frames_are_ignored(self, wire: Wire) -> None:
        with wire.sender() as sender, wire.sender("mirror") as own, wire.ring() as ring:
            own.send(udp(b"sent by this machine"))
            sender.send(udp(b"mirrored"))
            assert receive(ring, at_least(1)) == [udp(b"mirrored")]

    def test_vlan_tags(self, wire: Wire) -> None:
        """The kernel takes the outermost 802.1Q or 802.1ad tag out of the bytes; all others stay."""
        with wire.sender() as sender, wire.ring() as ring:
            for ethertypes in ((0x8100,), (0x88A8, 0x8100), (0x9100,)):
                sender.send(udp(b"tagged", ethertypes=ethertypes))
            assert receive(ring, at_least(3)) == [
                udp(b"tagged"),
                udp(b"tagged", ethertypes=(0x8100,)),
                udp(b"tagged", ethertypes=(0x9100,)),
            ]

    def test_jumbo_frames_are_whole(self, wire: Wire) -> None:
        for end in ("switch", "mirror"):
            wire.ip("link", "set", end, "mtu", "9000")
        with wire.sender() as sender, wire.ring() as ring:
            sender.send(udp(bytes(range(250)) * 35))
            assert receive(ring, at_least(1)) == [udp(bytes(range(250)) * 35)]

    def test_noise_that_is_not_ip_never_enters_the_ring(self, wire: Wire) -> None:
        arp = bytes.fromhex("ffffffffffff 02000000bbbb 0806") + bytes(46)
        with wire.sender() as sender, wire.ring() as ring:
            sender.send(arp)
            sender.send(udp(b"after"))
            assert receive(ring, at_least(1)) == [udp(b"after")]
            assert ring.statistics().packets == 1

    def test_c1_the_kernel_admits_fragments_and_tags_in_spite_of_a_filter_by_port(self, wire: Wire) -> None:
        wanted = [
            udp(b"sip", port=5060),
            udp(b"in a vlan", port=5060, ethertypes=(0x8100,)),
            udp(b"in two", port=5060, ethertypes=(0x88A8, 0x8100)),
            udp(b"in three", port=5060, ethertypes=(0x88A8, 0x8100, 0x9100)),
            udp(b"a later fragment", fragment=185),
        ]
        with wire.sender() as sender, wire.ring(user_filter="udp port 5060") as ring:
            for frame in [udp(b"other"), *wanted, udp(b"other", ethertypes=(0x8100, 0x8100))]:
                sender.send(frame)
            sender.send(udp(b"end", port=5060))
            taken = receive(ring, at_least(6))
        payloads = [frame[frame.index(b"\x45\x00") + 28 :] for frame in taken]
        assert payloads == [b"sip", b"in a vlan", b"in two", b"in three", b"a later fragment", b"end"]

    def test_a_filter_by_vlan_reads_the_tag_the_kernel_has_removed(self, wire: Wire) -> None:
        with wire.sender() as sender, wire.ring(user_filter="vlan 100 and udp port 4000") as ring:
            sender.send(udp(b"untagged"))
            sender.send(udp(b"100", ethertypes=(0x8100,)))
            assert receive(ring, at_least(1)) == [udp(b"100")]

    def test_everything_is_admitted_with_the_tags_told(self, wire: Wire) -> None:
        """For the doctor: what is not IP, and the outer tag, which the kernel takes out of the bytes."""
        arp = bytes.fromhex("ffffffffffff 02000000bbbb 0806") + bytes(46)
        with wire.sender() as sender, wire.ring(everything=True, user_filter="udp port 5060") as ring:
            for frame in (arp, udp(b"plain"), udp(b"in two", ethertypes=(0x88A8, 0x8100))):
                sender.send(frame)
            poll = select.poll()
            poll.register(ring, select.POLLIN)
            seen: list[tuple[int, int]] = []
            deadline = time.monotonic() + PATIENCE_S
            while len(seen) < 3 and time.monotonic() < deadline:
                poll.poll(50)
                for frames in ring.ready():
                    assert frames.vlan is not None
                    seen += zip(frames.vlan.tolist(), frames.captured.tolist(), strict=True)
        assert [vlan for vlan, _ in seen] == [-1, -1, 100]
        assert seen[2][1] == len(udp(b"in two")) + 4  # the inner tag is in the bytes

    def test_the_realm_of_a_frame_is_the_tag_that_the_kernel_took_off(self, wire: Wire) -> None:
        """To tell networks with one address plan apart, the recorder needs the tag, and nothing but IP."""
        arp = bytes.fromhex("ffffffffffff 02000000bbbb 0806") + bytes(46)
        parser = FrameParser(("vlan",))
        seen: list[str] = []
        with wire.sender() as sender, wire.ring(vlans=True) as ring:
            for frame in (arp, udp(b"plain"), udp(b"tagged", ethertypes=(0x8100,)), udp(b"plain")):
                sender.send(frame)
            poll = select.poll()
            poll.register(ring, select.POLLIN)
            deadline = time.monotonic() + 20
            while len(seen) < 3 and time.monotonic() < deadline:
                poll.poll(50)
                for frames in ring.ready():
                    for found in parser.parse(frames).datagrams:
                        seen += [realm_of(found.endpoints(i)[0][0]) for i in range(len(found))]
        assert seen == ["", "vlan 100", ""]

    def test_the_filter_is_locked(self, wire: Wire) -> None:
        with wire.ring() as ring:
            sock = socket.socket(fileno=os.dup(ring.fileno()))
            with sock, pytest.raises(PermissionError):
                sock.setsockopt(socket.SOL_SOCKET, 27, 0)  # SO_DETACH_FILTER


class TestOverload:
    def test_drops_are_counted_and_none_is_silent(self, wire: Wire) -> None:
        count = 4 * BLOCK_BYTES // 1000
        with wire.sender() as sender, wire.ring(ring_bytes=2 * BLOCK_BYTES) as ring:
            send(sender, ring, [udp(bytes(958))] * count)
            received = sum(len(frames) for frames in ring.last() if frames is not None)
            statistics = ring.statistics()
            assert statistics.packets == count
            assert statistics.drops > 0
            assert statistics.freezes > 0
            assert received + statistics.drops == count
            assert ring.statistics() == statistics  # reading resets the kernel's counters, not these
            sender.send(udp(b"room again"))
            assert receive(ring, at_least(1))[-1] == udp(b"room again")
        assert ring.statistics().packets == count + 1

    def test_a_block_stays_with_its_taker_until_the_next_is_asked_for(self, wire: Wire) -> None:
        with wire.sender() as sender, wire.ring(ring_bytes=2 * BLOCK_BYTES) as ring:
            sender.send(udp(b"first"))
            wait(ring)
            ready = ring.ready()
            held = next(ready)
            # Three blocks' worth: the other block fills up, and the held one must not be overwritten.
            send(sender, ring, [udp(bytes(958))] * (3 * BLOCK_BYTES // 1000))
            assert contents(held) == [udp(b"first")]
            assert len(next(ready)) > 100
            ready.close()
            assert ring.statistics().drops > 0
            sender.send(udp(b"last"))
            assert receive(ring, at_least(1))[-1] == udp(b"last")

    def test_one_call_takes_no_more_than_a_round_of_the_ring(self, wire: Wire) -> None:
        """A wire that is faster than the taker must not keep it in one loop for ever."""
        with wire.sender() as sender, wire.ring(ring_bytes=2 * BLOCK_BYTES) as ring:
            blocks = 0
            sender.send(udp(b"go"))
            wait(ring)
            for _ in ring.ready():
                blocks += 1
                sender.send(udp(b"another block"))
                assert until(lambda: handed_over(ring))
            assert blocks == 2

    def test_at_the_end_everything_that_the_kernel_has_taken_is_given(
        self, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However late it hands its block over: what it owes is known, not guessed from a time."""
        monkeypatch.setattr(ring_module, "RETIRE_MS", 600_000)
        with wire.sender() as sender, wire.ring() as ring:
            send(sender, ring, [udp(b"one"), udp(b"two")])
            last = ring.last()
            assert next(last) is None
            assert next(last) is None
            # More than fits into the block: only now is it handed over.
            send(sender, ring, [udp(bytes(958))] * (BLOCK_BYTES // 900))
            (block,) = list(last)
            assert block is not None
            assert contents(block)[:3] == [udp(b"one"), udp(b"two"), udp(bytes(958))]

    def test_a_kernel_that_never_hands_over_is_not_waited_for_for_ever(
        self, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ring_module, "RETIRE_MS", 600_000)
        with wire.sender() as sender, wire.ring() as ring:
            send(sender, ring, [udp(b"stuck")])
            assert list(ring.last()) == [None] * ring_module._MOMENTS


class TestLink:
    def test_an_interface_that_goes_down_is_noted_once_and_resumed(self, wire: Wire) -> None:
        poll = select.poll()
        with wire.sender() as sender, wire.ring() as ring:
            poll.register(ring, select.POLLIN)
            assert until(lambda: ring.link_up)
            wire.ip("link", "set", "mirror", "down")
            assert poll.poll(PATIENCE_S * 1000)
            assert list(ring.ready()) == []
            assert not poll.poll(0), "the ring would keep its event loop spinning"
            assert not ring.link_up
            assert ring.link_losses == 1
            wire.ip("link", "set", "mirror", "up")
            assert until(lambda: ring.link_up)
            sender.send(udp(b"back"))
            assert receive(ring, at_least(1)) == [udp(b"back")]
            assert ring.link_losses == 1

    def test_a_lost_carrier_is_seen(self, wire: Wire) -> None:
        with wire.ring() as ring:
            wire.ip("link", "set", "switch", "down")
            assert until(lambda: not ring.link_up)
            assert ring.link_losses == 0  # the interface itself is up

    def test_an_interface_that_is_removed_and_made_again_is_bound_again(self, wire: Wire) -> None:
        poll = select.poll()
        with wire.ring() as ring:
            poll.register(ring, select.POLLIN)
            wire.ip("link", "del", "mirror")
            assert list(ring.ready()) == []
            assert list(ring.ready()) == []
            assert not poll.poll(0)
            assert not ring.link_up
            wire.pair()
            assert list(ring.ready()) == []
            assert wire.link("mirror")["promiscuity"] == 1
            with wire.sender() as sender:
                sender.send(udp(b"new wire"))
                assert receive(ring, at_least(1)) == [udp(b"new wire")]
            assert ring.link_losses == 1

    def test_closing_after_the_interface_is_gone(self, wire: Wire) -> None:
        ring = wire.ring()
        wire.ip("link", "del", "mirror")
        ring.close()
        ring.close()
        assert not ring.link_up
        assert list(ring.ready()) == []
        assert ring.statistics() == RingStatistics(0, 0, 0)

    def test_a_ring_closed_in_mid_block_ends_its_iterators(self, wire: Wire) -> None:
        with wire.sender() as sender, wire.ring() as ring:
            sender.send(udp(b"one"))
            wait(ring)
            ready = ring.ready()
            assert len(next(ready)) == 1
            ring.close()
            assert list(ready) == []


class TestRefusals:
    def refusal(self, wire: Wire, interface: str = "mirror", **options: object) -> str:
        with pytest.raises(CaptureError) as caught:
            wire.ring(interface, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_no_such_interface_lists_those_there_are(self, wire: Wire) -> None:
        message = self.refusal(wire, "eth77")
        assert "no such interface: eth77" in message
        assert "mirror" in message
        assert "switch" in message

    @pytest.mark.parametrize("name", ["", "x" * 40, "a\0b", "no/such", "é\udcff"])
    def test_names_no_interface_can_have(self, wire: Wire, name: str) -> None:
        assert "no such interface" in self.refusal(wire, name)

    def test_interface_down(self, wire: Wire) -> None:
        wire.ip("link", "set", "mirror", "down")
        assert "ip link set mirror up" in self.refusal(wire)

    def test_wrong_filter(self, wire: Wire) -> None:
        assert "syntax error" in self.refusal(wire, user_filter="prot 5060")
        assert wire.link("mirror")["promiscuity"] == 0

    def test_a_filter_the_kernel_cannot_run(self, wire: Wire) -> None:
        # protochain compiles to a loop, which libpcap runs itself and the kernel refuses.
        assert "the kernel refuses" in self.refusal(wire, user_filter="ip6 protochain 17")

    @pytest.mark.parametrize("ring_bytes", [1 << 40, 1 << 60])
    def test_ring_too_large(self, wire: Wire, ring_bytes: int) -> None:
        message = self.refusal(wire, ring_bytes=ring_bytes)
        assert f"{ring_bytes >> 20} MiB" in message
        assert "smaller" in message

    def test_no_permission(self, wire: Wire) -> None:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setresuid(65534, 65534, 65534)
                Ring("lo")
            except CaptureError as error:
                os.write(writer, str(error).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as answer:
            message = answer.read()
        os.waitpid(child, 0)
        assert "CAP_NET_RAW" in message
        assert "\n" not in message

    def test_not_linux(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ring_module.sys, "platform", "darwin")
        with pytest.raises(CaptureError, match="Linux"):
            Ring("en0")

    def test_an_interface_without_link_header_is_raw_ip(self, wire: Wire) -> None:
        made = subprocess.run(
            ["ip", "-n", wire.namespace, "tuntap", "add", "tun0", "mode", "tun"],
            check=False,
            capture_output=True,
        )
        if made.returncode:
            pytest.skip("no tun device here")
        wire.ip("link", "set", "tun0", "up")
        with wire.ring("tun0") as ring:
            assert ring.linktype == LINKTYPE_RAW
