"""How often a mirror shows the same packet, and in what the copies differ (C13).

Several mirrored ports show a packet once each. RTP tells it best: one stream has each sequence number once.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.datagrams import V4_WIDTH, Datagrams, gather
from bystander.sniffer.rtp import looks_like_rtp

#: Packets looked at together; copies are milliseconds apart, so few pairs are torn.
_TOGETHER: Final = 65_536
#: Packets seen more often than this are counted as so often.
MOST: Final = 9
#: Where the TTL stands in a gathered IPv4 row, and the hop limit in an IPv6 one.
_TTL_V4, _TTL_V6 = 22, 21

_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xC2B2AE3D27D4EB4F)
_S32 = np.uint64(32)


class Copies:
    """Counts RTP packets by how often each was seen.

    ``times[k]`` is the number of distinct packets seen k times, k from 1 to MOST. ``differ`` counts pairs of
    copies by what sets them apart: ``hops`` (the time to live), ``link`` (MAC addresses or VLAN tag), or
    ``nothing``.
    """

    def __init__(self) -> None:
        self.times: Counter[int] = Counter()
        self.differ: Counter[str] = Counter()
        self._waiting: list[NDArray[np.uint64]] = []
        self._count = 0

    @property
    def share(self) -> float:
        """The share of distinct packets that were seen more than once."""
        distinct = sum(self.times.values())
        return 1 - self.times[1] / distinct if distinct else 0.0

    @property
    def usual(self) -> int:
        """How often a packet that comes more than once comes, mostly; 1 if hardly any does."""
        repeated = {times: count for times, count in self.times.items() if times > 1}
        return max(repeated, key=lambda times: repeated[times]) if self.share > 0.01 else 1

    def feed(self, datagrams: Datagrams) -> None:
        """Take one block of datagrams; those that do not look like RTP are passed over."""
        at = np.flatnonzero(looks_like_rtp(datagrams))
        if not len(at):
            return
        wide = datagrams.rows.dtype.itemsize
        raw = datagrams.rows.view(np.uint8).reshape(-1, wide)[at]
        rows = datagrams.rows[["seq", "ts", "ssrc"]][at]
        key = datagrams.flow[at] ^ (rows["ssrc"].astype(np.uint64) * _A)
        key ^= (rows["seq"].astype(np.uint64) << _S32) | rows["ts"].astype(np.uint64)
        key *= _B
        key ^= key >> _S32
        v4 = wide == V4_WIDTH
        l3 = datagrams.offset[at] - (28 if v4 else 48)
        link = gather(datagrams.data, np.maximum(l3 - 14, 0), 16).view("<u8").reshape(-1, 2)
        link_hash = (link[:, 0] * _A) ^ ((link[:, 1] & np.uint64(0xFFFF_FFFF_FFFF)) * _B)
        found = np.empty((len(at), 3), np.uint64)
        found[:, 0], found[:, 1], found[:, 2] = key, raw[:, _TTL_V4 if v4 else _TTL_V6], link_hash
        self._waiting.append(found)
        self._count += len(at)
        if self._count >= _TOGETHER:
            self.settle()

    def settle(self) -> None:
        """Count what waits; to be called once more at the end."""
        if not self._waiting:
            return
        found = np.concatenate(self._waiting)
        self._waiting, self._count = [], 0
        found = found[np.argsort(found[:, 0], kind="stable")]
        first = np.flatnonzero(np.append(True, found[1:, 0] != found[:-1, 0]))
        times = np.minimum(np.diff(np.append(first, len(found))), MOST)
        for number, count in enumerate(np.bincount(times, minlength=MOST + 1).tolist()):
            if count:
                self.times[number] += count
        again = np.flatnonzero(found[1:, 0] == found[:-1, 0])
        hops = found[again, 1] != found[again + 1, 1]
        link = found[again, 2] != found[again + 1, 2]
        self.differ["hops"] += int(np.count_nonzero(hops))
        self.differ["link"] += int(np.count_nonzero(link & ~hops))
        self.differ["nothing"] += int(np.count_nonzero(~link & ~hops))
