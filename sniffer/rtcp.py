"""RTCP (RFC 3550 §6): what a compound packet says, whole or cut short.

Read are sender and receiver reports, CNAME, BYE, and of extended reports (RFC 3611) the VoIP metrics and
which other blocks are there. Feedback (RFC 4585, 5104), APP and reduced-size packets (RFC 5506) are
recognised and stepped over. A packet that ends too early keeps what came before. SRTCP (RFC 3711 §3.4) leaves
the first eight bytes in clear, the length of the first packet among them, and what follows is no header: so
it is recognised.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final, NamedTuple

SR: Final = 200
RR: Final = 201
SDES: Final = 202
BYE: Final = 203
APP: Final = 204
RTPFB: Final = 205
PSFB: Final = 206
XR: Final = 207
#: Types this reads or steps over; what has another type in its first packet is not RTCP, or is encrypted.
KNOWN: Final = frozenset(range(192, 196)) | frozenset(range(SR, 214))

#: Packets in one compound packet, and items of one kind kept of it: more is no telephone's.
_MOST_PACKETS: Final = 32
_MOST_ITEMS: Final = 64
_LONGEST_CNAME: Final = 255
_CNAME: Final = 1
_VOIP_METRICS: Final = 7
#: Extended report blocks by number (RFC 3611 §4; later ones are counted by their number).
BLOCKS: Final = {
    1: "loss-rle",
    2: "duplicate-rle",
    3: "receipt-times",
    4: "receiver-reference-time",
    5: "dlrr",
    6: "statistics-summary",
    7: "voip-metrics",
}

_HEADER = struct.Struct("!BBHI")
_SENDER = struct.Struct("!QIII")
_BLOCK = struct.Struct("!IIIIII")
_METRICS = struct.Struct("!IBBBBHHHHbbBBBBBBBxHHH")


class SenderReport(NamedTuple):
    """What a sender says of itself: ``ntp`` is 32.32 bit fixed point, in seconds since 1900."""

    ssrc: int
    ntp: int
    rtp: int
    packets: int
    octets: int


class ReportBlock(NamedTuple):
    """What ``reporter`` has received of ``ssrc`` (RFC 3550 §6.4.1).

    ``fraction`` is of 256, ``lost`` is signed (copies count against it), ``highest`` the extended sequence
    number, ``jitter`` in units of the RTP clock; ``lsr`` and ``dlsr`` are 16.16 bit fixed point seconds.
    """

    reporter: int
    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    lsr: int
    dlsr: int


class VoipMetrics(NamedTuple):
    """A VoIP metrics block (RFC 3611 §4.7) on ``ssrc``, as it was sent; 127 means unavailable.

    ``loss`` and ``discard`` are of 256, as are the densities; durations and delays in milliseconds; ``r`` is
    an R factor, ``mos_lq`` and ``mos_cq`` ten times a MOS.
    """

    ssrc: int
    loss: int
    discard: int
    burst_density: int
    gap_density: int
    burst_ms: int
    gap_ms: int
    round_trip_ms: int
    end_system_ms: int
    signal_dbm: int
    noise_dbm: int
    rerl_db: int
    gmin: int
    r: int
    external_r: int
    mos_lq: int
    mos_cq: int
    rx_config: int
    buffer_ms: int
    buffer_most_ms: int
    buffer_limit_ms: int


@dataclass(slots=True)
class Compound:
    """A compound packet, taken apart. ``ssrc`` is that of the first packet's sender.

    ``types`` lists the packet types in order. ``problem`` is None where everything adds up, else "truncated"
    (by the snap length, perhaps; what came before is read), "padding", "not-rtcp", or "tail": something
    follows that is no packet, as in SRTCP, whose contents must then not be believed.
    """

    ssrc: int = 0
    types: list[int] = field(default_factory=list)
    senders: list[SenderReport] = field(default_factory=list)
    blocks: list[ReportBlock] = field(default_factory=list)
    cnames: dict[int, bytes] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)
    """SSRCs that said BYE."""
    metrics: list[VoipMetrics] = field(default_factory=list)
    extended: list[int] = field(default_factory=list)
    """Block types of extended reports."""
    problem: str | None = None


def parse_rtcp(data: bytes) -> Compound:
    """Take a datagram that looks like RTCP apart. Never raises."""
    found = Compound()
    at, end = 0, len(data)
    while at < end and len(found.types) < _MOST_PACKETS:
        if end - at < 4:
            found.problem = "truncated"
            break
        first, kind = data[at], data[at + 1]
        if first >> 6 != 2 or kind not in KNOWN:
            found.problem = "tail" if found.types else "not-rtcp"
            break
        size = 4 * (1 + int.from_bytes(data[at + 2 : at + 4], "big"))
        stop = at + size
        if stop > end:
            found.problem = "truncated"
            stop = end
        body_end = stop
        if first & 0x20:
            # Only the last packet may be padded (§6.4.1); the count includes itself.
            padding = data[stop - 1] if stop == at + size else 0
            if stop < end or not 0 < padding <= size - 4 or padding % 4:
                found.problem = found.problem or "padding"
            else:
                body_end = stop - padding
        if not found.types and stop - at >= 8:
            found.ssrc = int.from_bytes(data[at + 4 : at + 8], "big")
        found.types.append(kind)
        _READERS.get(kind, _skip)(found, data, at, body_end, first & 0x1F)
        at = stop
    return found


def _skip(found: Compound, data: bytes, at: int, end: int, count: int) -> None:
    """Step over a packet of no interest."""


def _sender_report(found: Compound, data: bytes, at: int, end: int, count: int) -> None:
    if end - at < 28:
        return
    (ssrc,) = struct.unpack_from("!I", data, at + 4)
    found.senders.append(SenderReport(ssrc, *_SENDER.unpack_from(data, at + 8)))
    _blocks(found, data, at + 28, end, count, ssrc)


def _receiver_report(found: Compound, data: bytes, at: int, end: int, count: int) -> None:
    if end - at >= 8:
        _blocks(found, data, at + 8, end, count, int.from_bytes(data[at + 4 : at + 8], "big"))


def _blocks(found: Compound, data: bytes, at: int, end: int, count: int, reporter: int) -> None:
    for start in range(at, min(at + 24 * count, end - 23), 24):
        ssrc, loss, highest, jitter, lsr, dlsr = _BLOCK.unpack_from(data, start)
        lost = loss & 0xFFFFFF
        lost -= (lost & 0x800000) << 1
        found.blocks.append(ReportBlock(reporter, ssrc, loss >> 24, lost, highest, jitter, lsr, dlsr))
        if len(found.blocks) >= _MOST_ITEMS:
            return


def _description(found: Compound, data: bytes, at: int, end: int, count: int) -> None:
    """Read the CNAMEs of SDES chunks (§6.5): items up to a null, padded to 32 bits."""
    here = at + 4
    for _ in range(count):
        if end - here < 8:
            return
        ssrc = int.from_bytes(data[here : here + 4], "big")
        here += 4
        while here + 1 < end and data[here]:
            length = data[here + 1]
            if data[here] == _CNAME and here + 2 + length <= end and len(found.cnames) < _MOST_ITEMS:
                found.cnames.setdefault(ssrc, data[here + 2 : here + 2 + length][:_LONGEST_CNAME])
            here += 2 + length
        here = at + ((here - at) // 4 + 1) * 4


def _bye(found: Compound, data: bytes, at: int, end: int, count: int) -> None:
    last = min(at + 4 + 4 * count, end - 3)
    found.left += [int.from_bytes(data[here : here + 4], "big") for here in range(at + 4, last, 4)]


def _extended_report(found: Compound, data: bytes, at: int, end: int, _: int) -> None:
    here = at + 8
    while end - here >= 4 and len(found.extended) < _MOST_ITEMS:
        kind = data[here]
        size = 4 * (1 + int.from_bytes(data[here + 2 : here + 4], "big"))
        found.extended.append(kind)
        if kind == _VOIP_METRICS and size == 36 and end - here >= 36:
            found.metrics.append(VoipMetrics._make(_METRICS.unpack_from(data, here + 4)))
        here += size


_READERS = {
    SR: _sender_report,
    RR: _receiver_report,
    SDES: _description,
    BYE: _bye,
    XR: _extended_report,
}
