"""Frames of every kind, made by scapy, come out as the datagrams that they carry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.layers.l2 import ARP, CookedLinux, Dot1Q, Ether
from scapy.packet import Packet, Raw

from bystander.sniffer import frames as link
from bystander.sniffer.datagrams import Parsed, flow_of
from bystander.sniffer.fragments import Reassembler
from bystander.sniffer.frames import PAD, Frames
from bystander.sniffer.oddframes import transport
from bystander.sniffer.parse import FrameParser

PAYLOAD = bytes([0x80, 8]) + bytes(range(40))
V4 = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=4000, dport=5000) / Raw(PAYLOAD)
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
UDP_V6 = UDP(sport=4000, dport=5000) / Raw(PAYLOAD)


def block(
    raw: list[bytes], linktype: int = link.LINKTYPE_ETHERNET, lengths: list[int] | None = None
) -> Frames:
    sizes = np.array([len(one) for one in raw], np.int64)
    data = np.frombuffer(b"".join(raw) + bytes(PAD), np.uint8)
    return Frames(
        data,
        np.cumsum(sizes) - sizes,
        sizes,
        sizes if lengths is None else np.array(lengths, np.int64),
        np.arange(len(raw), dtype=np.int64),
        linktype,
    )


def found(parsed: Parsed) -> list[tuple[object, object, bytes]]:
    return [(*d.endpoints(i), d.payload(i)) for d in parsed.datagrams for i in range(len(d))]


V4_FOUND = [(("10.0.0.1", 4000), ("10.0.0.2", 5000), PAYLOAD)]
V6_FOUND = [(("2001:db8::1", 4000), ("2001:db8::2", 5000), PAYLOAD)]
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


@pytest.mark.parametrize(
    ("frame", "wanted"),
    [
        pytest.param(ETHER / V4, V4_FOUND, id="plain"),
        pytest.param(ETHER / Dot1Q(vlan=5) / V4, V4_FOUND, id="802.1Q"),
        pytest.param(ETHER / Dot1Q(vlan=5) / Dot1Q(vlan=6) / V4, V4_FOUND, id="QinQ"),
        pytest.param(ETHER / Dot1Q(vlan=5) / Dot1Q(vlan=6) / Dot1Q(vlan=7) / V4, V4_FOUND, id="three tags"),
        pytest.param(ETHER / Dot1Q(vlan=5) / V6 / UDP_V6, V6_FOUND, id="802.1Q and IPv6"),
        pytest.param(
            ETHER / IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_NOP()] * 4) / V4[UDP],
            V4_FOUND,
            id="IP options",
        ),
        pytest.param(ETHER / V6 / UDP_V6, V6_FOUND, id="IPv6"),
        pytest.param(ETHER / V6 / IPv6ExtHdrHopByHop() / UDP_V6, V6_FOUND, id="hop-by-hop"),
        pytest.param(
            ETHER / V6 / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting() / UDP_V6,
            V6_FOUND,
            id="two extension headers",
        ),
        pytest.param(ETHER / V4 / Raw(b""), V4_FOUND, id="as is"),
        pytest.param(ETHER / ARP(), [], id="ARP"),
        pytest.param(ETHER / IP() / ICMP(type=3) / V4, [], id="C12 quoted in ICMP"),
    ],
)
def test_every_kind_of_frame(frame: Packet, wanted: list[object]) -> None:
    parsed = FrameParser().parse(block([bytes(frame)]))
    assert found(parsed) == wanted
    assert not parsed.bad


@pytest.mark.parametrize(
    ("linktype", "before"),
    [
        (link.LINKTYPE_RAW, b""),
        (link.LINKTYPE_IPV4, b""),
        (link.LINKTYPE_NULL, b"\x02\0\0\0"),
        (link.LINKTYPE_LOOP, b"\0\0\0\x02"),
        (link.LINKTYPE_LINUX_SLL2, b"\x08\x00" + bytes(18)),
    ],
)
def test_every_link_type(linktype: int, before: bytes) -> None:
    raw = before + bytes(V4)
    assert found(FrameParser().parse(block([raw, raw], linktype))) == V4_FOUND * 2


def test_linux_cooked() -> None:
    raw = bytes(CookedLinux() / V4)
    assert found(FrameParser().parse(block([raw], link.LINKTYPE_LINUX_SLL))) == V4_FOUND


def test_kinds_mixed_in_one_block() -> None:
    kinds = [ETHER / V4, ETHER / ARP(), ETHER / V6 / UDP_V6, ETHER / Dot1Q(vlan=5) / V4]
    parsed = FrameParser().parse(block([bytes(kind) for kind in kinds]))
    assert sorted(found(parsed), key=str) == sorted([*V4_FOUND, *V6_FOUND, *V4_FOUND], key=str)


def test_padding_is_not_payload_and_a_cut_payload_is_kept() -> None:
    """C18: Ethernet pads short frames; a snap length cuts long ones."""
    short = ETHER / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / Raw(b"abc")
    assert found(FrameParser().parse(block([bytes(short) + bytes(20)])))[0][2] == b"abc"
    whole = bytes(ETHER / V4)
    parsed = FrameParser().parse(block([whole[:-10]], lengths=[len(whole)]))
    assert found(parsed)[0][2] == PAYLOAD[:-10]
    assert parsed.bad == {"udp-cut-short": 1}


def test_lengths_that_lie_are_counted() -> None:
    raw = bytearray(bytes(ETHER / V4))
    raw[38:40] = b"\0\x03"
    parsed = FrameParser().parse(block([bytes(raw)]))
    assert not found(parsed)
    assert parsed.bad == {"udp-length": 1}


@pytest.mark.parametrize("tags", [0, 1, 2])
def test_fragments_are_put_together(tags: int) -> None:
    """C1, C2: the pieces carry the VLAN stack in their key and give back the datagram."""
    big = IP(src="10.0.0.1", dst="10.0.0.2", id=7) / UDP(sport=5060, dport=5060) / Raw(bytes(range(256)) * 10)
    header: Packet = ETHER
    for tag in range(tags):
        header = header / Dot1Q(vlan=tag + 1)
    parsed = FrameParser().parse(block([bytes(header / piece) for piece in reversed(fragment(big, 800))]))
    assert not found(parsed)
    reassembler, whole = Reassembler(), Parsed()
    for piece in parsed.fragments:
        payload = reassembler.feed(piece)
        if payload is not None:
            assert transport(whole, "10.0.0.1", "10.0.0.2", 17, payload, 0) == ""
    assert found(whole) == [(("10.0.0.1", 5060), ("10.0.0.2", 5060), bytes(range(256)) * 10)]


def test_of_tcp_only_what_may_be_sip_is_let_through() -> None:
    """C4: on any port what begins like SIP, with the rest of it; everything once a connection is watched."""

    def segment(payload: bytes, port: int) -> bytes:
        return bytes(ETHER / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=40000, dport=port) / Raw(payload))

    parser = FrameParser()
    raw = [
        segment(b"GET / HTTP/1.1", 80),
        segment(b"INVITE sip:a", 7000),
        segment(b"rest", 7000),
        segment(b"x", 5060),
    ]
    assert [s.payload for s in parser.parse(block(raw)).segments] == [b"INVITE sip:a", b"rest", b"x"]
    assert [s.payload for s in parser.parse(block(raw[2:])).segments] == [b"x"]
    parser.watch_tcp(("10.0.0.1", 40000), ("10.0.0.2", 7000))
    assert [s.payload for s in parser.parse(block(raw[2:])).segments] == [b"rest", b"x"]


def test_one_flow_has_one_number_whatever_the_way() -> None:
    for frame, src, dst in (
        (ETHER / V4, ("10.0.0.1", 4000), ("10.0.0.2", 5000)),
        (ETHER / V6 / UDP_V6, ("2001:db8::1", 4000), ("2001:db8::2", 5000)),
        (ETHER / V6 / IPv6ExtHdrHopByHop() / UDP_V6, ("2001:db8::1", 4000), ("2001:db8::2", 5000)),
    ):
        (datagrams,) = FrameParser().parse(block([bytes(frame)])).datagrams
        assert datagrams.flow.tolist() == [flow_of(src, dst)]
        assert flow_of(src, dst) != flow_of(dst, src)


LINKTYPES = st.sampled_from(
    [
        link.LINKTYPE_ETHERNET,
        link.LINKTYPE_LINUX_SLL,
        link.LINKTYPE_LINUX_SLL2,
        link.LINKTYPE_RAW,
        link.LINKTYPE_NULL,
    ]
)
WHOLE = [bytes(ETHER / V4), bytes(ETHER / V6 / IPv6ExtHdrHopByHop() / UDP_V6), bytes(ETHER / Dot1Q() / V4)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=8), LINKTYPES)
def test_random_bytes_never_raise(raw: list[bytes], linktype: int) -> None:
    FrameParser().parse(block(raw, linktype))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6),
    st.integers(0, 140),
)
def test_damaged_frames_never_raise(frame: bytes, damage: list[tuple[int, int]], cut: int) -> None:
    raw = bytearray(frame)
    for at, value in damage:
        if at < len(raw):
            raw[at] = value
    found(FrameParser().parse(block([bytes(raw[:cut]), frame])))
