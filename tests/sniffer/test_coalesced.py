"""Frames that hold several datagrams, also from a real kernel: cut apart exactly, and nothing else is."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer import coalesced
from bystander.sniffer.coalesced import Splitter, messages_in, segment_size
from bystander.sniffer.datagrams import Datagrams, synthetic
from bystander.sniffer.frames import LINKTYPE_RAW, PAD, Frames
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.ring import Ring
from bystander.sniffer.rtp import looks_like_rtp

HERE, THERE = ("10.0.0.1", 4000), ("10.0.0.2", 5000)
SSRC = 0x1234ABCD


def rtp(seq: int, size: int = 160, pt: int = 8, ssrc: int = SSRC, fill: bytes | None = None) -> bytes:
    payload = np.random.default_rng(seq).bytes(size) if fill is None else fill * size
    return struct.pack("!BBHII", 0x80, pt, seq & 0xFFFF, 160 * seq & 0xFFFFFFFF, ssrc) + payload


def block(payloads: list[bytes], v6: bool = False) -> Frames:
    """UDP packets (link type RAW) with these payloads, one flow."""
    packets = []
    for payload in payloads:
        udp = struct.pack("!HHHH", 4000, 5000, 8 + len(payload), 0) + payload
        if v6:
            packets.append(struct.pack("!IHBB", 0x60000000, len(udp), 17, 64) + bytes(range(32)) + udp)
        else:
            header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0)
            packets.append(header + socket.inet_aton(HERE[0]) + socket.inet_aton(THERE[0]) + udp)
    sizes = np.array([len(packet) for packet in packets], np.int64)
    data = np.frombuffer(b"".join(packets) + bytes(PAD), np.uint8)
    times = np.arange(len(packets), dtype=np.int64)
    return Frames(data, np.cumsum(sizes) - sizes, sizes, sizes, times, LINKTYPE_RAW)


def cut(splitter: Splitter, d: Datagrams) -> list[bytes]:
    """The payloads after cutting; what the rows say of each must be what stands there."""
    found, mask = splitter.split(d, looks_like_rtp(d))
    payloads = [found.payload(i) for i in range(len(found))]
    for i in np.flatnonzero(mask).tolist():
        assert payloads[i][2:12] == struct.pack(
            "!HII", found.rows["seq"][i], found.rows["ts"][i], found.rows["ssrc"][i]
        )
        assert found.rows["marker_pt"][i] == payloads[i][1]
    return payloads


def split(payloads: list[bytes], v6: bool = False) -> list[bytes]:
    (d,) = FrameParser().parse(block(payloads, v6)).datagrams
    return cut(Splitter(), d)


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("pt", [0, 8, 18, 111])
@given(
    sizes=st.lists(
        st.tuples(st.integers(20, 300), st.integers(1, 9), st.integers(0, 300)), min_size=1, max_size=12
    )
)
def test_any_mixture_comes_out_as_the_packets_that_went_in(
    v6: bool, pt: int, sizes: list[tuple[int, int, int]]
) -> None:
    frames, packets, seq, singles = [], [], 65_530, {172}
    for size, count, last in sizes:
        segments = [rtp(seq + n, size, pt) for n in range(count)]
        if count > 1 and 0 < last < size:
            segments[-1] = segments[-1][: 12 + last]
        total = len(b"".join(segments))
        if count == 1:
            singles.add(total)
        elif total in singles:
            continue  # a size that is not searched
        seq += count
        frames.append(b"".join(segments))
        packets += segments
    assert split(frames, v6) == packets


def test_marker_events_and_gaps_inside() -> None:
    segments = [rtp(1), rtp(2, pt=8 | 0x80), rtp(4), rtp(3), rtp(3), rtp(12)]
    assert split([b"".join(segments), b"\x80\x65" + rtp(13, 4)[2:]]) == [
        *segments,
        b"\x80\x65" + rtp(13, 4)[2:],
    ]


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(rtp(1, 320), id="40 ms of noise"),
        pytest.param(rtp(1, 480, fill=b"\xd5"), id="60 ms of silence"),
        pytest.param(rtp(1, 480, pt=0, ssrc=0xFFFFFFFF, fill=b"\xff"), id="silence like its SSRC"),
        pytest.param(rtp(1, 480, pt=11, ssrc=0, fill=b"\0"), id="zeros like its SSRC"),
        pytest.param(rtp(1, 480, ssrc=0x80808080, fill=b"\x80"), id="an SSRC that is all one byte"),
        pytest.param(rtp(1) + rtp(2, ssrc=7), id="another SSRC"),
        pytest.param(rtp(1) + rtp(900), id="a number far off"),
        pytest.param(rtp(1) + rtp(2) + rtp(3)[:9], id="no room for a last header"),
        pytest.param(rtp(1) + b"\x80\xc8" + rtp(2)[2:], id="RTCP behind it"),
    ],
)
def test_one_packet_stays_one(payload: bytes) -> None:
    assert segment_size(payload) == 0
    assert split([payload]) == [payload]


def test_a_size_that_was_one_packet_is_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    monkeypatch.setattr(
        coalesced, "segment_size", lambda payload: searched.append(payload) or segment_size(payload)
    )
    splitter = Splitter()
    for _ in range(3):
        frames = [rtp(n, 480) for n in range(50)] + [rtp(n) for n in range(50)]
        (d,) = FrameParser().parse(block(frames)).datagrams
        assert cut(splitter, d) == frames
    assert len(searched) == 1
    superframe = rtp(1, 480) + rtp(2, 480)
    assert cut(splitter, synthetic(HERE, THERE, superframe, 0)) == [rtp(1, 480), rtp(2, 480)]
    assert (splitter.frames, splitter.datagrams) == (1, 2)


def test_g711_of_20_ms_costs_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_payload: bytes) -> int:
        raise AssertionError

    monkeypatch.setattr(coalesced, "segment_size", never)
    frames = [rtp(n, pt=pt) for n in range(50) for pt in (0, 8, 0x80, 0x88)]
    assert split(frames) == frames


@given(st.binary(max_size=400))
def test_random_bytes_never_raise(payload: bytes) -> None:
    for each in (payload, rtp(1, 0, 96) + payload, rtp(1, 20, 96) + payload):
        if len(each) >= 12:
            segment_size(each)
    messages_in(payload)


def sip(number: int, body: bytes = b"") -> bytes:
    head = f"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: {number}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return head + body


def test_sip_messages_are_cut_apart() -> None:
    messages = [sip(1, b"v=0\r\n"), sip(2), sip(3, b"SIP/2.0 in a body")]
    assert messages_in(b"".join(messages)) == messages
    for one in (sip(1), sip(1, b"x") + b"\0\0", sip(1) + b"\r\n\r\n", b"\r\n\r\n", b"nothing"):
        assert messages_in(one) == [one]
    # A Content-Length that lies: the rest is not a message, so nothing is cut off.
    lying = sip(1, b"SIP/2.0 long text").replace(b"Content-Length: 17", b"l: 3")
    assert messages_in(lying) == [lying]


# As a kernel does it.

_CLONE_NEWNET = 0x40000000
_UDP_SEGMENT = 103


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Run in a network namespace; sockets opened there stay in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        assert libc.setns(there, _CLONE_NEWNET) == 0
        yield
    finally:
        assert libc.setns(home, _CLONE_NEWNET) == 0
        os.close(home)
        os.close(there)


@pytest.fixture
def namespace() -> Iterator[str]:
    """A veth pair, ``near`` with an address, ``far`` as the mirror; frames are not segmented on it."""
    if os.geteuid() != 0 or not all(shutil.which(name) for name in ("ip", "ethtool")):
        pytest.skip("network namespaces need root, iproute2 and ethtool")
    name = f"coalesced-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
    try:
        for words in (
            "link add near type veth peer name far",
            "address add 10.0.0.1/24 dev near",
            "link set near up",
            "link set far up",
            "neighbour add 10.0.0.2 lladdr 02:00:00:00:00:02 dev near",
        ):
            subprocess.run(["ip", "-n", name, *words.split()], check=True)
        with inside(name):
            offload = ["ethtool", "-K", "near", "tx", "on", "sg", "on", "gso", "on"]
            subprocess.run(offload, check=False, capture_output=True)
            subprocess.run(["ethtool", "-K", "near", "tx-udp-segmentation", "on"], check=False)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def taken(ring: Ring, packets: list[bytes]) -> tuple[Splitter, int]:
    """Read the ring until all packets are there; return what was cut, and in how many frames they came."""
    found: list[bytes] = []
    frames = 0
    splitter, parser = Splitter(), FrameParser()
    poll = select.poll()
    poll.register(ring.fileno(), select.POLLIN)
    deadline = time.monotonic() + 60
    while len(found) < len(packets) and time.monotonic() < deadline:
        poll.poll(100)
        for captured in ring.ready():
            for d in parser.parse(captured).datagrams:
                frames += len(d)
                found += cut(splitter, d)
    ring.close()
    assert found == packets
    return splitter, frames


def test_superframes_of_a_live_sender_are_cut_apart(namespace: str) -> None:
    """A sender with UDP_SEGMENT on a link that segments nothing: the tap gets many datagrams in one frame."""
    with inside(namespace):
        ring = Ring("far", ring_bytes=4 << 20)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    packets = [rtp(n) for n in range(1000)]
    sender.bind(HERE)
    for at in range(0, len(packets), 20):
        burst = packets[at : at + 20]
        if at % 40 == 0:
            burst[-1] = packets[at + 19] = burst[-1][:100]
        segment = struct.pack("=H", len(burst[0]))
        sender.sendmsg([b"".join(burst)], [(socket.SOL_UDP, _UDP_SEGMENT, segment)], 0, THERE)
    splitter, frames = taken(ring, packets)
    sender.close()
    if frames == len(packets):
        pytest.skip("this kernel segments before the tap")
    assert (frames, splitter.frames, splitter.datagrams) == (50, 50, 1000)


def test_superframes_of_a_live_receiver_are_cut_apart(namespace: str) -> None:
    """UDP GRO on the mirror port: the kernel waits a little and puts together what came one by one."""
    settings = "echo 5000000 > {0}/gro_flush_timeout && echo 20 > {0}/napi_defer_hard_irqs"
    for command in (
        ["ethtool", "-K", "near", "tx-udp-segmentation", "off"],
        ["ethtool", "-K", "far", "gro", "on", "rx-udp-gro-forwarding", "on"],
        ["sh", "-c", settings.format("/sys/class/net/far")],
    ):
        done = subprocess.run(["ip", "netns", "exec", namespace, *command], check=False, capture_output=True)
        if done.returncode:
            pytest.skip(f"no UDP GRO here: {done.stderr.decode().strip()}")
    with inside(namespace):
        ring = Ring("far", ring_bytes=4 << 20)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # Fewer than the 256 that a virtual cable holds until its other end looks.
    packets = [rtp(n) for n in range(200)]
    sender.bind(HERE)
    for packet in packets:
        sender.sendto(packet, THERE)
    splitter, frames = taken(ring, packets)
    sender.close()
    if frames == len(packets):
        pytest.skip("this kernel put nothing together")
    assert splitter.frames > 0
    assert splitter.datagrams - splitter.frames == len(packets) - frames
