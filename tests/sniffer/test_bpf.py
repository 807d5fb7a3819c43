"""The kernel filter, run in a small classic-BPF machine against frames of every kind (C1)."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer import bpf
from bystander.sniffer.bpf import Instruction, Program, kernel_filter
from bystander.sniffer.errors import CaptureError
from bystander.sniffer.frames import LINKTYPE_ETHERNET, LINKTYPE_RAW

SIP = b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"


def run(program: Program, frame: bytes, vlan: int | None = None) -> bool:
    """Whether the program admits the frame; ``vlan`` is the tag the kernel has moved to the metadata."""
    a = x = at = 0
    scratch = [0] * 16

    class OutOfFrameError(Exception):
        pass

    def load(offset: int, size: int) -> int:
        if offset == bpf.METADATA_VLAN_PRESENT:
            return int(vlan is not None)
        if offset == bpf.METADATA_VLAN_TAG:
            return vlan or 0
        if offset + size > len(frame):
            raise OutOfFrameError
        return int.from_bytes(frame[offset : offset + size], "big")

    def jump(instruction: Instruction) -> int:
        operand = x if instruction.code & 0x08 else instruction.k
        match instruction.code & 0xF0:
            case 0x00:
                return instruction.k
            case 0x10:
                return instruction.jt if a == operand else instruction.jf
            case 0x20:
                return instruction.jt if a > operand else instruction.jf
            case 0x30:
                return instruction.jt if a >= operand else instruction.jf
            case 0x40:
                return instruction.jt if a & operand else instruction.jf
        raise AssertionError(instruction)

    try:
        while True:
            instruction = program[at]
            at += 1
            k = instruction.k
            match instruction.code:
                case 0x20 | 0x28 | 0x30:
                    a = load(k, {0x20: 4, 0x28: 2, 0x30: 1}[instruction.code])
                case 0x40 | 0x48 | 0x50:
                    a = load(x + k, {0x40: 4, 0x48: 2, 0x50: 1}[instruction.code])
                case 0x00:
                    a = k
                case 0x01:
                    x = k
                case 0x60:
                    a = scratch[k]
                case 0x61:
                    x = scratch[k]
                case 0x02:
                    scratch[k] = a
                case 0x03:
                    scratch[k] = x
                case 0x80:
                    a = len(frame)
                case 0xB1:
                    x = 4 * (load(k, 1) & 15)
                case 0x04:
                    a = (a + k) & 0xFFFFFFFF
                case 0x0C:
                    a = (a + x) & 0xFFFFFFFF
                case 0x14:
                    a = (a - k) & 0xFFFFFFFF
                case 0x54:
                    a &= k
                case 0x74:
                    a >>= k
                case 0x07:
                    x = a
                case 0x87:
                    a = x
                case 0x06:
                    return k > 0
                case code if code & 7 == 5:
                    at += jump(instruction)
                case _:
                    raise AssertionError(instruction)
    except OutOfFrameError:
        return False


@pytest.fixture(scope="module")
def frames() -> dict[str, bytes]:
    """Untagged frames by kind: ``call …`` carry SIP or RTP, ``part …`` cannot be judged by port."""
    from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, fragment
    from scapy.layers.inet6 import (
        IPv6,
        IPv6ExtHdrDestOpt,
        IPv6ExtHdrFragment,
        IPv6ExtHdrHopByHop,
        IPv6ExtHdrRouting,
    )
    from scapy.layers.l2 import ARP, GRE, LLC, STP, Dot3, Ether
    from scapy.layers.ppp import PPP, PPPoE
    from scapy.layers.vxlan import VXLAN
    from scapy.packet import Raw

    link = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    v4 = link / IP(src="10.0.0.1", dst="10.0.0.2", id=7)
    v6 = link / IPv6(src="2001:db8::1", dst="2001:db8::2")
    inner = IP(src="192.168.0.1", dst="192.168.0.2")
    sip = UDP(sport=5060, dport=5060) / Raw(SIP)
    rtp = UDP(sport=4000, dport=4002) / Raw(bytes([0x80, 8]) + bytes(170))
    pieces = fragment(v4 / UDP(sport=5060, dport=5060) / Raw(bytes(3000)), 1400)
    kinds = {
        "call sip v4": v4 / sip,
        "call sip v4 options": link / IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_NOP()] * 4) / sip,
        "call sip tcp": v4 / TCP(sport=40000, dport=5060, flags="PA") / Raw(SIP),
        "call sip v6": v6 / sip,
        "call sip v6 tcp": v6 / TCP(sport=40000, dport=5060, flags="PA") / Raw(SIP),
        "call sip v4 first fragment": pieces[0],
        "part v4 second fragment": pieces[1],
        "part v4 last fragment": pieces[2],
        "part v6 first fragment": v6 / IPv6ExtHdrFragment(nh=17, m=1, id=9) / sip,
        "part v6 later fragment": v6 / IPv6ExtHdrFragment(nh=17, offset=100, id=9) / Raw(bytes(100)),
        "part v6 hop by hop": v6 / IPv6ExtHdrHopByHop() / sip,
        "part v6 destination options": v6 / IPv6ExtHdrDestOpt() / sip,
        "part v6 routing": v6 / IPv6ExtHdrRouting() / sip,
        "part v6 two headers": v6
        / IPv6ExtHdrHopByHop()
        / IPv6ExtHdrFragment(nh=17, offset=9)
        / Raw(bytes(60)),
        "media v4": v4 / rtp,
        "media v6": v6 / rtp,
        "tunnel gre": v4 / GRE() / inner / sip,
        "tunnel ipip": v4 / inner / sip,
        "tunnel gre, options outside": link
        / IP(proto=47, options=[IPOption_NOP()] * 4)
        / GRE()
        / inner
        / sip,
        "tunnel gre over v6": v6 / GRE() / inner / sip,
        "tunnel vxlan": v4 / UDP(sport=50000, dport=4789) / VXLAN() / v4 / sip,
        "tunnel vxlan, options outside": link
        / IP(options=[IPOption_NOP()] * 4)
        / UDP(sport=50000, dport=4789)
        / VXLAN()
        / v4
        / sip,
        "tunnel gtp over v6": v6 / UDP(sport=2152, dport=2152) / Raw(bytes(60)),
        "tunnel pppoe": link / PPPoE(sessionid=1) / PPP(proto=0x21) / inner / sip,
        "tunnel mpls": Ether(type=0x8847) / Raw(bytes.fromhex("00064140")) / inner / sip,
        "tunnel 802.1ah": Ether(type=0x88E7) / Raw(bytes(4)) / v4 / sip,
        "ping": v4 / ICMP(),
        "arp": link / ARP(),
        "stp": Dot3(dst="01:80:c2:00:00:00", src="02:00:00:00:00:01") / LLC() / STP(),
        "lldp": Ether(dst="01:80:c2:00:00:0e", type=0x88CC) / Raw(bytes(46)),
        "homeplug": Ether(type=0x88E1) / Raw(bytes(46)),
    }
    return {kind: bytes(packet) for kind, packet in kinds.items()}


NOISE = ("arp", "stp", "lldp", "homeplug")
TAGGINGS = [(), (0x8100,), (0x88A8, 0x8100), (0x9100, 0x8100), (0x8100, 0x8100, 0x8100)]


def tagged(frame: bytes, ethertypes: tuple[int, ...], vlan: int = 100) -> bytes:
    tags = b"".join(ethertype.to_bytes(2, "big") + vlan.to_bytes(2, "big") for ethertype in ethertypes)
    return frame[:12] + tags + frame[12:]


@pytest.mark.parametrize("tags", TAGGINGS)
@pytest.mark.parametrize("metadata_vlan", [None, 100])
def test_default_filter_admits_ip_and_nothing_else(
    frames: dict[str, bytes], tags: tuple[int, ...], metadata_vlan: int | None
) -> None:
    program = kernel_filter(LINKTYPE_ETHERNET)
    for kind, frame in frames.items():
        assert run(program, tagged(frame, tags), metadata_vlan) == (kind not in NOISE), kind


@pytest.mark.parametrize("user_filter", ["port 5060", "udp port 5060 or tcp port 5060"])
@pytest.mark.parametrize("tags", TAGGINGS)
def test_c1_a_filter_by_port_admits_fragments_and_tagged_frames(
    frames: dict[str, bytes], tags: tuple[int, ...], user_filter: str
) -> None:
    program = kernel_filter(LINKTYPE_ETHERNET, user_filter)
    for kind, frame in frames.items():
        wanted = kind.startswith(("call ", "part ", "tunnel "))
        for metadata_vlan in (None, 100):
            assert run(program, tagged(frame, tags), metadata_vlan) == wanted, kind


@pytest.mark.parametrize("tags", TAGGINGS)
def test_a_negated_filter_excludes_in_tagged_frames_too(
    frames: dict[str, bytes], tags: tuple[int, ...]
) -> None:
    program = kernel_filter(LINKTYPE_ETHERNET, "not port 5060")
    for kind, frame in frames.items():
        admitted = run(program, tagged(frame, tags))
        assert admitted == (kind not in NOISE and not kind.startswith("call ")), kind


@pytest.mark.parametrize("user_filter", ["port 5060", "net 10.9.0.0/16", "udp portrange 10000-20000"])
def test_tunnels_are_admitted_as_nobody_can_look_into_them(
    frames: dict[str, bytes], user_filter: str
) -> None:
    program = kernel_filter(LINKTYPE_ETHERNET, user_filter)
    for kind, frame in frames.items():
        if kind.startswith("tunnel "):
            for tags in TAGGINGS:
                assert run(program, tagged(frame, tags)), (kind, tags)


@pytest.mark.parametrize(
    ("user_filter", "kind", "admitted"),
    [
        ("not proto gre and not port 4789", "tunnel vxlan", False),
        ("not proto 47", "tunnel gre", False),
        ("not proto 47", "tunnel vxlan", True),
        ("port 5060 or proto 47", "tunnel gre", True),
        ("port 5060 or proto 47", "tunnel ipip", False),
        ("port 5060 or udp port 4789", "tunnel vxlan", True),
        ("port 5060 or udp port 4789", "tunnel pppoe", False),
        ("port 5060", "media v4", False),
    ],
)
def test_a_filter_that_speaks_of_tunnels_is_believed(
    frames: dict[str, bytes], user_filter: str, kind: str, admitted: bool
) -> None:
    for linktype, skip in ((LINKTYPE_ETHERNET, 0), (LINKTYPE_RAW, 14)):
        if skip and kind == "tunnel pppoe":
            continue
        assert run(kernel_filter(linktype, user_filter), frames[kind][skip:]) == admitted


def test_frames_under_more_tags_than_are_looked_through_are_admitted(frames: dict[str, bytes]) -> None:
    program = kernel_filter(LINKTYPE_ETHERNET, "port 5060")
    assert run(program, tagged(frames["media v4"], (0x8100,) * 4))


@pytest.mark.parametrize(
    ("user_filter", "bytes_vlan", "metadata_vlan", "admitted"),
    [
        ("vlan 100 and udp port 5060", None, 100, True),
        ("vlan 100 and udp port 5060", None, 200, False),
        ("vlan 100 and udp port 5060", None, None, False),
        ("vlan 100 and udp port 5060", 100, None, True),
        ("vlan 100 and udp port 5060", 200, None, False),
        ("vlan 100 and vlan 7 and udp port 5060", 7, 100, True),
        ("vlan 100 and vlan 7 and udp port 5060", 100, 7, False),
        ("not vlan 100", None, 100, False),
        ("not vlan 100", None, 200, True),
        ("vlan and ether src 02:00:00:00:00:01 and host 10.0.0.2", None, 5, True),
        ("vlan and ether src 02:00:00:00:00:09 and host 10.0.0.2", None, 5, False),
        # It reads across the tag's two halves, which lie in different places here: rejected.
        ("vlan and ether[13:2] = 1", None, 100, False),
    ],
)
def test_a_filter_that_names_a_vlan_finds_it_in_the_metadata_and_in_the_bytes(
    frames: dict[str, bytes],
    user_filter: str,
    bytes_vlan: int | None,
    metadata_vlan: int | None,
    admitted: bool,
) -> None:
    program = kernel_filter(LINKTYPE_ETHERNET, user_filter)
    frame = frames["call sip v4"]
    if bytes_vlan is not None:
        frame = tagged(frame, (0x8100,), bytes_vlan)
    assert run(program, frame, metadata_vlan) == admitted
    assert run(program, tagged(frames["part v4 last fragment"], (0x8100,), 200), metadata_vlan)


def test_a_port_that_is_a_vlan_ethertype_is_still_a_port(frames: dict[str, bytes]) -> None:
    frame = frames["media v4"].replace((4002).to_bytes(2, "big"), (0x8100).to_bytes(2, "big"))
    program = kernel_filter(LINKTYPE_ETHERNET, f"udp port {0x8100}")
    assert run(program, tagged(frame, (0x8100,)))
    assert not run(program, tagged(frames["media v4"], (0x8100,)))


@pytest.mark.parametrize("user_filter", [None, "port 5060"])
def test_raw_ip_interfaces_have_no_link_header(frames: dict[str, bytes], user_filter: str | None) -> None:
    program = kernel_filter(LINKTYPE_RAW, user_filter)
    for kind, frame in frames.items():
        if kind in NOISE or int.from_bytes(frame[12:14]) not in (0x0800, 0x86DD):
            continue
        wanted = user_filter is None or kind.startswith(("call ", "part ", "tunnel "))
        assert run(program, frame[14:]) == wanted, kind
    assert not run(program, bytes(60))


@given(st.binary(max_size=120), st.sampled_from([None, "port 5060", "not host 10.0.0.1"]))
def test_any_bytes_end_in_a_verdict(frame: bytes, user_filter: str | None) -> None:
    for linktype in (LINKTYPE_ETHERNET, LINKTYPE_RAW):
        admitted = run(kernel_filter(linktype, user_filter), frame)
        assert not admitted or run(kernel_filter(linktype), frame), "a filter of one's own only narrows"


@given(st.lists(st.sampled_from([0x8100, 0x88A8, 0x9100]), max_size=3), st.integers(0, 4095))
def test_c1_tags_never_change_the_verdict(tags: list[int], vlan: int) -> None:
    ip = (
        bytes.fromhex("4500002c000100004011 0000 0a000001 0a000002")
        + bytes.fromhex("13c413c400180000")
        + bytes(16)
    )
    frame = bytes(12) + b"\x08\x00" + ip
    for user_filter, wanted in (("port 5060", True), ("port 5061", False), ("not port 5060", False)):
        assert run(kernel_filter(LINKTYPE_ETHERNET, user_filter), tagged(frame, tuple(tags), vlan)) == wanted


@pytest.mark.parametrize("blank", ["", "  \n"])
def test_a_blank_filter_is_none(blank: str) -> None:
    assert kernel_filter(LINKTYPE_ETHERNET, blank) == kernel_filter(LINKTYPE_ETHERNET)


@pytest.mark.parametrize("wrong", ["port port", "vlan 9999", "udp and ("])
def test_a_wrong_filter_gives_one_line_with_libpcaps_words(wrong: str) -> None:
    with pytest.raises(CaptureError) as caught:
        kernel_filter(LINKTYPE_ETHERNET, wrong)
    message = str(caught.value)
    assert "\n" not in message
    assert wrong in message
    assert "pcap-filter" in message


def test_a_filter_too_long_for_the_kernel_is_refused() -> None:
    ports = " or ".join(f"udp port {n}" for n in range(300))
    with pytest.raises(CaptureError, match="too long"):
        kernel_filter(LINKTYPE_ETHERNET, ports)


def test_a_missing_libpcap_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ctypes.CDLL:
        raise OSError(name)

    monkeypatch.setattr(bpf.ctypes, "CDLL", missing)
    with pytest.raises(CaptureError, match=r"libpcap0\.8"):
        kernel_filter(LINKTYPE_ETHERNET, "port 5060")
    assert kernel_filter(LINKTYPE_ETHERNET)  # without a filter it is not needed


def test_programs_are_packed_as_the_kernel_reads_them() -> None:
    assert bpf.pack([Instruction(0x15, 1, 2, 0x0800)]) == bytes.fromhex("1500 01 02 00080000")
