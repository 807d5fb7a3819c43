"""Frames read one at a time: IP options, extension headers, fragments, lengths that lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.sniffer.datagrams import Parsed
from bystander.sniffer.frames import (
    LINKTYPE_ETHERNET,
    LINKTYPE_LINUX_SLL,
    LINKTYPE_LINUX_SLL2,
    PAD,
    Frames,
)
from bystander.sniffer.oddframes import transport
from bystander.sniffer.parse import FrameParser


def frames(raws: list[bytes], linktype: int = LINKTYPE_ETHERNET) -> Frames:
    sizes = np.array([len(raw) for raw in raws], np.int64)
    data = np.frombuffer(b"".join(raws) + bytes(PAD), np.uint8)
    return Frames(data, np.cumsum(sizes) - sizes, sizes, sizes, np.arange(len(raws)), linktype)


def parse(raw: bytes, linktype: int = LINKTYPE_ETHERNET) -> Parsed:
    return FrameParser().parse(frames([raw], linktype))


def payloads(parsed: Parsed) -> list[bytes]:
    return [d.payload(i) for d in parsed.datagrams for i in range(len(d))]


def ipv4(
    protocol: int, body: bytes, *, flags: int = 0, options: bytes = b"", total: int | None = None
) -> bytes:
    words = 5 + len(options) // 4
    total = words * 4 + len(body) if total is None else total
    head = bytes([0x40 | words, 0]) + total.to_bytes(2, "big") + b"\x12\x34" + flags.to_bytes(2, "big")
    return head + bytes([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]) + options + body


def ipv6(next_header: int, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return (
        b"\x60\0\0\0"
        + size.to_bytes(2, "big")
        + bytes([next_header, 64])
        + bytes(15)
        + b"\1"
        + bytes(15)
        + b"\2"
        + body
    )


def udp(body: bytes) -> bytes:
    return b"\x0f\xa0\x13\x88" + (8 + len(body)).to_bytes(2, "big") + b"\0\0" + body


def ether(packet: bytes, ethertype: int = 0x0800, tags: bytes = b"") -> bytes:
    return bytes(12) + tags + ethertype.to_bytes(2, "big") + packet


BODY = b"speech and more speech"
CHAIN = [
    (0, b"\x3c\0" + bytes(6)),  # hop by hop, then destination options
    (60, b"\x2b\0" + bytes(6)),  # then routing
    (43, b"\x33\1" + bytes(14)),  # then authentication, measured in words of four
    (51, b"\x11\4" + bytes(22)),
]


def test_ip_options_are_stepped_over() -> None:
    parsed = parse(ether(ipv4(17, udp(BODY), options=b"\x94\4\0\0" + bytes(8))))
    assert payloads(parsed) == [BODY]
    assert parsed.datagrams[0].endpoints(0) == (("10.0.0.1", 4000), ("10.0.0.2", 5000))


def test_extension_headers_are_stepped_over() -> None:
    parsed = parse(ether(ipv6(0, b"".join(part for _, part in CHAIN) + udp(BODY)), 0x86DD))
    assert payloads(parsed) == [BODY]
    assert parsed.datagrams[0].endpoints(0) == (("::1", 4000), ("::2", 5000))


@pytest.mark.parametrize("version", [4, 6])
def test_padding_behind_the_packet_is_not_payload(version: int) -> None:
    hop = b"\x11\0" + bytes(6)
    raw = (
        ether(ipv4(17, udp(BODY), options=bytes(4)) + bytes(20))
        if version == 4
        else ether(ipv6(0, hop + udp(BODY)) + bytes(20), 0x86DD)
    )
    assert payloads(parse(raw)) == [BODY]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (ether(b"\x46" + bytes(10)), "ip-header"),
        (ether(ipv4(17, udp(BODY), options=bytes(4), total=10)), "ip-header"),
        (ether(b"\x44" + ipv4(17, udp(BODY))[1:]), "ip-header"),
        (ether(b"\x65" + ipv4(17, udp(BODY))[1:]), "ip-header"),
        (ether(bytes(41), 0x86DD), "ip-header"),
        (ether(ipv6(0, b"\x11"), 0x86DD), "ip-extension"),
        (ether(ipv6(0, b"\x11\xff" + bytes(6)), 0x86DD), "ip-extension"),
        (ether(ipv6(44, b"\x11" + bytes(3)), 0x86DD), "ip-extension"),
        (ether(ipv6(0, b"\0\0" + bytes(6) + (b"\0\0" + bytes(6)) * 20), 0x86DD), "ip-extension"),
        (ether(ipv4(17, b"\0" * 5, options=bytes(4))), "transport-header"),
        (ether(ipv4(17, b"\x0f\xa0\x13\x88\0\3\0\0", options=bytes(4))), "udp-length"),
        (ether(ipv4(6, b"\x0f\xa0\x13\xc4" + bytes(8), options=bytes(4))), "tcp-header"),
        (ether(ipv4(6, b"\x0f\xa0\x13\xc4" + bytes(8) + b"\xf0" + bytes(7), options=bytes(4))), "tcp-header"),
    ],
)
def test_what_is_bad_is_counted_by_reason(raw: bytes, reason: str) -> None:
    parsed = parse(raw)
    assert payloads(parsed) == []
    assert dict(parsed.bad) == {reason: 1}


def test_a_total_length_of_zero_is_segmentation_offload() -> None:
    assert payloads(parse(ether(ipv4(17, udp(BODY), options=bytes(4), total=0)))) == [BODY]


def test_what_icmp_quotes_is_not_media() -> None:
    """C12"""
    quoted = b"\3\3" + bytes(6) + ipv4(17, udp(b"\x80\x08" + bytes(170)))
    assert payloads(parse(ether(ipv4(1, quoted)))) == []
    assert payloads(parse(ether(ipv6(58, b"\1\4" + bytes(6) + ipv6(17, udp(BODY))), 0x86DD))) == []


TAGS = {"none": b"", "one": b"\x81\0\0\5", "another": b"\x81\0\0\6", "two": b"\x88\xa8\0\5\x81\0\0\5"}


def cooked(packet: bytes, ethertype: int, tags: bytes) -> bytes:
    """Linux cooked: the protocol ends the header, and tags follow with the inner types behind them."""
    chain = tags + ethertype.to_bytes(2, "big")
    return bytes(14) + chain + packet


def cooked2(packet: bytes, ethertype: int, tags: bytes) -> bytes:
    chain = tags + ethertype.to_bytes(2, "big")
    return chain[:2] + bytes(18) + chain[2:] + packet


LINKS: list[Any] = [
    (LINKTYPE_ETHERNET, lambda packet, kind, tags: ether(packet, kind, tags)),
    (LINKTYPE_LINUX_SLL, cooked),
    (LINKTYPE_LINUX_SLL2, cooked2),
]


@pytest.mark.parametrize(("linktype", "link"), LINKS)
@pytest.mark.parametrize("tags", TAGS)
def test_tags_are_stepped_over(linktype: int, link: Any, tags: str) -> None:
    for packet, kind in ((ipv4(17, udp(BODY)), 0x0800), (ipv6(17, udp(BODY)), 0x86DD)):
        assert payloads(parse(link(packet, kind, TAGS[tags]), linktype)) == [BODY]


@pytest.mark.parametrize(("linktype", "link"), LINKS)
@pytest.mark.parametrize("version", [4, 6])
def test_fragments_of_different_vlans_have_different_keys(linktype: int, link: Any, version: int) -> None:
    """C2: two customers of one switch may use one address plan."""
    if version == 4:
        packet, kind = ipv4(17, udp(BODY)[:16], flags=0x2000), 0x0800
    else:
        packet, kind = ipv6(44, b"\x11\0\0\1" + b"\0\0\0\x63" + udp(BODY)[:16]), 0x86DD
    keys = {}
    for name, tags in TAGS.items():
        (fragment,) = parse(link(packet, kind, tags), linktype).fragments
        assert (fragment.payload, fragment.offset, fragment.more) == (udp(BODY)[:16], 0, True)
        keys[name] = fragment.key
    assert len(set(keys.values())) == len(TAGS)
    assert parse(link(packet, kind, b""), linktype).fragments[0].key == keys["none"]


def test_later_fragments_say_where_they_belong() -> None:
    (fragment,) = parse(ether(ipv4(17, b"abcdefgh", flags=3))).fragments
    assert (fragment.offset, fragment.more, fragment.payload) == (24, False, b"abcdefgh")


def test_a_segment_is_read() -> None:
    parsed = Parsed()
    tcp = (
        b"\x13\xc4\x0f\xa0"
        + (99).to_bytes(4, "big")
        + bytes(4)
        + b"\x60\x18"
        + bytes(6)
        + b"opts"
        + b"INVITE"
    )
    assert transport(parsed, "10.0.0.1", "10.0.0.2", 6, tcp, 5) == ""
    (segment,) = parsed.segments
    assert (segment.src, segment.dst) == (("10.0.0.1", 5060), ("10.0.0.2", 4000))
    assert (segment.seq, segment.flags, segment.payload, segment.time_ns) == (99, 0x18, b"INVITE", 5)


@settings(max_examples=200)
@given(st.sampled_from([0x0800, 0x86DD, 0x8100]), st.binary(max_size=120), st.sampled_from([4, 6]))
def test_no_packet_raises(ethertype: int, packet: bytes, version: int) -> None:
    if packet:
        packet = bytes([version << 4 | packet[0] & 15]) + packet[1:]
    parse(ether(packet, ethertype))
