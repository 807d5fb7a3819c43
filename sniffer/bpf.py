"""The kernel filter of the live capture: classic BPF, generated here, never taken from libpcap as it is.

It has two jobs. It drops what can never carry a call (ARP, STP, LLDP, whatever is not IP) before it costs
ring space, and it applies a person's own filter in tcpdump's language without the two losses that such
filters bring to other recorders (C1):

* A filter by port knows nothing of IP fragments after the first, which have no ports, nor of IPv6 packets
  with extension headers, behind which libpcap does not look. Both are admitted before the person's filter
  is asked; reassembly and the parser decide later. (So the filter spares work; it is no means of keeping
  somebody from being recorded.)
* libpcap computes offsets for an untagged frame, so ``port 5060`` never matches inside 802.1Q or QinQ. It
  could be told ``vlan and ...``, but that word moves the offsets of all that follows it, in an ``or`` too,
  and frames would be accepted by whichever reading is wrong as soon as a filter says ``not``. Instead the
  compiled program is laid down once for each number of VLAN tags in a frame's bytes, its load offsets moved
  behind the tags, and every frame is judged by the one copy that reads it rightly.

* A filter by port or network cannot see into a tunnel: it would ask the tunnel's own port and addresses. So
  tunnels are admitted like fragments, before the filter is asked, unless it speaks of tunnels itself
  (``gre``, ``vxlan``, ``pppoes``, ``mpls``, ``proto 47``, ``port 4789`` and the like): then it is believed.

Linux takes the outermost 0x8100 or 0x88a8 tag out of the bytes before a packet socket sees the frame. For
most filters that is one tag less to look past. A filter that itself says ``vlan`` asks for the tag, so it is
laid down in two other readings: as it is, and with the tag read from the packet's metadata. Such a filter
has to name every tag of a QinQ frame, as in tcpdump.

Classic BPF jumps only forward, and a load behind the end of the frame rejects it.
"""

from __future__ import annotations

import ctypes
import re
import struct
from typing import NamedTuple

from bystander.sniffer.errors import CaptureError
from bystander.sniffer.frames import LINKTYPE_ETHERNET
from bystander.sniffer.tunnels import ETHERTYPES as TUNNEL_ETHERTYPES
from bystander.sniffer.tunnels import PROTOCOLS as TUNNEL_PROTOCOLS
from bystander.sniffer.tunnels import UDP_PORTS as TUNNEL_PORTS

# Instruction codes of classic BPF (linux/bpf_common.h), only those used here.
LD_WORD, LD_HALF, LD_BYTE = 0x20, 0x28, 0x30  # absolute
LD_IMMEDIATE = 0x00
LD_INDEXED = (0x40, 0x48, 0x50)  # word, half, byte at X + k
LD_HALF_INDEXED = 0x48
LDX_MSH = 0xB1  # X = 4 * (byte[k] & 15): the length of an IPv4 header
AND = 0x54
JUMP, JUMP_EQUAL, JUMP_SET = 0x05, 0x15, 0x45
RETURN = 0x06
_SIZES = {LD_WORD: 4, LD_HALF: 2, LD_BYTE: 1, LDX_MSH: 1}

#: Loads from here on read the packet's metadata, not its bytes (linux/filter.h, SKF_AD_OFF).
METADATA = 0xFFFFF000
METADATA_VLAN_TAG = METADATA + 44
METADATA_VLAN_PRESENT = METADATA + 48

ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
ETHERTYPES_VLAN = (0x8100, 0x88A8, 0x9100)
#: Hop-by-hop, routing, fragment, authentication, destination options (RFC 8200, RFC 4302).
EXTENSION_HEADERS = (0, 43, 44, 51, 60)

#: VLAN tags in the bytes that are looked through; a frame with more is admitted unseen.
MAX_TAGS = 3
#: What an accepting filter returns: the bytes to keep, more than any frame has.
KEEP_ALL = 262_144
#: The kernel's limit on one program (linux/bpf_common.h, BPF_MAXINSNS).
MAX_INSTRUCTIONS = 4096

_LIBPCAP_NAMES = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so")
_NETMASK_UNKNOWN = 0xFFFFFFFF
_DLT_ETHERNET, _DLT_RAW = 1, 12
_UDP = 17


class Instruction(NamedTuple):
    """One classic BPF instruction; ``jt`` and ``jf`` are jumps relative to the next one."""

    code: int
    jt: int
    jf: int
    k: int


Program = list[Instruction]


#: The program that admits every frame whole.
ADMIT_ALL: Program = [Instruction(RETURN, 0, 0, KEEP_ALL)]


_PORTS = "|".join(map(str, TUNNEL_PORTS))
_PROTOCOLS = "|".join(map(str, TUNNEL_PROTOCOLS))
#: A filter that knows of tunnels.
_NAMES_TUNNELS = re.compile(
    rf"\b(gre|vxlan|geneve|mpls|pppoes|proto\s+\\?(gre|ipip|ipv6|{_PROTOCOLS})|port\s+({_PORTS}))\b"
)


def kernel_filter(linktype: int, user_filter: str | None = None) -> Program:
    """Generate the program for an interface of ``linktype`` (Ethernet, or raw IP for all others).

    Raises CaptureError when ``user_filter`` does not compile, cannot be combined, or libpcap is missing.
    """
    ethernet = linktype == LINKTYPE_ETHERNET
    user = None
    if user_filter is not None and user_filter.strip():
        user = compile_user_filter(user_filter, _DLT_ETHERNET if ethernet else _DLT_RAW)
    names_tags = re.search(r"\bvlan\b", user_filter or "") is not None
    unasked = user is not None and not _NAMES_TUNNELS.search(user_filter or "")
    program = _ethernet_filter(user, names_tags, unasked) if ethernet else _raw_ip_filter(user, unasked)
    if len(program) > MAX_INSTRUCTIONS:
        raise CaptureError(
            f"the capture filter is too long: {len(program)} instructions, the kernel takes "
            f"{MAX_INSTRUCTIONS}; name networks instead of single hosts"
        )
    return program


def pack(program: Program) -> bytes:
    """The program as an array of ``struct sock_filter``."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


class _Pending(NamedTuple):
    """A jump whose distance is not known yet."""

    code: int
    k: int
    to: str


class _Assembler:
    """Puts a program together with named jump targets; all of them lie ahead, as classic BPF demands."""

    def __init__(self) -> None:
        self._code: list[Instruction | _Pending] = []
        self._labels: dict[str, int] = {}

    def label(self, name: str) -> None:
        self._labels[name] = len(self._code)

    def do(self, code: int, k: int) -> None:
        self._code.append(Instruction(code, 0, 0, k))

    def branch(self, code: int, k: int, to: str) -> None:
        """Jump when the accumulator fulfils the condition, else go on."""
        self._code.append(_Pending(code, k, to))

    def goto(self, to: str) -> None:
        self._code.append(_Pending(JUMP, 0, to))

    def include(self, program: Program) -> None:
        """Insert a whole program: it ends in verdicts of its own, and its jumps stay inside it."""
        self._code.extend(program)

    def assemble(self) -> Program:
        program = []
        for at, item in enumerate(self._code):
            if isinstance(item, _Pending):
                distance = self._labels[item.to] - at - 1
                # Only the unconditional jump has room for a distance over 255.
                if item.code == JUMP:
                    program.append(Instruction(JUMP, 0, 0, distance))
                else:
                    program.append(Instruction(item.code, distance, 0, item.k))
            else:
                program.append(item)
        return program


def _ethernet_filter(user: Program | None, names_tags: bool, unasked: bool) -> Program:
    """Ethernet: classify under up to MAX_TAGS tags in the bytes, then ask the person's program."""
    asm = _Assembler()
    for tags in range(MAX_TAGS + 1):
        asm.label(f"tags {tags}")
        base = 4 * tags
        asm.do(LD_HALF, base + 12)
        asm.branch(JUMP_EQUAL, ETHERTYPE_IPV4, f"ipv4 {tags}")
        asm.branch(JUMP_EQUAL, ETHERTYPE_IPV6, f"ipv6 {tags}")
        for ethertype in ETHERTYPES_VLAN:
            asm.branch(JUMP_EQUAL, ethertype, f"tags {tags + 1}")
        for ethertype in TUNNEL_ETHERTYPES:
            asm.branch(JUMP_EQUAL, ethertype, f"accept {tags}" if unasked else f"ask {tags}")
        asm.do(RETURN, 0)
        _judge_ip(asm, base + 14, str(tags), unasked)
        asm.goto("user" if user is None or names_tags else f"user {tags}")
    asm.label(f"tags {MAX_TAGS + 1}")
    asm.do(RETURN, KEEP_ALL)
    if user is None:
        asm.label("user")
        asm.do(RETURN, KEEP_ALL)
    elif names_tags:
        asm.label("user")
        asm.do(LD_WORD, METADATA_VLAN_PRESENT)
        asm.branch(JUMP_EQUAL, 0, "tags in bytes")
        asm.goto("tag in metadata")
        asm.label("tags in bytes")
        asm.include(user)
        asm.label("tag in metadata")
        asm.include(with_metadata_tag(user))
    else:
        for tags in range(MAX_TAGS + 1):
            asm.label(f"user {tags}")
            asm.include(behind_tags(user, tags))
    return asm.assemble()


def _raw_ip_filter(user: Program | None, unasked: bool) -> Program:
    """Raw IP (tunnels): the IP header is the frame's beginning."""
    asm = _Assembler()
    asm.do(LD_BYTE, 0)
    asm.do(AND, 0xF0)
    asm.branch(JUMP_EQUAL, 0x40, "ipv4 0")
    asm.branch(JUMP_EQUAL, 0x60, "ipv6 0")
    asm.do(RETURN, 0)
    _judge_ip(asm, 0, "0", unasked)
    if user is None:
        asm.do(RETURN, KEEP_ALL)
    else:
        asm.include(user)
    return asm.assemble()


def _judge_ip(asm: _Assembler, ip: int, suffix: str, unasked: bool) -> None:
    """Admit fragments, extension headers and (``unasked``) tunnels; what is left goes on behind this.

    The labels "ipv4", "ipv6", "accept" and "ask" are its own by their suffix: a branch reaches 255 further.
    """
    accept, ask = f"accept {suffix}", f"ask {suffix}"
    asm.label(f"ipv4 {suffix}")
    asm.do(LD_HALF, ip + 6)
    asm.branch(JUMP_SET, 0x1FFF, accept)
    if unasked:
        asm.do(LD_BYTE, ip + 9)
        for protocol in TUNNEL_PROTOCOLS:
            asm.branch(JUMP_EQUAL, protocol, accept)
        asm.branch(JUMP_EQUAL, _UDP, f"udp {suffix}")
        asm.goto(ask)
        asm.label(f"udp {suffix}")
        asm.do(LDX_MSH, ip)
        asm.do(LD_HALF_INDEXED, ip + 2)
        for port in TUNNEL_PORTS:
            asm.branch(JUMP_EQUAL, port, accept)
    asm.goto(ask)
    asm.label(f"ipv6 {suffix}")
    asm.do(LD_BYTE, ip + 6)
    for header in EXTENSION_HEADERS:
        asm.branch(JUMP_EQUAL, header, accept)
    if unasked:
        for protocol in TUNNEL_PROTOCOLS:
            asm.branch(JUMP_EQUAL, protocol, accept)
        asm.branch(JUMP_EQUAL, _UDP, f"udp in ipv6 {suffix}")
        asm.goto(ask)
        asm.label(f"udp in ipv6 {suffix}")
        asm.do(LD_HALF, ip + 42)
        for port in TUNNEL_PORTS:
            asm.branch(JUMP_EQUAL, port, accept)
    asm.goto(ask)
    asm.label(accept)
    asm.do(RETURN, KEEP_ALL)
    asm.label(ask)


def behind_tags(program: Program, tags: int) -> Program:
    """The program as it must read a frame with ``tags`` VLAN tags in its bytes: the tags overlooked.

    Addresses (bytes 0-11) stay where they are; the type and all behind it move by four bytes a tag.
    """
    moved = []
    for instruction in program:
        code, jt, jf, k = instruction
        in_bytes = (code in _SIZES or code in LD_INDEXED) and 12 <= k < METADATA
        moved.append(Instruction(code, jt, jf, k + 4 * tags) if in_bytes else instruction)
    return moved


def with_metadata_tag(program: Program) -> Program:
    """The program as it must read a frame whose tag the kernel has moved from the bytes to the metadata.

    It sees the tag where it was: the type is 0x8100, the tag's number comes from the metadata, and all
    behind it is found four bytes earlier. A load that would straddle the tag rejects.
    """
    moved = []
    for instruction in program:
        code, jt, jf, k = instruction
        if not (code in _SIZES or code in LD_INDEXED) or k >= METADATA:
            moved.append(instruction)
        elif k >= 16:
            moved.append(Instruction(code, jt, jf, k - 4))
        elif code in _SIZES and k + _SIZES[code] <= 12:
            moved.append(instruction)
        elif (code, k) == (LD_HALF, 12):
            moved.append(Instruction(LD_IMMEDIATE, 0, 0, ETHERTYPES_VLAN[0]))
        elif (code, k) == (LD_HALF, 14):
            moved.append(Instruction(LD_WORD, 0, 0, METADATA_VLAN_TAG))
        else:
            moved.append(Instruction(RETURN, 0, 0, 0))
    return moved


class _BpfProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


def compile_user_filter(text: str, datalink: int) -> Program:
    """Compile tcpdump's filter language with libpcap, for a DLT number.

    Raises CaptureError with libpcap's own words when the filter is wrong, or when libpcap is not installed.
    """
    library = _load_libpcap()
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_geterr.restype = ctypes.c_char_p
    handle = ctypes.c_void_p(library.pcap_open_dead(datalink, KEEP_ALL))
    if not handle:
        raise CaptureError("libpcap could not be started to compile the capture filter: out of memory")
    compiled = _BpfProgram()
    try:
        encoded = ctypes.c_char_p(text.encode())
        netmask = ctypes.c_uint32(_NETMASK_UNKNOWN)
        if library.pcap_compile(handle, ctypes.byref(compiled), encoded, 1, netmask) != 0:
            reason = " ".join(library.pcap_geterr(handle).decode(errors="replace").split())
            raise CaptureError(f"capture filter {text!r} is not valid: {reason} (see pcap-filter(7))")
        packed = ctypes.string_at(compiled.instructions, 8 * compiled.length)
        library.pcap_freecode(ctypes.byref(compiled))
    finally:
        library.pcap_close(handle)
    return [Instruction(*fields) for fields in struct.iter_unpack("=HBBI", packed)]


def _load_libpcap() -> ctypes.CDLL:
    for name in _LIBPCAP_NAMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise CaptureError(
        "a capture filter needs libpcap to compile it, and libpcap is not installed: "
        "install the Debian package libpcap0.8"
    )
