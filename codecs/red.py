"""Redundant data (RFC 2198): each packet also carries what the ones before it did, under their payload types.

Opened, such packets are packets of the payload types inside; what came twice is there once, and what was lost
and came again with a later packet is there after all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from bystander.codecs.packets import PacketRun

#: A block: payload type, how much older its timestamp is, its payload, how many blocks come after it.
_Block = tuple[int, int, bytes, int]


def blocks(payload: bytes) -> Iterator[_Block]:
    """Yield the blocks of a payload, oldest first; none if its lengths do not add up (section 3)."""
    heads: list[tuple[int, int, int]] = []
    at = 0
    while at < len(payload) and payload[at] & 0x80:
        if at + 4 > len(payload):
            return
        word = int.from_bytes(payload[at : at + 4], "big")
        heads.append((word >> 24 & 0x7F, word >> 10 & 0x3FFF, word & 0x3FF))
        at += 4
    if at >= len(payload):
        return
    primary = payload[at] & 0x7F
    at += 1
    if at + sum(length for _, _, length in heads) > len(payload):
        return
    for number, (pt, older, length) in enumerate(heads):
        yield pt, older, payload[at : at + length], len(heads) - number
        at += length
    yield primary, 0, payload[at:], 0


def opened(run: PacketRun, clock_hz: int, repeated: Collection[int] = ()) -> PacketRun:
    """Return what is inside packets of RED, whose clock runs at ``clock_hz``.

    Of the payload types ``repeated`` every block is kept: one timestamp says several things there, as that
    of a telephone event does.
    """
    seq, stamps, times = run.seq.tolist(), run.ts.tolist(), run.time_ns.tolist()
    first: dict[tuple[int, int], tuple[int, int, int, int, int, bytes]] = {}
    every: list[tuple[int, int, int, int, int, bytes]] = []
    for number, stamp, now_ns, payload in zip(seq, stamps, times, run.payloads(), strict=True):
        for pt, older, block, behind in blocks(payload):
            if not block:
                continue
            ts = (stamp - older) & 0xFFFFFFFF
            then_ns = now_ns - older * 1_000_000_000 // clock_hz
            packet = (behind, number - behind, ts, pt, then_ns, block)
            if pt in repeated:
                every.append(packet)
                continue
            known = first.get((pt, ts))
            if known is None or behind < known[0]:
                first[pt, ts] = packet
    found = sorted([*first.values(), *every], key=lambda packet: packet[1])
    return PacketRun(
        np.array([packet[1] for packet in found], np.int64),
        np.array([packet[2] for packet in found], np.uint32),
        np.array([packet[3] for packet in found], np.uint8),
        np.array([packet[4] for packet in found], np.int64),
        np.array([len(packet[5]) for packet in found], np.int32),
        np.frombuffer(b"".join(packet[5] for packet in found), np.uint8),
    )
