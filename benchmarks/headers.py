"""Ethernet, IPv4 and UDP headers for generated frames."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

ETHERNET, IPV4, UDP, TCP = 14, 20, 8, 20


def address(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))


def ethernet(src_ip: str, dst_ip: str, *, broadcast: bool = False) -> bytes:
    """An Ethernet II header for IPv4, with MAC addresses made from the IP addresses."""
    dst = b"\xff" * 6 if broadcast else b"\x02\x00" + address(dst_ip)
    return dst + b"\x02\x00" + address(src_ip) + b"\x08\x00"


def checksum(header: bytes) -> int:
    """The Internet checksum (RFC 1071) of a header of even length."""
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(src_ip: str, dst_ip: str, size: int, *, protocol: int = 17, ident: int = 0, ttl: int = 64) -> bytes:
    """An IPv4 header without options before ``size`` bytes of transport header and payload."""
    fields = struct.pack("!BBHHHBBH", 0x45, 0, IPV4 + size, ident, 0x4000, ttl, protocol, 0)
    header = fields + address(src_ip) + address(dst_ip)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:]


def udp_frame(
    src: tuple[str, int], dst: tuple[str, int], payload: bytes, *, ident: int = 0, broadcast: bool = False
) -> bytes:
    """A whole Ethernet frame; the UDP checksum is 0, "not computed", as RFC 768 allows on IPv4."""
    size = UDP + len(payload)
    return (
        ethernet(src[0], dst[0], broadcast=broadcast)
        + ipv4(src[0], dst[0], size, ident=ident)
        + struct.pack("!HHHH", src[1], dst[1], size, 0)
        + payload
    )


def tcp_frame(src: tuple[str, int], dst: tuple[str, int], payload: bytes, *, flags: int = 0x10) -> bytes:
    """A whole Ethernet frame with a TCP segment, sequence numbers 0 (the writer of the noise sets them)."""
    header = struct.pack("!HHIIBBHHH", src[1], dst[1], 0, 0, 0x50, flags, 502, 0, 0)
    size = len(header) + len(payload)
    return ethernet(src[0], dst[0]) + ipv4(src[0], dst[0], size, protocol=6) + header + payload


def big_endian(values: NDArray[np.int64], dtype: str) -> NDArray[np.uint8]:
    """uint8[n, size of dtype]: the values as the wire has them."""
    wide = values.astype(dtype)
    return wide.view(np.uint8).reshape(len(values), wide.itemsize)
