"""Every encapsulation gives the datagram in it; what only looks like one stays what it was."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.macsec import MACsec
from scapy.contrib.mpls import MPLS, EoMCW
from scapy.contrib.tzsp import TZSP, TZSPTagEnd
from scapy.layers.dot11 import Dot11, Dot11QoS, RadioTap
from scapy.layers.inet import IP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import ARP, GRE, GRE_PPTP, LLC, SNAP, STP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import HDLC, PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw
from scapy.utils import PcapWriter

from bystander.sniffer import frames as link
from bystander.sniffer.datagrams import Parsed
from bystander.sniffer.encapsulations import ENCAPSULATIONS, Kind
from bystander.sniffer.frames import PAD, Frames
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.tunnels import tunnel_name

MAC = {"src": "02:00:00:00:00:01", "dst": "06:00:00:00:00:02"}
ETHER = Ether(**MAC)
OUTER = ETHER / IP(src="192.0.2.1", dst="192.0.2.2")
OUTER_V6 = ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2")
RTP = bytes([0x80, 8]) + bytes(range(170))
DATAGRAM = UDP(sport=4000, dport=5000) / Raw(RTP)
V4 = IP(src="10.0.0.1", dst="10.0.0.2") / DATAGRAM
V6 = IPv6(src="fd00::1", dst="fd00::2") / DATAGRAM
#: The frame as it was at the mirrored port.
FRAME = Ether(src="00:11:22:33:44:55", dst="00:aa:bb:cc:dd:ee") / V4
TAGGED = Ether(src="00:11:22:33:44:55", dst="00:aa:bb:cc:dd:ee") / Dot1Q(vlan=100) / V4
ENDS_V4 = (("10.0.0.1", 4000), ("10.0.0.2", 5000))
ENDS_V6 = (("fd00::1", 4000), ("fd00::2", 5000))


def block(raw: list[bytes], linktype: int = link.LINKTYPE_ETHERNET) -> Frames:
    sizes = np.array([len(one) for one in raw], np.int64)
    data = np.frombuffer(b"".join(raw) + bytes(PAD), np.uint8)
    times = np.arange(len(raw), dtype=np.int64)
    return Frames(data, np.cumsum(sizes) - sizes, sizes, sizes, times, linktype)


def found(parsed: Parsed) -> list[tuple[object, object, bytes, str]]:
    return [
        (*d.endpoints(i), d.payload(i), tunnel_name(d.way(i)))
        for d in parsed.datagrams
        for i in range(len(d))
    ]


def udp(port: int, header: bytes | Packet, outer: Packet = OUTER) -> Packet:
    return outer / UDP(sport=50000, dport=port) / header


def gtp(**fields: object) -> Packet:
    return GTP_U_Header(teid=7, gtp_type=255, **fields)


ERM = bytes(range(12))
ITAG = bytes([0x00, 0x00, 0x12, 0x34])
CMD = bytes.fromhex("890901010001002a0800")
#: Padding, a signal strength, a channel of two bytes, the end.
TZSP_TAGS = Raw(bytes([0, 10, 1, 0xFD, 18, 2, 0, 1, 1]))
#: MPLS labels by hand: scapy guesses what follows the bottom label.
LABELS = bytes.fromhex("0006404000064140")
BOTTOM = bytes.fromhex("00064140")

CASES = {
    "gre": (OUTER / GRE() / V4, "gre"),
    "gre, IPv6 inside": (OUTER / GRE() / V6, "gre"),
    "gre over IPv6": (OUTER_V6 / GRE() / V4, "gre"),
    "gre with checksum": (OUTER / GRE(chksum_present=1) / V4, "gre"),
    "gre with key": (OUTER / GRE(key_present=1, key=5) / V4, "gre"),
    "gre with sequence": (OUTER / GRE(seqnum_present=1, sequence_number=9) / V4, "gre"),
    "gre with all three": (
        OUTER / GRE(chksum_present=1, key_present=1, key=5, seqnum_present=1, sequence_number=9) / V4,
        "gre",
    ),
    "gre, IP options outside": (
        ETHER / IP(src="192.0.2.1", dst="192.0.2.2", options=[IPOption_NOP()] * 4) / GRE() / V4,
        "gre",
    ),
    "gre in a VLAN": (ETHER / Dot1Q(vlan=7) / OUTER[IP] / GRE() / V4, "gre"),
    "ethernet over gre": (OUTER / GRE(proto=0x6558) / FRAME, "gre"),
    "ethernet with a tag over gre": (OUTER / GRE(proto=0x6558) / TAGGED, "gre"),
    "mpls over gre": (OUTER / GRE(proto=0x8847) / Raw(BOTTOM) / V4, "gre/mpls"),
    "pptp": (
        OUTER / GRE_PPTP(seqnum_present=1, acknum_present=1, sequence_number=1, ack_number=1) / PPP() / V4,
        "gre",
    ),
    "erspan I": (OUTER / GRE(proto=0x88BE) / ERSPAN_I() / FRAME, "gre/erspan-1"),
    "erspan II": (
        OUTER / GRE(proto=0x88BE, seqnum_present=1, sequence_number=3) / ERSPAN_II(vlan=5) / FRAME,
        "gre/erspan",
    ),
    "erspan II, a tag inside": (
        OUTER / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II(vlan=5) / TAGGED,
        "gre/erspan",
    ),
    "erspan III": (
        OUTER / GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III(session_id=1) / FRAME,
        "gre/erspan-3",
    ),
    "erspan III with a platform subheader": (
        OUTER / GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III(o=1) / ERSPAN_PlatformSpecific() / FRAME,
        "gre/erspan-3",
    ),
    "erspan III of packets": (
        OUTER / GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III(ft=2) / Raw(bytes(V4)),
        "gre/erspan-3",
    ),
    "vxlan": (udp(4789, VXLAN(vni=42) / FRAME), "vxlan"),
    "vxlan on Linux's old port": (udp(8472, VXLAN(vni=42) / FRAME), "vxlan"),
    "vxlan over IPv6": (udp(4789, VXLAN(vni=42) / FRAME, OUTER_V6), "vxlan"),
    "vxlan, a tag inside": (udp(4789, VXLAN(vni=42) / TAGGED), "vxlan"),
    "vxlan with a group policy": (udp(4789, VXLAN(vni=42, flags=0x88, gpid=3) / FRAME), "vxlan"),
    "vxlan-gpe on the same port": (udp(4789, VXLAN(vni=42, flags=0x0C, NextProtocol=1) / V4), "vxlan"),
    "vxlan-gpe": (udp(4790, VXLAN(vni=42, flags=0x0C, NextProtocol=3) / FRAME), "vxlan-gpe"),
    "geneve": (udp(6081, GENEVE(vni=42, proto=0x6558) / FRAME), "geneve"),
    "geneve with IP": (udp(6081, GENEVE(vni=42, proto=0x0800) / V4), "geneve"),
    "geneve with options": (
        udp(
            6081,
            GENEVE(
                vni=42, proto=0x6558, options=[GeneveOptions(data=b"abcd"), GeneveOptions(data=b"efgh" * 3)]
            )
            / FRAME,
        ),
        "geneve",
    ),
    "tzsp": (udp(37008, TZSP() / TZSPTagEnd() / FRAME), "tzsp"),
    "tzsp with tags": (udp(37008, TZSP() / TZSP_TAGS / FRAME), "tzsp"),
    "ipip": (OUTER / V4, "ipip"),
    "6in4": (OUTER / V6, "6in4"),
    "4in6": (OUTER_V6 / V4, "4in6"),
    "4in6 with an encapsulation limit": (OUTER_V6 / IPv6ExtHdrDestOpt() / V4, "4in6"),
    "6in6": (OUTER_V6 / V6, "6in6"),
    "pppoe": (ETHER / PPPoE(sessionid=3) / PPP(proto=0x21) / V4, "pppoe"),
    "pppoe, compressed protocol": (ETHER / PPPoE(sessionid=3) / Raw(b"\x21" + bytes(V4)), "pppoe"),
    "pppoe with IPv6 in a VLAN": (
        ETHER / Dot1Q(vlan=7) / PPPoE(sessionid=3) / PPP(proto=0x57) / V6,
        "pppoe",
    ),
    "mpls": (ETHER / MPLS(label=16, s=1) / V4, "mpls"),
    "mpls, two labels, IPv6": (Ether(**MAC, type=0x8847) / Raw(LABELS) / Raw(bytes(V6)), "mpls"),
    "mpls pseudowire with a control word": (
        Ether(**MAC, type=0x8847) / Raw(LABELS) / EoMCW(seq=5) / FRAME,
        "mpls",
    ),
    "mpls pseudowire without": (Ether(**MAC, type=0x8847) / Raw(LABELS) / FRAME, "mpls"),
    "mpls pseudowire to an address like IP's": (
        Ether(**MAC, type=0x8847)
        / Raw(LABELS)
        / Ether(src="44:00:00:00:00:01", dst="45:00:00:00:00:02")
        / V4,
        "mpls",
    ),
    "mpls in IP": (ETHER / IP(src="192.0.2.1", dst="192.0.2.2", proto=137) / Raw(BOTTOM) / V4, "mpls"),
    "gtp": (udp(2152, gtp() / V4), "gtp"),
    "gtp with sequence": (udp(2152, gtp(S=1, seq=77) / V4), "gtp"),
    "gtp with an extension": (
        udp(2152, gtp(E=1, next_ex=0x85) / GTPPDUSessionContainer(type=0, QFI=9) / V6),
        "gtp",
    ),
    "hp erm": (udp(7932, ERM + bytes(FRAME)), "hp-erm"),
    "hp erm, a tag inside": (udp(7932, ERM + bytes(TAGGED)), "hp-erm"),
    "802.1ah": (Ether(**MAC, type=0x88E7) / Raw(ITAG + bytes(FRAME)), "802.1ah"),
    "802.1ah behind a backbone tag": (
        ETHER / Dot1AD(vlan=9, type=0x88E7) / Raw(ITAG + bytes(TAGGED)),
        "802.1ah",
    ),
    "macsec, not encrypted": (
        ETHER / MACsec(AN=1, SC=0, SCI=None, E=0, C=0, PN=4, type=0x0800) / Raw(bytes(V4) + bytes(16)),
        "macsec",
    ),
    "macsec with a channel": (
        ETHER / MACsec(AN=1, SC=1, SCI=b"\0" * 8, E=0, C=0, PN=4, type=0x0800) / Raw(bytes(V4) + bytes(16)),
        "macsec",
    ),
    "cisco metadata": (Raw(bytes(ETHER)[:12] + CMD + bytes(V4)), "cmd"),
}


@pytest.mark.parametrize(("frame", "way"), CASES.values(), ids=CASES)
def test_the_datagram_inside(frame: Packet, way: str) -> None:
    parsed = FrameParser().parse(block([bytes(frame)]))
    ends = ENDS_V6 if bytes(V6) in bytes(frame) else ENDS_V4
    assert found(parsed) == [(*ends, RTP, way)]
    assert not parsed.bad


#: Where TShark sees less: it takes a packet of ERSPAN III and of the old VXLAN-GPE for Ethernet, and believes
#: the first nibble of a pseudowire.
MORE_THAN_TSHARK = {
    "erspan III of packets",
    "vxlan-gpe on the same port",
    "mpls pseudowire without",
    "mpls pseudowire to an address like IP's",
}


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_finds_the_same_datagram(tmp_path: Path) -> None:
    capture = tmp_path / "tunnels.pcap"
    with PcapWriter(str(capture), linktype=link.LINKTYPE_ETHERNET) as writer:
        for frame, _ in CASES.values():
            writer.write(bytes(frame))
    ports = ("-d", "udp.port==8472,vxlan", "-d", "udp.port==7932,hp_erm")
    command = ["tshark", "-r", str(capture), *ports, "-T", "fields", "-e", "udp.dstport"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    seen = {name for name, line in zip(CASES, lines, strict=True) if line.split(",")[-1] == "5000"}
    assert seen == set(CASES) - MORE_THAN_TSHARK


def test_every_encapsulation_has_its_case() -> None:
    names = {name for _, way in CASES.values() for name in way.split("/")}
    assert names == {layer.name for layer in ENCAPSULATIONS.values()} - {""}
    assert max(Kind) < 32  # the base in which a way through tunnels is written


@pytest.mark.parametrize(
    ("linktype", "frame", "way"),
    [
        (link.LINKTYPE_PPP, PPP(proto=0x21) / V4, ""),
        (link.LINKTYPE_PPP_HDLC, HDLC() / PPP(proto=0x21) / V4, ""),
        (link.LINKTYPE_PPP_ETHER, PPPoE(sessionid=3) / PPP(proto=0x21) / V4, "pppoe"),
        (link.LINKTYPE_C_HDLC, Raw(b"\x0f\0\x08\0") / V4, ""),
        (link.LINKTYPE_MPLS, Raw(LABELS) / V4, "mpls"),
        (link.LINKTYPE_RAW, OUTER[IP] / V4, "ipip"),
        (link.LINKTYPE_RAW, udp(4789, VXLAN(vni=42) / FRAME)[IP], "vxlan"),
    ],
)
def test_link_types_that_carry_them(linktype: int, frame: Packet, way: str) -> None:
    assert found(FrameParser().parse(block([bytes(frame)], linktype))) == [(*ENDS_V4, RTP, way)]


WLAN = {"type": 2, "addr1": MAC["dst"], "addr2": MAC["src"], "addr3": MAC["src"]}
IN_SNAP = LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x0800) / V4
TAP = RadioTap(present="Flags", Flags="FCS")
#: A sub-frame of an A-MSDU: two addresses, its length, what it holds; then another.
MANY = Raw(bytes(12) + len(bytes(IN_SNAP)).to_bytes(2) + bytes(IN_SNAP) + bytes(3) + bytes(14))
LINKS = {
    "802.3": (link.LINKTYPE_ETHERNET, Dot3(**MAC) / IN_SNAP),
    "802.3 in a VLAN": (
        link.LINKTYPE_ETHERNET,
        Ether(**MAC) / Dot1Q(vlan=7, type=len(bytes(IN_SNAP))) / Raw(bytes(IN_SNAP)),
    ),
    "802.3 over a bridge's tunnel": (
        link.LINKTYPE_ETHERNET,
        Dot3(**MAC) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0xF8, code=0x0800) / V4,
    ),
    "802.11": (link.LINKTYPE_IEEE802_11, Dot11(**WLAN) / IN_SNAP),
    "802.11 with quality": (link.LINKTYPE_IEEE802_11, Dot11(subtype=8, **WLAN) / Dot11QoS() / IN_SNAP),
    "802.11 with four addresses": (
        link.LINKTYPE_IEEE802_11,
        Dot11(subtype=8, FCfield=0x03, addr4=MAC["src"], **WLAN) / Dot11QoS() / IN_SNAP,
    ),
    "802.11 with HT control": (
        link.LINKTYPE_IEEE802_11,
        Dot11(subtype=8, FCfield=0x80, **WLAN) / Dot11QoS() / Raw(bytes(4)) / IN_SNAP,
    ),
    "802.11, several in one": (
        link.LINKTYPE_IEEE802_11,
        Dot11(subtype=8, **WLAN) / Dot11QoS(A_MSDU_Present=1) / MANY,
    ),
    "radiotap": (link.LINKTYPE_RADIOTAP, TAP / Dot11(subtype=8, **WLAN) / Dot11QoS() / IN_SNAP),
    "PPI": (
        link.LINKTYPE_PPI,
        Raw(bytes.fromhex("0000080069000000")) / Dot11(subtype=8, **WLAN) / Dot11QoS() / IN_SNAP,
    ),
}


@pytest.mark.parametrize("name", LINKS)
def test_links_with_headers_of_802_2(name: str) -> None:
    """RFC 1042: IP behind a length, and on the air."""
    linktype, frame = LINKS[name]
    parsed = FrameParser().parse(block([bytes(frame)], linktype))
    assert found(parsed) == [(*ENDS_V4, RTP, "")]
    assert not parsed.tunnels
    assert not parsed.bad


@pytest.mark.parametrize(
    ("linktype", "frame"),
    [
        (link.LINKTYPE_ETHERNET, Dot3(**MAC) / LLC() / STP()),
        (link.LINKTYPE_IEEE802_11, Dot11(type=0, subtype=8, addr1=MAC["dst"]) / Raw(bytes(60))),
        (link.LINKTYPE_IEEE802_11, Dot11(subtype=4, **WLAN) / IN_SNAP),
        (link.LINKTYPE_IEEE802_11, Dot11(FCfield=0x40, **WLAN) / IN_SNAP),
        (link.LINKTYPE_IEEE802_11, Dot11(FCfield=0x04, **WLAN) / IN_SNAP),
        (link.LINKTYPE_IEEE802_11, Dot11(SC=1, **WLAN) / IN_SNAP),
    ],
    ids=["spanning tree", "beacon", "no data", "encrypted", "first fragment", "later fragment"],
)
def test_what_else_is_on_such_links_is_nothing_and_no_fault(linktype: int, frame: Packet) -> None:
    parsed = FrameParser().parse(block([bytes(frame)], linktype))
    assert not found(parsed)
    assert not parsed.bad


@pytest.mark.parametrize("name", LINKS)
def test_such_frames_cut_anywhere_invent_nothing(name: str) -> None:
    linktype, frame = LINKS[name]
    raw = bytes(frame)
    for ends in found(FrameParser().parse(block([raw[:size] for size in range(len(raw) + 1)], linktype))):
        assert ends[:2] == ENDS_V4
        assert ends[2] == RTP[: len(ends[2])]


def test_c18_a_link_type_that_nothing_reads_is_counted() -> None:
    parsed = FrameParser().parse(block([bytes(FRAME), bytes(FRAME)], 12_345))
    assert not found(parsed)
    assert parsed.bad == {"link-type": 2}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_cut_anywhere_nothing_raises_and_nothing_is_invented(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(CASES)))
    raw = bytes(CASES[name][0])
    pieces = [raw[:size] for size in range(len(raw) + 1)]
    for ends in found(FrameParser().parse(block(pieces))):
        assert ends[2] == RTP[: len(ends[2])] or ends[3] == "", name


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(CASES)), st.data())
def test_damaged_anywhere_nothing_raises(name: str, data: st.DataObject) -> None:
    raw = bytearray(bytes(CASES[name][0]))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    FrameParser().parse(block([bytes(raw), bytes(CASES[name][0])]))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([(port, 0) for port in (4789, 8472, 4790, 6081, 37008, 2152, 7932)] + [(0, 47), (0, 4)]),
    st.binary(max_size=120),
)
def test_random_bytes_behind_a_tunnel_port_never_raise(where: tuple[int, int], payload: bytes) -> None:
    port, protocol = where
    outer = OUTER / UDP(sport=1, dport=port) if port else ETHER / IP(proto=protocol)
    FrameParser().parse(block([bytes(outer / Raw(payload))]))


@pytest.mark.parametrize("port", [4789, 8472, 4790, 6081, 37008, 2152, 7932])
@pytest.mark.parametrize("first", [0x80, 0x90, 0xA0, 0x81, 0x88, 0x8C])
def test_rtp_on_the_port_of_a_tunnel_is_rtp(port: int, first: int) -> None:
    rng = np.random.default_rng(port + first)
    payloads = [
        bytes([first, 8]) + n.to_bytes(2) + rng.bytes(168) if n % 2 else bytes([first, 0, 0, 0]) + bytes(168)
        for n in range(200)
    ]
    parsed = FrameParser().parse(block([bytes(udp(port, Raw(each))) for each in payloads]))
    assert [each[2:] for each in found(parsed)] == [(payload, "") for payload in payloads]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(OUTER / GRE(proto=0x6558) / ETHER / ARP(), id="ARP in GRE"),
        pytest.param(ETHER / PPPoE() / PPP(proto=0xC021) / Raw(bytes(20)), id="LCP"),
        pytest.param(ETHER / MACsec(E=1, C=1, SC=0, SCI=None) / Raw(bytes(V4)), id="encrypted MACsec"),
        pytest.param(OUTER / GRE(proto=0x2000) / Raw(bytes(V4)), id="CDP in GRE"),
    ],
)
def test_what_carries_no_ip_is_no_fault(frame: Packet) -> None:
    parsed = FrameParser().parse(block([bytes(frame)]))
    assert found(parsed) == []
    assert not parsed.bad


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(OUTER / GRE(version=2) / V4, id="GRE of another version"),
        pytest.param(OUTER / GRE(routing_present=1) / V4, id="routing in GRE"),
        pytest.param(
            OUTER / GRE(proto=0x88BE, seqnum_present=1) / Raw(bytes(8) + bytes(FRAME)), id="ERSPAN 0"
        ),
        pytest.param(ETHER / IP(proto=4) / Raw(b"\x75" + bytes(40)), id="IP of version 7"),
    ],
)
def test_a_header_that_is_none_is_counted(frame: Packet) -> None:
    parsed = FrameParser().parse(block([bytes(frame)]))
    assert found(parsed) == []
    assert parsed.bad == {"tunnel-header": 1}
