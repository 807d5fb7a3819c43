"""Sequence numbers of many streams at once: extension, loss, duplicates, reordering (RFC 3550 §A.1).

Packets come sorted by stream, and within a stream in order of arrival. Each is compared with the one before
it; the differences, summed, are the extended sequence numbers. A stream whose differences are all positive
has neither duplicates nor reordering in this block, which is nearly always so; the others are sorted once
more. Which numbers have been seen is remembered for the last thousand of each stream. What is passed over
goes to `losses.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.losses import Holes, Losses

_WINDOW = 1024
#: A step back by more than this is a sender that started over, not a late packet. So is a smaller one, if its
#: timestamp went on; or, if it leads to before the first packet, or numbers go on from there for so many
#: packets: late ones come one by one.
_MAX_LATE = 500
_BACK = 4
_FALL = 50
_IN_A_ROW = 2
#: A step forward is loss only if the time since the packet before could have held so many packets.
_MIN_PACKET_NS = 4_000_000
_MIN_LOSS = 200
#: Extended numbers start above this, so that packets from before the first one are not negative.
FIRST = 1 << 36


def heads_of(stream: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each run of equal values starts: int64[runs]."""
    if not len(stream):
        return np.zeros(0, np.int64)
    change = np.empty(len(stream), bool)
    change[0] = True
    np.not_equal(stream[1:], stream[:-1], out=change[1:])
    return np.flatnonzero(change)


def differences(
    values: NDArray[np.int64], heads: NDArray[np.int64], before: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Subtract from each value the one ahead of it in its run, from a run's first ``before``: int64[n]."""
    step = np.empty(len(values), np.int64)
    np.subtract(values[1:], values[:-1], out=step[1:])
    step[heads] = values[heads] - before
    return step


def running_sum(
    step: NDArray[np.int64], heads: NDArray[np.int64], start: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Sum ``step`` within each run, beginning from ``start`` (one per run): int64[n]."""
    total = np.cumsum(step)
    before = start - (total[heads] - step[heads])
    total += np.repeat(before, np.diff(heads, append=len(step)))
    return total


class Sequences:
    """What is known of the sequence numbers of each stream; arrays are indexed by stream number."""

    def __init__(self, capacity: int) -> None:
        self.last = np.zeros(capacity, np.int64)
        #: As it stood in the packet: after a sender started over it is not the low half of ``last``.
        self._last_seq = np.zeros(capacity, np.int64)
        self._last_ts = np.zeros(capacity, np.int64)
        #: Packets in a row since the numbers fell, the one they fell with included; 0: they did not; -1: they
        #: have been seen to fall and come back, as where copies come seconds later.
        self._fallen = np.zeros(capacity, np.int64)
        self.top = np.zeros(capacity, np.int64)
        self.bottom = np.zeros(capacity, np.int64)
        self.received = np.zeros(capacity, np.int64)
        self.duplicates = np.zeros(capacity, np.int64)
        self.reordered = np.zeros(capacity, np.int64)
        self.last_ns = np.zeros(capacity, np.int64)
        self._seen = np.zeros((capacity, _WINDOW), np.uint8)
        self.losses = Losses(capacity, self.came)

    def start(self, stream: int, seq: int, time_ns: int) -> None:
        """Begin a stream whose first packet, still to be fed, has this sequence number and time."""
        first = FIRST + seq
        # As if the packet before it had come: the first difference is then one, like any other.
        self.last[stream] = first - 1
        self._last_seq[stream] = seq - 1
        self._fallen[stream] = 0
        self.top[stream] = first - 1
        self.bottom[stream] = first
        self.received[stream] = self.duplicates[stream] = self.reordered[stream] = 0
        self.last_ns[stream] = time_ns
        self._seen[stream] = 0
        self.losses.start(stream)

    def lost(self, stream: int) -> int:
        """Return how many packets between the first and the last number never came."""
        return max(0, int(self.top[stream] - self.bottom[stream] + 1 - self.received[stream]))

    def missing_up_to(self, stream: int, seq: int) -> int | None:
        """Return how many packets up to a 16-bit number have not come; None if it is far from the latest."""
        ahead = ((int(self._last_seq[stream]) - seq + 32768) & 0xFFFF) - 32768
        if abs(ahead) > _MAX_LATE:
            return None
        after = np.arange(int(self.last[stream]) - ahead + 1, int(self.top[stream]) + 1)
        unseen = len(after) - int(np.count_nonzero(self.came(np.full(len(after), stream), after)))
        return self.lost(stream) - unseen

    def came(self, stream: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which of some packets have come: bool[n]; of the last thousand of a stream it is known."""
        seen: NDArray[np.bool_] = self._seen[stream, number & (_WINDOW - 1)] == self._epoch(number)
        return seen & (number > self.top[stream] - _WINDOW)

    def feed(
        self,
        stream: NDArray[np.int64],
        heads: NDArray[np.int64],
        seq: NDArray[np.int64],
        time_ns: NDArray[np.int64],
        ts: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
        """Take packets sorted by stream; return (extended numbers int64[n], copies bool[n] or None).

        ``ts`` are their timestamps, where those are to be heeded.
        """
        who = stream[heads]
        tails = np.append(heads[1:], len(stream)) - 1
        step = differences(seq, heads, self._last_seq[who])
        step = ((step + 32768) & 0xFFFF) - 32768
        # Nearly always the next number is the next packet's.
        other = np.flatnonzero(step != 1)
        odd: NDArray[np.bool_] | None = None
        extended = running_sum(step, heads, self.last[who])
        odd_steps = other[(step[other] < 1) | (step[other] > _MIN_LOSS)] if len(other) else other
        fallen = self._fallen[who] > 0
        if len(odd_steps) or fallen.any():
            odd = np.logical_or.reduceat((step < 1), heads)
            restarts = self._restarts(step, odd_steps, heads, who, time_ns, ts)
            strange = np.concatenate((restarts, odd_steps[step[odd_steps] <= -_FALL], heads[fallen]))
            for i in np.unique(np.searchsorted(heads, strange, side="right") - 1).tolist():
                part = slice(int(heads[i]), int(tails[i]) + 1)
                extended[part] = self._count_one_by_one(int(who[i]), step[part], restarts - part.start)
                odd[i] = True
        behind = self.last[who] != self.top[who]
        odd = behind if odd is None else odd | behind
        duplicate = None
        lengths = tails - heads + 1
        if odd.any():
            disturbed = np.repeat(odd, lengths)
            duplicate = self._sort_out(disturbed, stream, extended, heads, time_ns)
            other = other[~disturbed[other]]
        if len(other):
            self._note_holes(stream, other, extended[other] - step[other], extended, heads, time_ns)
        slot = extended & (_WINDOW - 1)
        self._seen[stream, slot] = self._epoch(extended)
        self.last[who] = extended[tails]
        self._last_seq[who] = seq[tails]
        if ts is not None:
            self._last_ts[who] = ts[tails]
        self.last_ns[who] = time_ns[tails]
        self.received[who] += lengths
        if duplicate is None:
            self.top[who] = extended[tails]
        else:
            self.top[who] = np.maximum(self.top[who], np.maximum.reduceat(extended, heads))
            self.bottom[who] = np.minimum(self.bottom[who], np.minimum.reduceat(extended, heads))
            copies = np.add.reduceat(duplicate.astype(np.int64), heads)
            self.duplicates[who] += copies
            self.received[who] -= copies
            if not duplicate.any():
                duplicate = None
        return extended, duplicate

    @staticmethod
    def _epoch(extended: NDArray[np.int64]) -> NDArray[np.uint8]:
        return ((extended >> 10) & 0x7F).astype(np.uint8) | np.uint8(0x80)

    def _restarts(
        self,
        step: NDArray[np.int64],
        at: NDArray[np.int64],
        heads: NDArray[np.int64],
        who: NDArray[np.int64],
        time_ns: NDArray[np.int64],
        ts: NDArray[np.int64] | None,
    ) -> NDArray[np.int64]:
        """Return the packets, among those ``at`` odd steps, whose sender has started to count elsewhere."""
        before = time_ns[np.maximum(at - 1, 0)]
        is_head = np.isin(at, heads, assume_unique=True)
        first = who[np.searchsorted(heads, at[is_head])]
        before[is_head] = self.last_ns[first]
        elapsed = np.maximum(time_ns[at] - before, 0)
        restart: NDArray[np.bool_] = (step[at] < -_MAX_LATE) | (
            step[at] > _MIN_LOSS + elapsed // _MIN_PACKET_NS
        )
        if ts is not None:
            ahead = ts[at] - ts[np.maximum(at - 1, 0)]
            ahead[is_head] = ts[at[is_head]] - self._last_ts[first]
            restart |= (step[at] <= -_BACK) & (ahead & 0xFFFFFFFF > 0) & (ahead & 0xFFFFFFFF < 0x80000000)
        found: NDArray[np.int64] = at[restart]
        return found

    def _count_one_by_one(
        self, stream: int, step: NDArray[np.int64], restarts: NDArray[np.int64]
    ) -> list[int]:
        """Extend the numbers of a stream whose sender may have started over: on behind the highest so far."""
        anew = set(restarts.tolist())
        number, top, bottom = int(self.last[stream]), int(self.top[stream]), int(self.bottom[stream])
        fallen = int(self._fallen[stream])
        numbers = []
        for i, add in enumerate(step.tolist()):
            believed = fallen == _IN_A_ROW and add == 1
            if i in anew or believed or (add <= -_FALL and number + add < bottom):
                number, fallen = top + 1, 0
            else:
                number += add
                if add <= -_FALL and fallen >= 0:
                    fallen = 1
                elif fallen > 0 and add:  # 0 is a copy of the packet before
                    fallen = fallen + 1 if add == 1 else -1
            top, bottom = max(top, number), min(bottom, number)
            numbers.append(number)
        self._fallen[stream] = fallen
        return numbers

    def _note_holes(
        self,
        stream: NDArray[np.int64],
        at: NDArray[np.int64],
        behind: NDArray[np.int64],
        extended: NDArray[np.int64],
        heads: NDArray[np.int64],
        time_ns: NDArray[np.int64],
    ) -> None:
        """Note what is missing between the packets ``at`` some places and the numbers ``behind`` them."""
        before_ns = time_ns[np.maximum(at - 1, 0)]
        first = np.isin(at, heads, assume_unique=True)
        before_ns[first] = self.last_ns[stream[at[first]]]
        self.losses.note(Holes(stream[at], behind + 1, extended[at] - 1, before_ns, time_ns[at]))

    def _sort_out(
        self,
        odd: NDArray[np.bool_],
        stream: NDArray[np.int64],
        extended: NDArray[np.int64],
        heads: NDArray[np.int64],
        time_ns: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Find duplicates among the packets marked ``odd`` and count reordering: bool[n], true for copies."""
        at = np.flatnonzero(odd)
        who, number = stream[at], extended[at]
        copy = self._seen[who, number & (_WINDOW - 1)] == self._epoch(number)
        copy &= number > self.top[who] - _WINDOW
        # Copies within the block: equal (stream, number), all but the first to arrive.
        joint = (who << 40) | number
        order = np.argsort(joint, kind="stable")
        again = np.zeros(len(at), bool)
        again[order[1:]] = joint[order[1:]] == joint[order[:-1]]
        copy |= again
        # A packet is late if one with a higher number of its stream came before it; (stream, number) rises
        # with the stream, so one running maximum serves them all.
        highest = np.maximum.accumulate(np.maximum(joint, (who << 40) | self.top[who]))
        before = np.empty_like(highest)
        before[1:] = highest[:-1]
        first = heads_of(who)
        before[first] = (who[first] << 40) | self.top[who[first]]
        late = (joint < before) & ~copy
        if late.any():
            np.add.at(self.reordered, who[late], 1)
        gap = np.flatnonzero(joint > before + 1)
        if len(gap):
            behind = before[gap] - (who[gap] << 40)
            self._note_holes(stream, at[gap], behind, extended, heads, time_ns)
        result = np.zeros(len(stream), bool)
        result[at] = copy
        return result
