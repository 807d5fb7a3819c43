"""The frames that do not fit an array: IP options, IPv6 extension headers, fragments, TCP. One at a time.

They are few on any mirror port, and each is read with the same checks a host would make.
"""

from __future__ import annotations

import ipaddress

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.datagrams import Parsed, synthetic
from bystander.sniffer.fragments import Fragment
from bystander.sniffer.frames import LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, Frames
from bystander.sniffer.realm import realm_at, within
from bystander.sniffer.tcp import Segment
from bystander.sniffer.tunnels import PROTOCOLS as TUNNEL_PROTOCOLS

#: Headers that may be followed by VLAN tags.
_LINK_BYTES = {LINKTYPE_ETHERNET: 14, LINKTYPE_LINUX_SLL: 16, LINKTYPE_LINUX_SLL2: 22}

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
PROTOCOL_TCP = 6
PROTOCOL_UDP = 17

#: Hop-by-hop, routing, destination options, mobility, HIP, shim6: all carry their length in the second byte.
_V6_EXTENSIONS = frozenset({0, 43, 60, 135, 139, 140})
_V6_FRAGMENT = 44
_V6_AUTHENTICATION = 51
_MAX_EXTENSIONS = 16
#: What is put together of fragments; of these only the first two are read here.
_REASSEMBLED = frozenset({PROTOCOL_UDP, PROTOCOL_TCP, *TUNNEL_PROTOCOLS})


def add_odd_frames(
    parsed: Parsed,
    frames: Frames,
    which: NDArray[np.int64],
    l3: NDArray[np.int64],
    ethertype: NDArray[np.uint16],
) -> None:
    """Read the frames numbered ``which`` and add what they carry to ``parsed``."""
    for i in which.tolist():
        start = int(l3[i])
        end = int(frames.offset[i] + frames.captured[i])
        packet = frames.data[start:end].tobytes()
        # The VLAN stack is part of a fragment's key (C2): two customers may use one address plan.
        link = _LINK_BYTES.get(frames.linktype)
        tags = b"" if link is None else frames.data[int(frames.offset[i]) + link - 2 : start - 2].tobytes()
        time_ns = int(frames.time_ns[i])
        tunnel = 0 if frames.tunnel is None else int(frames.tunnel[i])
        if tunnel:
            tags += tunnel.to_bytes(8)
        if int(ethertype[i]) == ETHERTYPE_IPV4:
            reason = _ipv4(parsed, packet, time_ns, tags, tunnel)
        else:
            reason = _ipv6(parsed, packet, time_ns, tags, tunnel)
        if reason:
            parsed.bad[reason] += 1


def _ipv4(parsed: Parsed, packet: bytes, time_ns: int, tags: bytes, tunnel: int) -> str:
    """Read one IPv4 packet (RFC 791); return why it is bad, or ""."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return "ip-header"
    header = (packet[0] & 15) * 4
    total = packet[2] << 8 | packet[3]
    # A total length of zero is segmentation offload on the capturing host: take what is there.
    total = min(total or len(packet), len(packet))
    if header < 20 or total < header:
        return "ip-header"
    payload, protocol = packet[header:total], packet[9]
    flags = packet[6] << 8 | packet[7]
    if protocol not in _REASSEMBLED:
        return ""
    src, dst = packet[12:16], packet[16:20]
    if flags & 0x3FFF:
        key = (tags, 4, src, dst, protocol, packet[4:6])
        parsed.fragments.append(
            Fragment(key, (flags & 0x1FFF) * 8, bool(flags & 0x2000), payload, time_ns, protocol, tunnel)
        )
        return ""
    ends = str(ipaddress.IPv4Address(src)), str(ipaddress.IPv4Address(dst))
    return transport(parsed, *ends, protocol, payload, time_ns, tunnel)


def _ipv6(parsed: Parsed, packet: bytes, time_ns: int, tags: bytes, tunnel: int) -> str:
    """Read one IPv6 packet and its extension headers (RFC 8200); return why it is bad, or ""."""
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return "ip-header"
    length = packet[4] << 8 | packet[5]
    end = min(40 + length if length else len(packet), len(packet))
    protocol, at = packet[6], 40
    src, dst = packet[8:24], packet[24:40]
    for _ in range(_MAX_EXTENSIONS):
        if protocol in _V6_EXTENSIONS or protocol == _V6_AUTHENTICATION:
            if at + 8 > end:
                return "ip-extension"
            size = (packet[at + 1] + 2) * 4 if protocol == _V6_AUTHENTICATION else (packet[at + 1] + 1) * 8
            protocol, at = packet[at], at + size
            if at > end:
                return "ip-extension"
        elif protocol == _V6_FRAGMENT:
            if at + 8 > end:
                return "ip-extension"
            inner, place = packet[at], packet[at + 2] << 8 | packet[at + 3]
            if inner not in _REASSEMBLED:
                return ""
            key = (tags, 6, src, dst, inner, packet[at + 4 : at + 8])
            parsed.fragments.append(
                Fragment(key, place & 0xFFF8, bool(place & 1), packet[at + 8 : end], time_ns, inner, tunnel)
            )
            return ""
        else:
            break
    else:
        return "ip-extension"
    ends = str(ipaddress.IPv6Address(src)), str(ipaddress.IPv6Address(dst))
    return transport(parsed, *ends, protocol, packet[at:end], time_ns, tunnel)


def ip_packet(src: bytes, dst: bytes, protocol: int, payload: bytes) -> bytes:
    """Build the packet that was sent in fragments; a payload too long for the length field is length 0."""
    if len(src) == 16:
        size = len(payload)
        return (
            b"\x60\0\0\0"
            + (size if size <= 65535 else 0).to_bytes(2)
            + bytes((protocol, 64))
            + src
            + dst
            + payload
        )
    size = 20 + len(payload)
    length = (size if size <= 65535 else 0).to_bytes(2)
    return b"\x45\0" + length + bytes(4) + bytes((64, protocol, 0, 0)) + src + dst + payload


def transport(
    parsed: Parsed, src: str, dst: str, protocol: int, payload: bytes, time_ns: int, tunnel: int = 0
) -> str:
    """Read a UDP datagram or TCP segment and add it to ``parsed``; return why it is bad, or ""."""
    if protocol not in (PROTOCOL_UDP, PROTOCOL_TCP):
        return ""
    if len(payload) < 8:
        return "transport-header"
    realm = realm_at(tunnel)
    source = (within(src, realm), payload[0] << 8 | payload[1])
    destination = (within(dst, realm), payload[2] << 8 | payload[3])
    if protocol == PROTOCOL_UDP:
        length = payload[4] << 8 | payload[5]
        if length < 8:
            return "udp-length"
        if length > len(payload):
            parsed.bad["udp-cut-short"] += 1
        parsed.datagrams.append(synthetic(source, destination, payload[8:length], time_ns, tunnel))
        return ""
    header = (payload[12] >> 4) * 4 if len(payload) >= 20 else 0
    if header < 20 or header > len(payload):
        return "tcp-header"
    sequence = int.from_bytes(payload[4:8], "big")
    parsed.segments.append(Segment(source, destination, sequence, payload[13], payload[header:], time_ns))
    return ""
