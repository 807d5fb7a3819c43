"""Which TCP frames are worth an object each, on IPv4 and IPv6 alike (C4, C5)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from bystander.sniffer.datagrams import flow_of
from bystander.sniffer.frames import PAD, Frames
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.tls import random_heads
from tests.websocketkit import frame, switching, upgrade

SIP = b"INVITE sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 40 + b"\r\n"
MASK = b"\x01\x02\x03\x04"
VERSIONS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("2001:db8::1", "2001:db8::2")}


def segment(version: int, payload: bytes, sport: int, dport: int, *, back: bool = False) -> bytes:
    src, dst = VERSIONS[version][::-1] if back else VERSIONS[version]
    layer = IP(src=src, dst=dst) if version == 4 else IPv6(src=src, dst=dst)
    return bytes(Ether() / layer / TCP(sport=sport, dport=dport, flags="PA") / Raw(payload))


def seen(parser: FrameParser, frames: list[bytes]) -> list[bytes]:
    """The payloads of the segments that are let through."""
    sizes = np.array([len(one) for one in frames], np.int64)
    data = np.frombuffer(b"".join(frames) + bytes(PAD), np.uint8).copy()
    block = Frames(data, np.cumsum(sizes) - sizes, sizes, sizes.copy(), np.arange(len(frames)))
    return [one.payload for one in parser.parse(block).segments]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("payload", "tells"),
    [
        (SIP, True), (b"SIP/2.0 200 OK\r\n", True), (switching(), True), (frame(SIP), True),
        (frame(SIP, mask=MASK), True), (frame(SIP, 2, fin=False), True), (upgrade(), False),
        (b"HTTP/1.1 200 OK\r\n\r\n", False), (frame(b"x" * 300), False), (b"\x16\x03\x01\x00\xff\x01", False),
        (b"", False), (b"I", False),
    ],
)  # fmt: skip
def test_what_a_payload_tells(version: int, payload: bytes, tells: bool) -> None:
    noise = [segment(version, bytes(500), 445, 50_000 + number) for number in range(3)]
    found = seen(FrameParser(), [*noise, segment(version, payload, 40_000, 8080), *noise])
    assert found == ([payload] if tells else [])


@pytest.mark.parametrize("version", [4, 6])
def test_a_frame_that_tells_brings_its_connection_with_it(version: int) -> None:
    """What was sent before it in the block, and what comes back."""
    frames = [
        segment(version, upgrade(), 40_000, 8080),
        segment(version, switching(), 8080, 40_000, back=True),
        segment(version, b"more", 40_000, 8080),
        segment(version, b"another", 40_001, 8080),
    ]
    assert seen(FrameParser(), frames) == [upgrade(), switching(), b"more"]


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_watched_and_what_is_on_the_ports(version: int) -> None:
    parser = FrameParser()
    src, dst = VERSIONS[version]
    parser.watch_tcp((src, 40_000), (dst, 8080))
    frames = [
        segment(version, b"one", 40_000, 8080), segment(version, b"two", 8080, 40_000, back=True),
        segment(version, b"three", 40_000, 8081), segment(version, b"four", 40_000, 5061),
    ]  # fmt: skip
    assert seen(parser, frames) == [b"one", b"two", b"four"]
    parser.tcp.ports = (8081,)
    assert seen(parser, frames) == [b"one", b"two", b"three"]


@pytest.mark.parametrize("version", [4, 6])
def test_a_handshake_that_there_are_keys_for(version: int) -> None:
    random = bytes(range(32))
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random + bytes(100)
    parser = FrameParser()
    frames = [segment(version, hello, 40_000, 443), segment(version, b"data", 443, 40_000, back=True)]
    assert seen(parser, frames) == []
    parser.tcp.randoms = random_heads([random])
    assert seen(parser, frames) == [hello, b"data"]


def test_the_oldest_connection_is_forgotten() -> None:
    parser = FrameParser()
    parser.tcp.MAX_WATCHED = 4
    for number in range(5):
        parser.watch_tcp(("10.0.0.1", number), ("10.0.0.2", 8080))
    assert seen(parser, [segment(4, b"x", number, 8080) for number in range(5)]) == [b"x", b"x"]


@given(st.ip_addresses(v=6), st.ip_addresses(v=6), st.integers(1, 65535), st.integers(1, 65535))
def test_directions_have_numbers_of_their_own(src: object, dst: object, one: int, two: int) -> None:
    ends = (str(src), one), (str(dst), two)
    assert (flow_of(*ends) == flow_of(*ends[::-1])) is (ends[0] == ends[1])
