"""HEP of all versions: what it carries comes out, whatever is done to it it never raises."""

from __future__ import annotations

import gzip
import socket
import struct
import zlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.hep import RTP, SIP, HepFramer, HepPacket, parse_hep

S = 1_000_000_000
MESSAGE = b"OPTIONS sip:b@c SIP/2.0\r\n\r\n"


def chunk(kind: int, value: bytes, vendor: int = 0) -> bytes:
    return struct.pack("!HHH", vendor, kind, 6 + len(value)) + value


def v3(*chunks: bytes) -> bytes:
    body = b"".join(chunks)
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


def basic(payload: bytes = MESSAGE, kind: int = SIP, protocol: int = 17, *more: bytes) -> bytes:
    return v3(
        chunk(1, b"\x02"),
        chunk(2, bytes([protocol])),
        chunk(3, socket.inet_aton("10.0.0.1")),
        chunk(4, socket.inet_aton("10.0.0.2")),
        chunk(7, (5060).to_bytes(2)),
        chunk(8, (5070).to_bytes(2)),
        chunk(9, (1_795_464_000).to_bytes(4)),
        chunk(10, (123_456).to_bytes(4)),
        chunk(11, bytes([kind])),
        chunk(12, (2001).to_bytes(4)),
        *more,
        *([chunk(15, payload)] if payload else []),
    )


WANTED = HepPacket(
    SIP, ("10.0.0.1", 5060), ("10.0.0.2", 5070), "udp", 1_795_464_000 * S + 123_456_000, MESSAGE, 2001
)


def test_version_3() -> None:
    assert parse_hep(basic()) == WANTED


def test_ipv6_correlation_vendor_chunks_and_unknown_ones() -> None:
    packet = parse_hep(
        v3(
            chunk(1, b"\x0a"),
            chunk(2, b"\x06"),
            chunk(5, socket.inet_pton(socket.AF_INET6, "2001:db8::1")),
            chunk(6, socket.inet_pton(socket.AF_INET6, "2001:db8::2")),
            chunk(7, (5060).to_bytes(2)),
            chunk(8, (5061).to_bytes(2)),
            chunk(15, b"not this", vendor=3),
            chunk(99, b"whatever"),
            chunk(17, b"call-1@host"),
            chunk(11, bytes([RTP])),
            chunk(15, b"\x80" * 20),
        )
    )
    assert packet == HepPacket(
        RTP, ("2001:db8::1", 5060), ("2001:db8::2", 5061), "tcp", 0, b"\x80" * 20, 0, "call-1@host"
    )


@pytest.mark.parametrize(("protocol", "name"), [(17, "udp"), (6, "tcp"), (22, "tls"), (132, "sctp")])
def test_the_transport(protocol: int, name: str) -> None:
    packet = parse_hep(basic(MESSAGE, SIP, protocol))
    assert isinstance(packet, HepPacket)
    assert packet.transport == name


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_a_compressed_payload(pack: object) -> None:
    assert callable(pack)
    assert parse_hep(basic(b"", SIP, 17, chunk(16, pack(MESSAGE)))) == WANTED


def test_a_payload_that_unpacks_to_far_too_much_is_refused() -> None:
    bomb = zlib.compress(bytes(10_000_000))
    assert len(bomb) < 60_000
    assert parse_hep(basic(b"", SIP, 17, chunk(16, bomb))) == "hep-payload"


def test_a_few_bytes_do_not_become_many_headers() -> None:
    """Small packets that each cost milliseconds would stop the recorder at a few hundred a second."""
    bomb = zlib.compress(b"INVITE sip:x SIP/2.0\r\n" + b"a:b\r\n" * 26_000, 9)
    assert len(bomb) < 500
    assert parse_hep(basic(b"", SIP, 17, chunk(16, bomb))) == "hep-payload"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not-hep"),
        (b"OPTIONS", "not-hep"),
        (b"HEP3", "hep-cut-short"),
        (basic()[:-1], "hep-cut-short"),
        (v3(b"\0\0\0"), "hep-chunk"),
        (v3(struct.pack("!HHH", 0, 1, 3)), "hep-chunk"),
        (v3(struct.pack("!HHH", 0, 1, 300)), "hep-chunk"),
        (v3(chunk(7, b"\1\2\3"), chunk(15, b"x")), "hep-chunk"),
        (v3(chunk(15, MESSAGE)), "hep-address"),
        (v3(chunk(3, b"1234"), chunk(6, bytes(16)), chunk(15, MESSAGE)), "hep-address"),
        (basic(b""), "hep-payload"),
        (basic(b"", SIP, 17, chunk(16, b"nonsense")), "hep-payload"),
        (b"\x02\x10\x02", "not-hep"),
        (b"\x02\x10\x02" + bytes(10), "hep-cut-short"),
    ],
)
def test_what_is_none(data: bytes, reason: str) -> None:
    assert parse_hep(data) == reason


def test_a_key_that_is_asked_for() -> None:
    assert parse_hep(basic(), "secret") == "hep-unauthorised"
    assert parse_hep(basic(MESSAGE, SIP, 17, chunk(14, b"wrong")), "secret") == "hep-unauthorised"
    assert parse_hep(basic(MESSAGE, SIP, 17, chunk(14, b"secret")), "secret") == WANTED
    assert parse_hep(basic(MESSAGE, SIP, 17, chunk(14, b"any"))) == WANTED
    assert parse_hep(b"\x01\x10\x02\x11" + bytes(12) + MESSAGE, "secret") == "hep-unauthorised"


@pytest.mark.parametrize("family", [2, 10])
@pytest.mark.parametrize("version", [1, 2])
def test_versions_1_and_2(version: int, family: int) -> None:
    texts = ("10.0.0.1", "10.0.0.2") if family == 2 else ("2001:db8::1", "2001:db8::2")
    af = socket.AF_INET if family == 2 else socket.AF_INET6
    addresses = b"".join(socket.inet_pton(af, text) for text in texts)
    data = struct.pack("!BBBBHH", version, 8 + len(addresses), family, 17, 5060, 5070) + addresses
    if version == 2:
        data += struct.pack("<IIHxx", 1_795_464_000, 123_456, 2001)
    time_ns, number = (WANTED.time_ns, 2001) if version == 2 else (0, 0)
    wanted = HepPacket(SIP, (texts[0], 5060), (texts[1], 5070), "udp", time_ns, MESSAGE, number)
    assert parse_hep(data + MESSAGE) == wanted


def test_c18_a_clock_that_is_far_off_is_not_believed() -> None:
    assert WANTED.seen_ns(WANTED.time_ns + S) == WANTED.time_ns
    assert WANTED.seen_ns(WANTED.time_ns + 3 * S) == WANTED.time_ns + 3 * S
    assert WANTED.seen_ns(WANTED.time_ns - 3 * S) == WANTED.time_ns - 3 * S


@given(st.binary(max_size=300))
def test_random_bytes_never_raise(data: bytes) -> None:
    for start in (b"", b"HEP3", b"HEP3" + (6 + len(data)).to_bytes(2), b"\x01\x10\x02", b"\x02\x28\x0a"):
        parse_hep(start + data)


@given(st.data())
def test_damage_never_raises(data: st.DataObject) -> None:
    raw = bytearray(basic(MESSAGE, SIP, 17, chunk(16, zlib.compress(MESSAGE)), chunk(17, b"id")))
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    parse_hep(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.data())
def test_a_connection_is_cut_into_its_packets_however_it_is_split(
    payloads: list[bytes], data: st.DataObject
) -> None:
    packets = [basic(payload) for payload in payloads]
    stream = b"".join(packets)
    framer, found = HepFramer(Counter()), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += framer.feed(stream[:size])
        stream = stream[size:]
    assert found == packets
    assert len(framer) == 0


def test_a_connection_that_begins_with_something_else_is_found_again() -> None:
    counters: Counter[str] = Counter()
    framer = HepFramer(counters)
    stream = b"GET / HTTP/1.1\r\nHE" + basic() + b"HEP3\0\1junk" + basic(b"x")
    found = [packet for at in range(0, len(stream), 7) for packet in framer.feed(stream[at : at + 7])]
    assert found == [basic(), basic(b"x")]
    assert counters["hep-resynchronised"] > 0
    framer.feed(bytes(1_000_000))
    assert len(framer) < 10
