"""RTP on the wire (RFC 3550 §5.1): which datagrams look like it, and where their payload lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.datagrams import Datagrams, pick

HEADER_BYTES = 12

_KNUTH = np.uint64(0x9E3779B97F4A7C15)
_S32 = np.uint64(32)


@dataclass(slots=True)
class RtpPackets:
    """RTP packets of one block in order of arrival, as arrays of one length n.

    ``key``      uint64[n], one number per 5-tuple and SSRC
    ``seq``      int64[n], 16-bit sequence number          ``ts``    int64[n], 32-bit timestamp
    ``pt``       uint8[n], payload type without the marker  ``time_ns``  int64[n]
    ``offset``   int64[n], where the payload starts in ``data``; ``size`` int64[n], its bytes
    ``which``    int64[n], the datagram that each is
    """

    data: NDArray[np.uint8]
    key: NDArray[np.uint64]
    seq: NDArray[np.int64]
    ts: NDArray[np.int64]
    pt: NDArray[np.uint8]
    time_ns: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    which: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.key)

    def take(self, at: NDArray[np.int64] | NDArray[np.bool_] | slice) -> RtpPackets:
        """Return the packets at some places, in that order."""
        return RtpPackets(
            self.data,
            self.key[at],
            self.seq[at],
            self.ts[at],
            self.pt[at],
            self.time_ns[at],
            self.offset[at],
            self.size[at],
            self.which[at],
        )


def looks_like_rtp(d: Datagrams) -> NDArray[np.bool_]:
    """Tell which datagrams may be RTP (bool[n]): version 2, room for a header, not RTCP.

    The second byte of RTCP (RFC 5761 §4) is 192 to 223; in RTP that would be payload types 64 to 95 with a
    marker, which nobody uses for that reason.
    """
    first, second = d.rows["first"], d.rows["marker_pt"]
    likely: NDArray[np.bool_] = (first & 0xC0) == 0x80
    likely &= d.size >= HEADER_BYTES
    likely &= (second & 0xE0) != 0xC0
    return likely


def looks_like_rtcp(d: Datagrams) -> NDArray[np.bool_]:
    """Tell which datagrams are RTCP by RFC 5761 §4 (bool[n])."""
    likely: NDArray[np.bool_] = (d.rows["first"] & 0xC0) == 0x80
    likely &= d.size >= 8
    likely &= (d.rows["marker_pt"] & 0xE0) == 0xC0
    return likely


def read_rtp(d: Datagrams, which: NDArray[np.int64]) -> tuple[RtpPackets, int]:
    """Read the headers of datagrams that look like RTP: (packets, how many had a broken header)."""
    every = len(which) == len(d)
    rows = d.rows if every else pick(d.rows, which)
    offset = (d.offset if every else d.offset[which]) + HEADER_BYTES
    size = (d.size if every else d.size[which]) - HEADER_BYTES
    ssrc = rows["ssrc"].astype(np.uint64)
    key = (d.flow if every else d.flow[which]) ^ (ssrc * _KNUTH)
    key ^= key >> _S32
    key *= _KNUTH
    packets = RtpPackets(
        d.data,
        key,
        rows["seq"].astype(np.int64),
        rows["ts"].astype(np.int64),
        rows["marker_pt"] & np.uint8(0x7F),
        d.time_ns if every else d.time_ns[which],
        offset,
        size,
        which,
    )
    first = rows["first"]
    odd = first != 0x80
    if odd.any():
        at = np.flatnonzero(odd)
        bad = _trim(packets, first[at].astype(np.int64), at)
        if len(bad):
            keep = np.ones(len(packets), bool)
            keep[bad] = False
            return packets.take(keep), len(bad)
    return packets, 0


def _trim(packets: RtpPackets, first: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Step over CSRCs and header extension, cut off padding, in place; return packets that do not add up."""
    data = packets.data
    last = len(data) - 1
    offset, size = packets.offset[at], packets.size[at]
    skip = (first & 0x0F) * 4
    extended = (first & 0x10) != 0
    if extended.any():
        words = np.minimum(offset + skip + 2, last - 1)
        length = (data[words].astype(np.int64) << 8) | data[words + 1]
        skip = np.where(extended, skip + 4 + length * 4, skip)
    padded = (first & 0x20) != 0
    end = np.where(padded, data[np.clip(offset + size - 1, 0, last)].astype(np.int64), 0)
    rest = size - skip - end
    packets.offset[at] = offset + skip
    packets.size[at] = np.maximum(rest, 0)
    bad: NDArray[np.int64] = at[(rest < 0) | (padded & (end == 0))]
    return bad
