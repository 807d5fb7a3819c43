"""Runs of packets that never came, sorted into bursts and gaps (RFC 3611 §4.7.2), of many streams at once.

A hole is a run of sequence numbers that a later packet has passed by. It is noted when that packet comes,
waits half a second for stragglers, and is then settled: what came late is taken out of it, and the rest
belongs to the same burst as the loss before if fewer than ``GMIN`` packets came between them. A loss on its
own is part of a gap, in the sense of the RFC: the good times between bursts.

A hole that most streams of the wire have at the same moment is no network's: networks lose what comes through
them, not both directions of every call at once. Such packets are lost by the capture (C23), and kept apart.

Cost: nothing for streams without holes; the others are settled once a second, all in one go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Received packets in a row that end a burst (RFC 3611 §4.7.2 recommends 16).
GMIN: Final = 16
#: How long a hole waits for what may only be late.
_PATIENCE_NS: Final = 500_000_000
#: Holes of one outage end within this of each other: as far apart as packets are.
_TOGETHER_NS: Final = 120_000_000
#: This many packets lost together make two streams enough for an outage; fewer may be chance.
_OUTAGE: Final = 3
_MANY: Final = 4
#: Numbers looked at one by one when holes are settled: only traffic that means harm has more.
_MOST_NUMBERS: Final = 1 << 18
#: Holes that wait at the most; beyond, the oldest are settled at once.
_MOST_HOLES: Final = 1 << 16
_NEVER: Final = -(1 << 62)

Ints = NDArray[np.int64]


@dataclass(slots=True)
class Holes:
    """Runs of missing sequence numbers, as arrays of one length n: whose, from, to (both missing), and the
    capture times of the packets before and after."""

    stream: Ints
    first: Ints
    last: Ints
    before_ns: Ints
    after_ns: Ints

    def __len__(self) -> int:
        return len(self.stream)

    def take(self, at: Ints | NDArray[np.bool_]) -> Holes:
        """Return some of the holes."""
        return Holes(self.stream[at], self.first[at], self.last[at], self.before_ns[at], self.after_ns[at])

    @staticmethod
    def join(parts: list[Holes]) -> Holes:
        """Put holes together, in the order of the parts."""
        if not parts:
            none = np.zeros(0, np.int64)
            return Holes(none, none, none, none, none)
        return Holes(
            np.concatenate([part.stream for part in parts]),
            np.concatenate([part.first for part in parts]),
            np.concatenate([part.last for part in parts]),
            np.concatenate([part.before_ns for part in parts]),
            np.concatenate([part.after_ns for part in parts]),
        )


@dataclass(slots=True, frozen=True)
class LossFigures:
    """What was lost of one stream; ``bursts`` of ``burst_packets`` in all, ``burst_lost`` of them lost.

    ``isolated`` losses are those outside bursts. ``runs`` counts losses in a row once, ``longest_ns`` is the
    longest time between the packets around one. ``capture`` packets were lost by the capture.
    """

    runs: int = 0
    longest_ns: int = 0
    bursts: int = 0
    burst_packets: int = 0
    burst_lost: int = 0
    isolated: int = 0
    capture: int = 0


#: Of a stream that misses nothing.
NO_LOSSES: Final = LossFigures()


class Losses:
    """The holes of each stream; arrays are indexed by stream number.

    ``came(streams, numbers)`` tells which packets have come by now, bool[n], false where that is forgotten.
    """

    def __init__(self, capacity: int, came: Callable[[Ints, Ints], NDArray[np.bool_]]) -> None:
        self._came = came
        self._waiting: list[Holes] = []
        self._count = 0
        #: Settled lately: they are still company for the holes noted a little later.
        self._recent = Holes.join([])
        self.runs = np.zeros(capacity, np.int64)
        self.longest_ns = np.zeros(capacity, np.int64)
        self.bursts = np.zeros(capacity, np.int64)
        self.burst_packets = np.zeros(capacity, np.int64)
        self.burst_lost = np.zeros(capacity, np.int64)
        self.isolated = np.zeros(capacity, np.int64)
        self.capture = np.zeros(capacity, np.int64)
        # Of the cluster of losses that the next one may belong to: its ends, and how many are lost.
        self._first = np.zeros(capacity, np.int64)
        self._last = np.full(capacity, _NEVER, np.int64)
        self._lost = np.zeros(capacity, np.int64)

    def start(self, stream: int) -> None:
        """Forget whatever this number meant before."""
        for figure in (self.runs, self.longest_ns, self.bursts, self.burst_packets, self.burst_lost):
            figure[stream] = 0
        self.isolated[stream] = self.capture[stream] = self._lost[stream] = 0
        self._last[stream] = _NEVER

    def note(self, holes: Holes) -> None:
        """Take holes of any streams, in order of capture."""
        self._waiting.append(holes)
        self._count += len(holes)
        if self._count > _MOST_HOLES:
            self._settle(Holes.join(self._waiting), 0)
            self._waiting, self._count = [], 0

    def settle(self, now_ns: int, active: int) -> None:
        """Settle what has waited long enough; ``active`` streams were heard lately."""
        if not self._waiting:
            return
        holes = Holes.join(self._waiting)
        limit_ns = now_ns - _PATIENCE_NS
        # A clock that was set back leaves holes in the future: those wait no longer either.
        old = (holes.after_ns <= limit_ns) | (holes.after_ns > now_ns + _PATIENCE_NS)
        if not old.any():
            self._waiting = [holes]
            return
        ripe, young = holes.take(old), holes.take(~old)
        self._settle(ripe, active, Holes.join([holes, self._recent]))
        self._recent = ripe.take(ripe.after_ns > limit_ns - _TOGETHER_NS)
        self._waiting, self._count = ([young] if len(young) else []), len(young)

    def end(self, stream: int) -> None:
        """Settle the holes of a stream that gets no more packets."""
        if self._waiting:
            holes = Holes.join(self._waiting)
            own = holes.stream == stream
            if own.any():
                self._settle(holes.take(own), 0)
                rest = holes.take(~own)
                self._waiting, self._count = ([rest] if len(rest) else []), len(rest)

    def figures(self, stream: int) -> LossFigures:
        """Return what has been settled of a stream, the last cluster as if it were over."""
        if not self.runs[stream]:
            return NO_LOSSES
        bursts, packets = int(self.bursts[stream]), int(self.burst_packets[stream])
        burst_lost, isolated = int(self.burst_lost[stream]), int(self.isolated[stream])
        lost = int(self._lost[stream])
        if lost == 1:
            isolated += 1
        elif lost:
            bursts, burst_lost = bursts + 1, burst_lost + lost
            packets += int(self._last[stream] - self._first[stream]) + 1
        return LossFigures(
            runs=int(self.runs[stream]),
            longest_ns=int(self.longest_ns[stream]),
            bursts=bursts,
            burst_packets=packets,
            burst_lost=burst_lost,
            isolated=isolated,
            capture=int(self.capture[stream]),
        )

    def _settle(self, holes: Holes, active: int, company: Holes | None = None) -> None:
        holes = self._without_late(holes)
        if not len(holes):
            return
        holes = holes.take(np.lexsort((holes.first, holes.stream)))
        count = holes.last - holes.first + 1
        np.add.at(self.runs, holes.stream, 1)
        np.maximum.at(self.longest_ns, holes.stream, np.maximum(holes.after_ns - holes.before_ns, 0))
        if company is not None:
            ours = _by_the_capture(holes, count, company, active)
            if ours.any():
                np.add.at(self.capture, holes.stream[ours], count[ours])
        self._cluster(holes, count)

    def _without_late(self, holes: Holes) -> Holes:
        """Take out of the holes what has come after all."""
        count = holes.last - holes.first + 1
        looked_at = np.cumsum(count) <= _MOST_NUMBERS
        if not looked_at.any():
            return holes
        few = holes.take(looked_at)
        count = count[looked_at]
        which = np.repeat(np.arange(len(few)), count)
        number = np.arange(len(which)) - np.repeat(np.cumsum(count) - count - few.first, count)
        missing = ~self._came(few.stream[which], number)
        if missing.all():
            return holes
        which, number = which[missing], number[missing]
        if not len(which):
            return holes.take(~looked_at)
        begins = np.ones(len(which), bool)
        begins[1:] = (which[1:] != which[:-1]) | (number[1:] != number[:-1] + 1)
        at = np.flatnonzero(begins)
        ends = np.append(at[1:], len(which)) - 1
        owner = few.take(which[at])
        rest = Holes(owner.stream, number[at], number[ends], owner.before_ns, owner.after_ns)
        return Holes.join([rest, holes.take(~looked_at)])

    def _cluster(self, holes: Holes, count: Ints) -> None:
        """Join holes, sorted by stream and number, to clusters; what a later one follows is done with."""
        stream = holes.stream
        head = np.ones(len(holes), bool)
        head[1:] = stream[1:] != stream[:-1]
        before = np.empty(len(holes), np.int64)
        before[1:] = holes.last[:-1]
        before[head] = self._last[stream[head]]
        apart = holes.first - before > GMIN
        # The cluster left open of each stream is done with where its first hole is apart from it.
        self._close(
            stream[head & apart],
            self._first[stream[head & apart]],
            self._last[stream[head & apart]],
            self._lost[stream[head & apart]],
        )
        at = np.flatnonzero(head | apart)
        ends = np.append(at[1:], len(holes)) - 1
        who = stream[at]
        goes_on = ~apart[at]
        first = np.where(goes_on, self._first[who], holes.first[at])
        lost = np.add.reduceat(count, at) + np.where(goes_on, self._lost[who], 0)
        last = holes.last[ends]
        final = np.ones(len(at), bool)
        final[:-1] = who[:-1] != who[1:]
        self._close(who[~final], first[~final], last[~final], lost[~final])
        self._first[who[final]] = first[final]
        self._last[who[final]] = last[final]
        self._lost[who[final]] = lost[final]

    def _close(self, who: Ints, first: Ints, last: Ints, lost: Ints) -> None:
        alone = lost == 1
        np.add.at(self.isolated, who[alone], 1)
        many = lost > 1
        np.add.at(self.bursts, who[many], 1)
        np.add.at(self.burst_packets, who[many], last[many] - first[many] + 1)
        np.add.at(self.burst_lost, who[many], lost[many])


def _by_the_capture(holes: Holes, count: Ints, company: Holes, active: int) -> NDArray[np.bool_]:
    """Tell which holes most of the ``active`` streams have at the same time: bool[n]."""
    if active < 2 or len(company) < 2:
        return np.zeros(len(holes), bool)
    middle = (holes.before_ns + holes.after_ns) // 2
    begun = np.searchsorted(np.sort(company.before_ns), middle, side="left")
    over = np.searchsorted(np.sort(company.after_ns), middle, side="right")
    together = begun - over
    most = (together >= 2) & (together * 4 >= active * 3)
    return most & ((together >= _MANY) | (count >= _OUTAGE))
