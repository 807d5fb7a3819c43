"""RTCP packets for tests, made field by field as RFC 3550 §6 and RFC 3611 draw them."""

from __future__ import annotations

import struct


def packet(kind: int, body: bytes, count: int = 0, *, padding: int = 0) -> bytes:
    """One packet; ``body`` is filled up to 32 bits."""
    body += bytes(-len(body) % 4)
    if padding:
        body += bytes(padding - 1) + bytes([padding])
    return struct.pack("!BBH", 0x80 | (0x20 if padding else 0) | count, kind, len(body) // 4) + body


def report_block(
    ssrc: int,
    fraction: int = 0,
    lost: int = 0,
    highest: int = 0,
    jitter: int = 0,
    lsr: int = 0,
    dlsr: int = 0,
) -> bytes:
    return struct.pack("!IIIIII", ssrc, fraction << 24 | lost & 0xFFFFFF, highest, jitter, lsr, dlsr)


def sender_report(
    ssrc: int, ntp: int, rtp: int, packets: int = 0, octets: int = 0, blocks: tuple[bytes, ...] = ()
) -> bytes:
    return packet(200, struct.pack("!IQIII", ssrc, ntp, rtp, packets, octets) + b"".join(blocks), len(blocks))


def receiver_report(ssrc: int, *blocks: bytes) -> bytes:
    return packet(201, struct.pack("!I", ssrc) + b"".join(blocks), len(blocks))


def description(ssrc: int, cname: bytes) -> bytes:
    chunk = struct.pack("!IBB", ssrc, 1, len(cname)) + cname
    return packet(202, chunk + bytes(4 - len(chunk) % 4), 1)


def bye(*ssrcs: int) -> bytes:
    return packet(203, struct.pack(f"!{len(ssrcs)}I", *ssrcs), len(ssrcs))


def extended_report(ssrc: int, *blocks: bytes) -> bytes:
    return packet(207, struct.pack("!I", ssrc) + b"".join(blocks))


def voip_metrics(ssrc: int, loss: int = 0, r: int = 127, mos_lq: int = 127, round_trip_ms: int = 0) -> bytes:
    """A VoIP metrics block with these and otherwise fixed values."""
    head = struct.pack("!BBHI", 7, 0, 8, ssrc)
    rates = struct.pack("!BBBBHHHH", loss, 2, 3, 4, 50, 60, round_trip_ms, 70)
    rest = struct.pack("!bbBBBBBBBxHHH", -20, -60, 30, 16, r, 127, mos_lq, 41, 0x21, 40, 60, 200)
    return head + rates + rest
