"""Layers of tunnels: nested, mixed in one block, in fragments; their order and their names."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scapy.contrib.erspan import ERSPAN_II
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from bystander.sniffer import tunnels
from bystander.sniffer.datagrams import Parsed
from bystander.sniffer.encapsulations import Kind
from bystander.sniffer.fragments import Reassembler
from bystander.sniffer.frames import PAD, Frames
from bystander.sniffer.parse import FrameParser

ETHER = Ether(src="02:00:00:00:00:01", dst="06:00:00:00:00:02")
OUTER = ETHER / IP(src="192.0.2.1", dst="192.0.2.2")
SIP = b"INVITE sip:bob@example.org SIP/2.0\r\n" + b"X: " + bytes(range(48, 112)) * 40
V4 = IP(src="10.0.0.1", dst="10.0.0.2", id=9)
V6 = IPv6(src="fd00::1", dst="fd00::2")


def rtp(seq: int, size: int = 160) -> Packet:
    return UDP(sport=4000, dport=5000) / Raw(bytes([0x80, 8]) + seq.to_bytes(2) + bytes(8) + b"\xd5" * size)


def block(raw: list[bytes], pad: int = PAD) -> Frames:
    sizes = np.array([len(one) for one in raw], np.int64)
    data = np.frombuffer(b"".join(raw) + bytes(pad), np.uint8)
    times = np.arange(len(raw), dtype=np.int64)
    return Frames(data, np.cumsum(sizes) - sizes, sizes, sizes, times)


def found(parsed: Parsed) -> list[tuple[object, object, bytes, str]]:
    return [
        (*d.endpoints(i), d.payload(i), tunnels.tunnel_name(d.way(i)))
        for d in parsed.datagrams
        for i in range(len(d))
    ]


def parse(*frames: Packet) -> Parsed:
    """Parse frames, and what is put together of the fragments among them."""
    parser, reassembler = FrameParser(), Reassembler()
    parsed = parser.parse(block([bytes(frame) for frame in frames]))
    for piece in parsed.fragments:
        payload = reassembler.feed(piece)
        if payload is not None:
            parser.reassembled(parsed, piece, payload)
    return parsed


def erspan(frame: Packet, outer: Packet = OUTER) -> Packet:
    return outer / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II(vlan=5) / frame


def vxlan(frame: Packet) -> Packet:
    return OUTER / UDP(sport=50000, dport=4789) / VXLAN(vni=42) / frame


def test_a_tunnel_in_a_tunnel() -> None:
    parsed = parse(erspan(vxlan(ETHER / Dot1Q(vlan=3) / V4 / V6 / rtp(1))))
    assert [each[3] for each in found(parsed)] == ["gre/erspan/vxlan/6in4"]
    assert found(parsed)[0][0] == ("fd00::1", 4000)


def test_deeper_than_is_opened_is_counted() -> None:
    frame: Packet = V4 / rtp(1)
    for depth in range(1, 12):
        frame = IP(src="192.0.2.1", dst="192.0.2.2") / frame
        parsed = parse(ETHER / frame)
        if depth <= tunnels.MAX_LAYERS:
            assert found(parsed)[0][3] == "/".join(["ipip"] * depth)
            assert not parsed.bad
        else:
            assert found(parsed) == []
            assert parsed.bad == {"tunnel-depth": 1}


def test_many_kinds_nested_in_many_ways_cost_two_blocks_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = []
    parse_one = FrameParser._parse
    monkeypatch.setattr(FrameParser, "_parse", lambda *args: blocks.append(len(args[2])) or parse_one(*args))
    wrappings = (
        lambda frame: erspan(frame),
        lambda frame: vxlan(frame),
        lambda frame: OUTER / frame[IP],
        lambda frame: OUTER / GRE() / frame[IP],
        lambda frame: OUTER / GRE(proto=0x6558) / frame,
    )
    frames: list[Packet] = []
    for n in range(125):
        frame = ETHER / V4 / rtp(n)
        for layer in range(3):
            frame = wrappings[n // 5**layer % 5](frame)
        frames.append(frame)
    parsed = parse(*frames)
    assert sorted(payload[2:4] for _, _, payload, _ in found(parsed)) == [n.to_bytes(2) for n in range(125)]
    assert len(parsed.tunnels) > 80
    assert len(blocks) <= 1 + 2 * 6


def test_every_kind_in_one_block_keeps_the_order_of_time() -> None:
    wrappings = [
        lambda frame: frame,
        erspan,
        vxlan,
        lambda frame: OUTER / frame[IP],
        lambda frame: ETHER / Dot1Q(vlan=4) / frame[IP],
    ]
    frames = [wrappings[n % 5](ETHER / V4 / rtp(n)) for n in range(100)]
    parsed = parse(*frames)
    assert len(parsed.datagrams) == 1
    seqs = [int.from_bytes(payload[2:4]) for _, _, payload, _ in found(parsed)]
    assert seqs == list(range(100))
    assert [name for *_, name in found(parsed)][:5] == ["", "gre/erspan", "vxlan", "ipip", ""]
    ways = {tunnels.tunnel_name(way): count for way, count in parsed.tunnels.items()}
    assert ways == {"gre/erspan": 20, "vxlan": 20, "ipip": 20}


def test_the_last_frame_of_a_buffer_may_end_with_it() -> None:
    """Inner frames begin nearer to the buffer's end than any frame of a capture source does."""
    raw = bytes(erspan(ETHER / V4 / rtp(1, 8)))
    parsed = FrameParser().parse(block([raw], pad=PAD - len(raw)))
    assert len(found(parsed)) == 1
    datagrams = parsed.datagrams[0]
    assert int(datagrams.offset[0]) + PAD <= len(datagrams.data)


def test_an_outer_packet_in_fragments_is_put_together_and_opened() -> None:
    """C1: a mirrored frame of 1514 bytes does not fit the path of the remote mirror."""
    call = ETHER / V4 / UDP(sport=5060, dport=5060) / Raw(SIP[:1472])
    for whole in (erspan(call), vxlan(call), OUTER / GRE() / call[IP], OUTER / call[IP]):
        pieces = fragment(whole, 1480)
        assert len(pieces) == 2
        for order in (pieces, pieces[::-1]):
            parsed = parse(*order)
            assert [(each[0], each[2]) for each in found(parsed)] == [(("10.0.0.1", 5060), SIP[:1472])]
            assert found(parsed)[0][3]


def test_an_outer_ipv6_packet_in_fragments() -> None:
    call = V4 / UDP(sport=5060, dport=5060) / Raw(SIP[:1472])
    whole = IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment() / GRE() / call
    parsed = parse(*(ETHER / piece for piece in fragment6(whole, 1000)))
    assert [(each[2], each[3]) for each in found(parsed)] == [(SIP[:1472], "gre")]


def test_inner_fragments_are_put_together_and_tunnels_kept_apart() -> None:
    """C2: the same packet mirrored bare and in two tunnels; each has its own fragments."""
    call = ETHER / V4 / UDP(sport=5060, dport=5060) / Raw(SIP)
    pieces = fragment(call, 1000)
    parsed = parse(pieces[0], erspan(pieces[1]), vxlan(pieces[2]))
    assert found(parsed) == []
    parsed = parse(*pieces[:1], *(erspan(piece) for piece in pieces[::-1]), *pieces[1:])
    assert [(each[2], each[3]) for each in found(parsed)] == [(SIP, "gre/erspan"), (SIP, "")]


def test_fragments_inside_fragments() -> None:
    call = V4 / UDP(sport=5060, dport=5060) / Raw(SIP)
    inner = [erspan(ETHER / piece) for piece in fragment(call, 1480)]
    parsed = parse(*(piece for n, each in enumerate(inner) for piece in fragment(_numbered(each, n), 1400)))
    assert [(each[2], each[3]) for each in found(parsed)] == [(SIP, "gre/erspan")]


def _numbered(frame: Packet, ident: int) -> Packet:
    frame[IP].id = ident
    return frame


def test_tcp_inside_comes_out_as_segments() -> None:
    segment = V4 / TCP(sport=40000, dport=5060, seq=7) / Raw(SIP[:200])
    parsed = parse(erspan(ETHER / segment), OUTER / GRE() / V6 / segment[TCP])
    assert [(s.src, s.seq, s.payload) for s in parsed.segments] == [
        (("10.0.0.1", 40000), 7, SIP[:200]),
        (("fd00::1", 40000), 7, SIP[:200]),
    ]


def test_the_name_of_a_way() -> None:
    assert tunnels.tunnel_name(0) == ""
    assert tunnels.tunnel_name(Kind.GRE * 32 + Kind.ERSPAN_II) == "gre/erspan"


def test_ways_that_are_counted_are_bounded() -> None:
    total: Counter[int] = Counter()
    for way in range(1, 200):
        tunnels.tally(total, Counter({way: 2}))
    tunnels.tally(total, Counter({5: 1}))
    assert len(total) == tunnels.MAX_WAYS + 1
    assert total[5] == 3
    assert sum(total.values()) == 2 * 199 + 1


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_mixed_block_is_what_its_frames_are_one_by_one(share: float) -> None:
    rng = np.random.default_rng(3)
    frames = [
        bytes((erspan if rng.random() < share else (lambda f: f))(ETHER / V4 / rtp(n))) for n in range(60)
    ]
    together = found(FrameParser().parse(block(frames)))
    apart = [each for raw in frames for each in found(FrameParser().parse(block([raw])))]
    assert together == apart
