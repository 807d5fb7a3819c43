"""Sound inputs to start from: frames of the project's own captures, and the same in other wrappings."""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path

_DATA = Path(__file__).parents[1] / "tests" / "data"
_ETHERNET, _IPV4, _UDP = 14, 20, 8
#: Frames taken from each capture: all of its signalling, and so many others.
_OTHERS = 60


def _records(capture: bytes) -> list[bytes]:
    """The frames of a little-endian pcap of Ethernet, as the project's captures are."""
    frames, at = [], 24
    while at + 16 <= len(capture):
        size = struct.unpack_from("<I", capture, at + 8)[0]
        frames.append(capture[at + 16 : at + 16 + size])
        at += 16 + size
    return frames


def _is_udp(frame: bytes) -> bool:
    return frame[12:15] == b"\x08\x00\x45" and frame[23] == 17 and len(frame) > _ETHERNET + _IPV4 + _UDP


def sip_of(frame: bytes) -> bytes:
    """The SIP message in a frame, or nothing."""
    payload = frame[_ETHERNET + _IPV4 + _UDP :]
    return payload if _is_udp(frame) and b"SIP/2.0" in payload[:400] else b""


def vlan(frame: bytes, *tags: int) -> bytes:
    """The frame with 802.1Q tags (QinQ if more than one)."""
    stack = b"".join(
        struct.pack("!HH", 0x88A8 if n < len(tags) - 1 else 0x8100, tag) for n, tag in enumerate(tags)
    )
    return frame[:12] + stack + frame[12:]


def ipv6(frame: bytes, extensions: bytes = b"") -> bytes:
    """The UDP datagram of an IPv4 frame over IPv6, behind ready-made extension headers (RFC 8200 §4)."""
    transport = frame[_ETHERNET + _IPV4 :]
    first = 0 if extensions else 17
    header = struct.pack("!IHBB", 0x60000000, len(extensions) + len(transport), first, 64)
    ends = [b"\xfd" + bytes(11) + frame[at : at + 4] for at in (26, 30)]
    return frame[:12] + b"\x86\xdd" + header + b"".join(ends) + extensions + transport


def fragments(frame: bytes, size: int = 400) -> list[bytes]:
    """An IPv4 frame in fragments of ``size`` bytes (a multiple of 8)."""
    header, payload = bytearray(frame[_ETHERNET : _ETHERNET + _IPV4]), frame[_ETHERNET + _IPV4 :]
    pieces = []
    for at in range(0, len(payload), size):
        piece = payload[at : at + size]
        more = 0x2000 if at + size < len(payload) else 0
        struct.pack_into("!H", header, 2, _IPV4 + len(piece))
        struct.pack_into("!H", header, 6, more | at // 8)
        pieces.append(frame[:_ETHERNET] + bytes(header) + piece)
    return pieces


def over_tcp(frame: bytes, sequence: int) -> bytes:
    """The SIP message of a UDP frame as a TCP segment between the same ends."""
    payload = frame[_ETHERNET + _IPV4 + _UDP :]
    header = bytearray(frame[_ETHERNET : _ETHERNET + _IPV4])
    struct.pack_into("!H", header, 2, _IPV4 + 20 + len(payload))
    header[9] = 6
    tcp = frame[34:38] + struct.pack("!IIBBHHH", sequence & 0xFFFFFFFF, 1, 0x50, 0x18, 1000, 0, 0)
    return frame[:_ETHERNET] + bytes(header) + tcp + payload


def tunnelled(frame: bytes, number: int) -> bytes:
    """The frame in one of many tunnels."""
    packet = frame[_ETHERNET:]

    def within(protocol: int, inside: bytes) -> bytes:
        header = bytearray(frame[_ETHERNET : _ETHERNET + _IPV4])
        struct.pack_into("!H", header, 2, _IPV4 + len(inside))
        header[9] = protocol
        return frame[:_ETHERNET] + bytes(header) + inside

    def by_udp(port: int, inside: bytes) -> bytes:
        return within(17, struct.pack("!HHHH", 50000, port, _UDP + len(inside), 0) + inside)

    def typed(ethertype: int, inside: bytes) -> bytes:
        return frame[:12] + struct.pack("!H", ethertype) + inside

    ways = (
        lambda: within(47, b"\0\0\x08\0" + packet),
        lambda: within(47, b"\x10\0\x88\xbe" + bytes(4) + b"\x10" + bytes(7) + frame),
        lambda: within(47, b"\x10\0\x22\xeb" + bytes(4) + b"\x20" + bytes(10) + b"\1" + bytes(8) + frame),
        lambda: within(4, packet),
        lambda: by_udp(4789, b"\x08" + bytes(5) + b"\x2a\0" + frame),
        lambda: by_udp(4790, b"\x0c\0\0\1" + bytes(4) + packet),
        lambda: by_udp(6081, b"\1\0\x65\x58" + bytes(8) + frame),
        lambda: by_udp(37008, b"\1\0\0\1\0\x0a\1\xfd\1" + frame),
        lambda: by_udp(2152, b"\x34\xff\0\0" + bytes(7) + b"\x85\1\0\0\0" + packet),
        lambda: by_udp(7932, bytes(12) + frame),
        lambda: typed(0x8864, b"\x11\0\0\1\0\0\0\x21" + packet),
        lambda: typed(0x8847, b"\0\6\x40\x40\0\6\x41\x40" + packet),
        lambda: typed(0x8847, b"\0\6\x41\x40" + bytes(4) + frame),
        lambda: typed(0x88E7, bytes(4) + frame),
        lambda: typed(0x88E5, bytes(6) + b"\x08\0" + packet),
        lambda: typed(0x8909, b"\1\1\0\1\0\2\x08\0" + packet),
    )
    return ways[number % len(ways)]()


def coalesced(some: list[bytes]) -> bytes:
    """The payloads of frames of one flow in a frame, as UDP GRO makes it."""
    header = bytearray(some[0][: _ETHERNET + _IPV4 + _UDP])
    payload = b"".join(frame[_ETHERNET + _IPV4 + _UDP :] for frame in some)
    struct.pack_into("!H", header, _ETHERNET + 2, _IPV4 + _UDP + len(payload))
    struct.pack_into("!H", header, _ETHERNET + _IPV4 + 4, _UDP + len(payload))
    return bytes(header) + payload


@lru_cache(maxsize=1)
def frames() -> tuple[bytes, ...]:
    """Sound frames: SIP and RTP as captured; VLANs, IPv6, fragments, TCP, tunnels, superframes of them."""
    plain: list[bytes] = []
    for path in sorted(_DATA.glob("*.pcap")):
        records = _records(path.read_bytes())
        plain += [frame for frame in records if sip_of(frame)]
        plain += [frame for frame in records if not sip_of(frame)][:_OTHERS]
    if not plain:
        raise FileNotFoundError(f"no captures to start from in {_DATA}")
    udp = [frame for frame in plain if _is_udp(frame)]
    sip = [frame for frame in udp if sip_of(frame)]
    wrapped = [vlan(frame, 100) for frame in udp[::5]] + [vlan(frame, 7, 100) for frame in udp[1::7]]
    wrapped += [ipv6(frame) for frame in udp[::4]]
    wrapped += [ipv6(frame, b"\x3c\0\1\4\0\0\0\0\x11\0\1\4\0\0\0\0") for frame in udp[::9]]
    wrapped += [piece for frame in sip[::2] for piece in fragments(frame)]
    wrapped += [tunnelled(frame, n) for n, frame in enumerate(udp[::3])]
    wrapped += [tunnelled(tunnelled(frame, n), n // 3) for n, frame in enumerate(udp[::8])]
    wrapped += [piece for n, frame in enumerate(sip[::4]) for piece in fragments(tunnelled(frame, n))]
    wrapped += [coalesced([frame] * (2 + n % 5)) for n, frame in enumerate(udp[::9])]
    sequence = 1000
    for frame in sip:
        wrapped.append(over_tcp(frame, sequence))
        sequence += len(sip_of(frame))
    return tuple(plain + wrapped)


@lru_cache(maxsize=1)
def messages() -> tuple[bytes, ...]:
    """Sound SIP messages."""
    return tuple(message for frame in frames() if (message := sip_of(frame)))


@lru_cache(maxsize=1)
def captures() -> tuple[bytes, ...]:
    """Small sound capture files: the beginnings of the project's own, and a pcapng of the same frames."""
    whole = [path.read_bytes() for path in sorted(_DATA.glob("*.pcap"))]
    return (*(capture[:4000] for capture in whole), pcapng(list(frames())[:12]))


def pcapng(some: list[bytes]) -> bytes:
    """A pcapng section with one interface (the format of draft-ietf-opsawg-pcapng)."""

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack("<I", 12 + len(body))
        return struct.pack("<I", kind) + size + body + size

    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack("<HHI", 1, 0, 65535) + struct.pack("<HHB3xI", 9, 1, 9, 0))
    for number, frame in enumerate(some):
        at = 1_795_464_000_000_000_000 + number * 20_000_000
        out += block(6, struct.pack("<IIIII", 0, at >> 32, at & 0xFFFFFFFF, len(frame), len(frame)) + frame)
    return out
