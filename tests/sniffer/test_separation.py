"""Which realm frames are in: by tags, by the kernel's tag, by what the headers of tunnels say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.erspan import ERSPAN_II
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Dot1AD, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from bystander.sniffer import tunnels
from bystander.sniffer.datagrams import Parsed
from bystander.sniffer.fragments import Reassembler
from bystander.sniffer.frames import PAD, Frames
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.realm import realm_of
from bystander.sniffer.separation import KINDS

ETHER = Ether(src="02:00:00:00:00:01", dst="06:00:00:00:00:02")
OUTER = ETHER / IP(src="192.0.2.1", dst="192.0.2.2")
V4 = IP(src="10.0.0.1", dst="10.0.0.2", id=9)
V6 = IPv6(src="fd00::1", dst="fd00::2")
RTP = UDP(sport=4000, dport=5000) / Raw(b"\x80\x08" + bytes(10) + b"\xd5" * 160)
PLAIN = ETHER / V4 / RTP
SIP = b"INVITE sip:bob@example.org SIP/2.0\r\nX: " + bytes(range(48, 112)) * 40 + b"\r\n\r\n"


def block(frames: list[Packet], vlan: list[int] | None = None) -> Frames:
    raw = [bytes(frame) for frame in frames]
    sizes = np.array([len(one) for one in raw], np.int64)
    data = np.frombuffer(b"".join(raw) + bytes(PAD), np.uint8)
    outer = None if vlan is None else np.array(vlan, np.int64)
    times = np.arange(len(raw), dtype=np.int64)
    return Frames(data, np.cumsum(sizes) - sizes, sizes, sizes, times, vlan=outer)


def parse(frames: list[Packet], *separate: str, vlan: list[int] | None = None) -> Parsed:
    """Parse frames, and what is put together of the fragments among them."""
    parser, reassembler = FrameParser(separate), Reassembler()
    parsed = parser.parse(block(frames, vlan))
    for piece in parsed.fragments:
        payload = reassembler.feed(piece)
        if payload is not None:
            parser.reassembled(parsed, piece, payload)
    return parsed


def realms(parsed: Parsed) -> list[str]:
    """The realms of the datagrams, which are those of both their ends."""
    found = []
    for datagrams in parsed.datagrams:
        for i in range(len(datagrams)):
            src, dst = datagrams.endpoints(i)
            assert realm_of(src[0]) == realm_of(dst[0])
            found.append(realm_of(src[0]))
    return found


@pytest.mark.parametrize(
    ("frame", "kind", "realm"),
    [
        (PLAIN, "vlan", ""),
        (ETHER / Dot1Q(vlan=120) / V4 / RTP, "vlan", "vlan 120"),
        (ETHER / Dot1Q(vlan=120, prio=5) / V6 / RTP, "vlan", "vlan 120"),
        (ETHER / Dot1AD(vlan=100) / Dot1Q(vlan=7) / V4 / RTP, "vlan", "vlan 100/vlan 7"),
        (ETHER / Dot1Q(vlan=0, prio=5) / V4 / RTP, "vlan", ""),
        (ETHER / Dot1Q(vlan=120) / V4 / RTP, "vni", ""),
        (OUTER / UDP(dport=4789) / VXLAN(vni=42) / PLAIN, "vni", "vni 42"),
        (OUTER / UDP(dport=8472) / VXLAN(vni=0xFFFFFF) / PLAIN, "vni", "vni 16777215"),
        (OUTER / UDP(dport=6081) / GENEVE(vni=43, proto=0x6558) / PLAIN, "vni", "vni 43"),
        (OUTER / UDP(dport=4789) / VXLAN(vni=42) / PLAIN, "vlan", ""),
        (OUTER / GRE(key_present=1, key=0xFEDCBA98) / V4 / RTP, "gre", f"gre {0xFEDCBA98}"),
        (OUTER / GRE(chksum_present=1, key_present=1, key=3) / V4 / RTP, "gre", "gre 3"),
        (OUTER / GRE() / V4 / RTP, "gre", ""),
        (OUTER / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II(session_id=9) / PLAIN, "erspan", "erspan 9"),
        (OUTER / GRE(key_present=1, key=3) / V4 / RTP, "erspan", ""),
        (OUTER / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=5) / V4 / RTP, "gre", ""),
    ],
)
def test_the_realm_of_a_frame(frame: Packet, kind: str, realm: str) -> None:
    assert realms(parse([frame], kind)) == [realm]


def test_the_tag_that_the_kernel_took_off_is_the_outermost() -> None:
    frames = [PLAIN, PLAIN, ETHER / Dot1Q(vlan=7) / V4 / RTP, PLAIN]
    parsed = parse(frames, "vlan", vlan=[-1, 120, 100, 0])
    assert realms(parsed) == ["", "vlan 120", "vlan 100/vlan 7", ""]


def test_a_tunnels_number_stands_for_itself_and_tags_inside_count() -> None:
    """The two directions of a call may go through different VLANs on their way between the tunnel's ends."""
    outer = ETHER / Dot1Q(vlan=5) / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(dport=4789)
    frames = [outer / VXLAN(vni=42) / PLAIN, outer / VXLAN(vni=42) / ETHER / Dot1Q(vlan=7) / V4 / RTP]
    assert realms(parse(frames, "vlan", "vni")) == ["vni 42", "vni 42/vlan 7"]
    assert realms(parse(frames, "vlan")) == ["vlan 5", "vlan 5/vlan 7"]


def test_vlans_of_one_group_are_one_network() -> None:
    frames = [ETHER / Dot1Q(vlan=tag) / V4 / RTP for tag in (10, 11, 12, 20, 21)]
    inner = [ETHER / Dot1AD(vlan=tag) / Dot1Q(vlan=11) / V4 / RTP for tag in (20, 21)]
    parser = FrameParser(("vlan",), ((10, 11), (21, 20)))
    parsed = parser.parse(block([*frames, *inner, PLAIN], [-1] * 7 + [11]))
    names = ["vlan 10", "vlan 10", "vlan 12", "vlan 21", "vlan 21", *["vlan 21/vlan 10"] * 2, "vlan 10"]
    assert realms(parsed) == names
    flows = np.concatenate([datagrams.flow for datagrams in parsed.datagrams]).tolist()
    assert [flows.index(flow) for flow in flows] == [names.index(name) for name in names]


def test_what_only_looks_like_a_tunnel_is_in_no_network() -> None:
    media = ETHER / V4 / UDP(sport=4000, dport=4789) / Raw(b"\x80\x08" + bytes(10) + b"\xd5" * 160)
    assert realms(parse([media], "vni")) == [""]


def test_flows_of_two_realms_are_two_and_their_ways_are_told_as_ever() -> None:
    frames = [OUTER / UDP(dport=4789) / VXLAN(vni=vni) / PLAIN for vni in (1, 2, 1)]
    (datagrams,) = parse(frames, "vni").datagrams
    one, two, again = datagrams.flow.tolist()
    assert one == again != two
    assert [tunnels.tunnel_name(datagrams.way(i)) for i in range(3)] == ["vxlan"] * 3
    assert dict(parse(frames, "vni").tunnels) == dict(parse(frames).tunnels)


def test_c2_fragments_and_segments_know_their_realm() -> None:
    whole = V4 / UDP(sport=5060, dport=5060) / Raw(SIP)
    pieces = [ETHER / Dot1Q(vlan=vlan) / piece for piece in fragment(whole, 800) for vlan in (10, 20)]
    parsed = parse(pieces, "vlan")
    assert sorted(realms(parsed)) == ["vlan 10", "vlan 20"]
    tcp = [
        ETHER / Dot1Q(vlan=vlan) / ip / TCP(sport=5060, dport=5060) / Raw(SIP)
        for vlan in (10, 20)
        for ip in (V4, V6)
    ]
    segments = parse(tcp, "vlan").segments
    assert [realm_of(segment.src[0]) for segment in segments] == ["vlan 10"] * 2 + ["vlan 20"] * 2
    assert [realm_of(segment.dst[0]) for segment in segments] == ["vlan 10"] * 2 + ["vlan 20"] * 2


_FRAMES = st.lists(
    st.sampled_from(
        [
            PLAIN,
            ETHER / V6 / RTP,
            ETHER / Dot1Q(vlan=120) / V4 / RTP,
            OUTER / UDP(dport=4789) / VXLAN(vni=42) / PLAIN,
            OUTER / GRE(key_present=1, key=3) / V4 / RTP,
            ETHER / V4 / TCP(sport=5060, dport=5060) / Raw(SIP[:200]),
            *(ETHER / piece for piece in fragment(V4 / UDP(sport=5060, dport=5060) / Raw(SIP), 800)),
        ]
    ),
    min_size=1,
    max_size=30,
)


def _said(parsed: Parsed, *, ways: bool = True) -> list[object]:
    datagrams = [
        (*map(str, d.endpoints(i)), d.payload(i), int(d.time_ns[i]), tunnels.tunnel_name(d.way(i)))
        + ((int(d.flow[i]), d.way(i)) if ways else ())
        for d in parsed.datagrams
        for i in range(len(d))
    ]
    segments = [(str(s.src), str(s.dst), s.seq, s.payload, s.time_ns) for s in parsed.segments]
    return [sorted(map(str, datagrams)), segments, dict(parsed.tunnels), dict(parsed.bad)]


@given(_FRAMES)
def test_nothing_else_is_changed_by_telling_apart(frames: list[Packet]) -> None:
    assert _said(parse(frames, *KINDS), ways=False) == _said(parse(frames), ways=False)


@given(st.lists(st.sampled_from([PLAIN, ETHER / V6 / RTP, ETHER / V4 / RTP]), min_size=1, max_size=30))
def test_where_there_is_one_realm_all_is_as_without(frames: list[Packet]) -> None:
    apart = parse(frames, *KINDS)
    assert _said(apart) == _said(parse(frames))
    assert all(datagrams.tunnel is None for datagrams in apart.datagrams)


@given(st.binary(max_size=200), st.sampled_from([4789, 4790, 6081, 8472, 2152]), st.booleans())
def test_whatever_is_behind_the_ports_of_tunnels_is_parsed(payload: bytes, port: int, by_gre: bool) -> None:
    gre = ETHER / IP(src="192.0.2.1", dst="192.0.2.2", proto=47) / Raw(payload)
    frame = gre if by_gre else OUTER / UDP(dport=port) / Raw(payload)
    parse([frame, ETHER / Dot1Q(vlan=9) / Raw(payload)], *KINDS)
