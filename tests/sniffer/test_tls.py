"""Which connections are TLS, what is written of them for TShark, and what is made of its answer."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.realm import within
from bystander.sniffer.tcp import Segment
from bystander.sniffer.tls import (
    MAX_CONNECTIONS,
    Opened,
    OpenedStreams,
    TlsConnections,
    capture_header,
    capture_record,
    client_randoms,
    parse_opened,
)

PHONE, PBX = ("10.0.0.1", 40000), ("10.0.0.2", 5061)
RANDOM = bytes(range(32))
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + RANDOM + bytes(60)
DATA = b"\x17\x03\x03\x00\x20" + bytes(32)
SIP = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n"


def segment(
    payload: bytes, src: tuple[str, int] = PHONE, dst: tuple[str, int] = PBX, flags: int = 16
) -> Segment:
    return Segment(src, dst, 1000, flags, payload, 1_795_464_000_123_456_789)


def test_a_key_log_has_randoms_and_much_else() -> None:
    lines = [
        b"# a comment\n",
        b"CLIENT_RANDOM " + RANDOM.hex().encode() + b" " + b"ab" * 48 + b"\n",
        b"CLIENT_TRAFFIC_SECRET_0 " + b"cd" * 32 + b" " + b"ef" * 32 + b"\r\n",
        b"CLIENT_RANDOM 00 11\n",
        b"RSA 1234567890abcdef " + b"ab" * 48,
        b"\xff" * 300,
    ]
    assert client_randoms(lines) == {RANDOM, b"\xcd" * 32}


@pytest.mark.parametrize("first", [HELLO, DATA])
def test_a_connection_on_the_port_is_seen_from_either_side_and_from_its_middle(first: bytes) -> None:
    for ends in ((PHONE, PBX), (PBX, PHONE)):
        seen: list[Segment] = []
        connections = TlsConnections(take=seen.append)
        assert connections.feed(segment(first, *ends))
        assert connections.feed(segment(b"rest of a record", *ends[::-1]))
        assert (connections.counters["connections"], connections.unread, len(seen)) == (1, 1, 2)
        connections.opened(*ends)
        connections.opened(*ends)
        assert (connections.unread, connections.counters["read"]) == (0, 1)


def test_on_other_ports_only_what_there_are_keys_for() -> None:
    web = ("10.0.0.2", 443)
    connections = TlsConnections(randoms=[RANDOM])
    assert not connections.feed(segment(DATA, dst=web))
    assert connections.feed(segment(HELLO, dst=web))
    assert connections.server_ports == {443}
    assert not TlsConnections().feed(segment(HELLO, dst=web))
    assert not connections.feed(segment(SIP))


def test_connections_beyond_the_bound_are_forgotten_and_counted() -> None:
    connections = TlsConnections()
    for number in range(MAX_CONNECTIONS + 10):
        connections.feed(segment(HELLO, ("10.0.0.1", 1000 + number)))
    assert len(connections) == MAX_CONNECTIONS
    assert connections.counters["evicted"] == 10


@pytest.mark.parametrize("ends", [(PHONE, PBX), (("2001:db8::1", 1), ("2001:db8::2", 5061))])
def test_what_is_written_for_tshark_is_the_segment(ends: tuple[tuple[str, int], tuple[str, int]]) -> None:
    from scapy.layers.inet import IP, TCP
    from scapy.layers.inet6 import IPv6

    record = capture_record(segment(DATA, *ends, flags=24))
    assert len(capture_header()) == 24
    packet = (IPv6 if ":" in ends[0][0] else IP)(record[16:])
    assert (packet.src, packet[TCP].sport) == ends[0]
    assert (packet.dst, packet[TCP].dport) == ends[1]
    assert (bytes(packet[TCP].payload), packet[TCP].seq, int(packet[TCP].flags)) == (DATA, 1000, 24)
    assert int.from_bytes(record[4:8], "little") == 123_456_789


def test_what_tshark_prints_is_read() -> None:
    line = b"1795464000.123456789\t10.0.0.1\t\t40000\t10.0.0.2\t\t5061\t4142,43\n"
    assert parse_opened(line) == Opened(1_795_464_000_123_456_789, PHONE, PBX, b"ABC")
    six = b"1.5\t\t2001:db8::1\t1\t\t2001:db8::2\t2\t\n"
    assert parse_opened(six) == Opened(1_500_000_000, ("2001:db8::1", 1), ("2001:db8::2", 2), b"")


PRINTED = st.lists(st.text("0123456789.,abx\t", max_size=20)).map(lambda parts: "\t".join(parts).encode())


@given(st.binary(max_size=120) | PRINTED)
def test_whatever_is_printed_never_raises(line: bytes) -> None:
    parse_opened(line)


def opened(data: bytes, at: int = 1, way: tuple[tuple[str, int], tuple[str, int]] = (PHONE, PBX)) -> Opened:
    return Opened(at, *way, data)


def test_messages_over_several_records_bear_the_time_of_the_last() -> None:
    streams = OpenedStreams(Counter())
    assert streams.feed(opened(SIP + SIP[:20])) == [(1, PHONE, PBX, "tls", SIP)]
    assert streams.feed(opened(SIP[20:], 2)) == [(2, PHONE, PBX, "tls", SIP)]


def test_what_is_told_again_is_not_taken_again() -> None:
    streams = OpenedStreams(Counter())
    streams.feed(opened(b"", 1))
    streams.feed(opened(SIP + SIP[:20], 2))
    streams.skip_known()
    assert streams.feed(opened(b"", 1)) == []  # the SYN once more
    assert streams.feed(opened(SIP, 2)) == []
    assert streams.feed(opened(SIP[:20] + SIP[20:], 3)) == [(3, PHONE, PBX, "tls", SIP)]
    streams.feed(opened(SIP[:9], 4))
    assert streams.feed(opened(b"", 5)) == []  # another connection with these ports
    assert streams.feed(opened(SIP, 6)) == [(6, PHONE, PBX, "tls", SIP)]


@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=12))
def test_any_cut_and_any_restart_gives_each_message_once(cuts: list[tuple[int, bool]]) -> None:
    stream = SIP * 6
    streams, found, at = OpenedStreams(Counter()), 0, 0
    for time_ns, (size, restart) in enumerate([*cuts, (len(stream), False)], 1):
        if restart:
            streams.skip_known()
            found += len(streams.feed(opened(stream[:at], time_ns - 1)))
        if stream[at : at + size]:
            found += len(streams.feed(opened(stream[at : at + size], time_ns)))
        at = min(len(stream), at + size)
    assert found == 6


def test_what_tshark_opens_is_in_the_realm_of_its_connection() -> None:
    """TShark is told addresses alone; its messages belong to the calls of the network that they came from."""
    connections = TlsConnections()
    here = [(within(host, "vlan 10"), port) for host, port in (PHONE, PBX)]
    assert connections.feed(segment(b"\x16\x03\x01\x00\x05hello", here[0], here[1]))
    assert connections.opened(PHONE, PBX) == (here[0], here[1])
    assert connections.opened(PBX, PHONE) == (here[1], here[0])
    assert connections.unread == 0
    elsewhere = ("10.9.9.9", 40000)
    assert connections.opened(elsewhere, PBX) == (elsewhere, PBX)
