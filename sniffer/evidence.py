"""The SIP messages of a call as a capture file that any dissector opens.

Link, IP and transport headers are made anew: what is kept of a message is its bytes, when and between whom it
was seen. The file is a pcap with nanoseconds, link type RAW (packets begin with the IP header). Messages over
TCP, TLS and WebSocket become TCP segments with running sequence numbers, one direction acknowledging the
other, so that a dissector follows them; they are larger than any wire's MTU when the message is.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from typing import Final

from bystander.sniffer.address import Endpoint
from bystander.sniffer.frames import LINKTYPE_RAW
from bystander.sniffer.sip import Arrival

_MAGIC_NS: Final = 0xA1B23C4D
_SNAPLEN: Final = 262_144
_TCP: Final = 6
_UDP: Final = 17
_PSH_ACK: Final = 0x18
#: The most that fits behind an IPv4 header (20 bytes) and a TCP one in a 16-bit total length.
_MOST: Final = 65_535 - 40

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def evidence_pcap(arrivals: Sequence[Arrival]) -> bytes:
    """Return a pcap of the messages, in the order given.

    A message whose endpoints are not of one IP version, or no IP addresses at all, is written between the
    unspecified addresses of that version: its bytes matter more than its frame. A message over 65,495 bytes
    is cut there on UDP and continued in another segment on TCP.
    """
    out = [struct.pack("<IHHiIII", _MAGIC_NS, 2, 4, 0, 0, _SNAPLEN, LINKTYPE_RAW)]
    sent: dict[tuple[Endpoint, Endpoint], int] = {}
    for number, arrival in enumerate(arrivals):
        raw = bytes(arrival.raw)
        if arrival.transport == "udp":
            packets = [udp_packet(arrival.src, arrival.dst, raw, number)]
        else:
            source, target = _addresses(arrival.src[0], arrival.dst[0])
            ports = arrival.src[1] & 0xFFFF, arrival.dst[1] & 0xFFFF
            packets = []
            way, back = (arrival.src, arrival.dst), (arrival.dst, arrival.src)
            for start in range(0, len(raw), _MOST):
                piece = raw[start : start + _MOST]
                sequence = sent.get(way, 1)
                fields = (*ports, sequence, sent.get(back, 1), 0x50, _PSH_ACK, 65535, 0, 0)
                segment = struct.pack("!HHIIBBHHH", *fields) + piece
                packets.append(_packet(source, target, _TCP, segment, 16, number))
                sent[way] = (sequence + len(piece)) & 0xFFFFFFFF
        seconds, fraction = divmod(arrival.time_ns, 1_000_000_000)
        for packet in packets:
            out.append(struct.pack("<IIII", seconds & 0xFFFFFFFF, fraction, len(packet), len(packet)))
            out.append(packet)
    return b"".join(out)


def udp_packet(src: Endpoint, dst: Endpoint, payload: bytes, number: int) -> bytes:
    """Return an IP packet with one UDP datagram; what does not fit into one is cut off."""
    source, target = _addresses(src[0], dst[0])
    payload = payload[:_MOST]
    header = struct.pack("!HHHH", src[1] & 0xFFFF, dst[1] & 0xFFFF, 8 + len(payload), 0)
    return _packet(source, target, _UDP, header + payload, 6, number)


def tcp_packet(src: Endpoint, dst: Endpoint, sequence: int, flags: int, payload: bytes) -> bytes:
    """Return a TCP segment behind an IP header, acknowledging nothing, for a dissector to read."""
    source, target = _addresses(src[0], dst[0])
    fields = (src[1] & 0xFFFF, dst[1] & 0xFFFF, sequence & 0xFFFFFFFF, 0, 0x50, flags & 0xFF, 65535, 0, 0)
    segment = struct.pack("!HHIIBBHHH", *fields) + payload[:_MOST]
    return _packet(source, target, _TCP, segment, 16, 0)


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of bytes, as it goes into a header."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _addresses(source: str, target: str) -> tuple[_Address, _Address]:
    one, two = _address(source), _address(target)
    if isinstance(one, ipaddress.IPv4Address) and isinstance(two, ipaddress.IPv4Address):
        return one, two
    if isinstance(one, ipaddress.IPv6Address) and isinstance(two, ipaddress.IPv6Address):
        return one, two
    return ipaddress.IPv4Address(0), ipaddress.IPv4Address(0)


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _packet(
    source: _Address, target: _Address, protocol: int, segment: bytes, checksum_at: int, number: int
) -> bytes:
    """Put an IP header before a segment, and the checksum into it."""
    addresses = source.packed + target.packed
    size = len(segment)
    if source.version == 4:
        pseudo = addresses + struct.pack("!BBH", 0, protocol, size)
    else:
        pseudo = addresses + struct.pack("!IxxxB", size, protocol)
    value = checksum(pseudo + segment)
    if protocol == _UDP and value == 0:
        value = 0xFFFF  # 0 would mean "no checksum" (RFC 768)
    segment = segment[:checksum_at] + value.to_bytes(2) + segment[checksum_at + 2 :]
    if source.version == 6:
        return struct.pack("!IHBB", 0x60000000, size, protocol, 64) + addresses + segment
    # The flag is "don't fragment"; the identification only has to differ between datagrams.
    fields = (0x45, 0, 20 + size, (number + 1) & 0xFFFF, 0x4000, 64, protocol)
    header = struct.pack("!BBHHHBB", *fields)
    return header + checksum(header + b"\0\0" + addresses).to_bytes(2) + addresses + segment
