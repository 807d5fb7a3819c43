"""Where G.711 lands: one row of bytes per stream, in which a packet's place is its position in time.

Operations: place a batch of packets, flush rows, free a row. Goals: no sorting for reordered packets, no
copy of duplicates, no work for lost ones, one memcpy per packet. Plan: rows are pre-filled with the law's
silence, so what never comes is silence already; a row covers eight seconds from ``start``, and when a packet
falls behind its end, what came before is handed on as one run and the row moves up. The matrix is one large
allocation that the kernel backs with memory only as rows are used; freed rows are reused first.

A run that has been handed on is final; a packet that comes later than that is handed on by itself, and the
reader of the runs lets the later one win.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.g711 import SILENCE

ROW: Final = 65536
#: What stays in a row when it moves up: half a second for stragglers.
_KEEP = 4096
#: How long a row gathers before it is handed on for safety, in samples (four seconds).
FLUSH_SAMPLES: Final = 32000
#: What is kept of an ended stream to compare it with others, two seconds.
TAIL: Final = 16000
#: The timeline begins a little before the first packet, in case the one before it was overtaken.
_LEAD = 1600
#: No packet is so late (a minute); one that seems to be follows one that was too far ahead.
_NONSENSE = 480_000
#: Packets of a batch are copied by groups of equal size; beyond so many sizes, one by one.
_MAX_SIZES = 24

#: (stream, position of the first sample, law, uint8 samples: valid only during the call)
FlushCallback = Callable[[int, int, int, NDArray[np.uint8]], None]


class Arena:
    """Rows of G.711; arrays are indexed by stream number, positions are samples on the stream's timeline."""

    def __init__(self, capacity: int, flush: FlushCallback) -> None:
        self._rows = np.empty((capacity, ROW), np.uint8)
        self._flat = self._rows.reshape(-1)
        self._flush = flush
        self._start = np.zeros(capacity, np.int64)
        #: Handed on up to here; what comes for before that is a straggler.
        self._flushed = np.zeros(capacity, np.int64)
        #: The lowest position that holds audio and is not handed on; nothing before it is written down.
        self._low = np.zeros(capacity, np.int64)
        self._high = np.zeros(capacity, np.int64)
        self._law = np.zeros(capacity, np.uint8)
        self._blank = np.ones(capacity, bool)
        self.stragglers = 0

    def start(self, stream: int) -> None:
        """Make a row ready for a new stream."""
        self._start[stream] = self._flushed[stream] = self._low[stream] = self._high[stream] = -_LEAD
        self._blank[stream] = True

    def place(
        self,
        data: NDArray[np.uint8],
        stream: NDArray[np.int64],
        heads: NDArray[np.int64],
        law: NDArray[np.uint8],
        position: NDArray[np.int64],
        offset: NDArray[np.int64],
        size: NDArray[np.int64],
    ) -> None:
        """Copy payloads to their places; packets are sorted by stream, ``heads`` are where each begins."""
        who = stream[heads]
        end = position + size
        highest = np.maximum.reduceat(end, heads)
        blank = self._blank[who]
        if blank.any():
            for number, first, kind in zip(
                who[blank].tolist(), position[heads[blank]].tolist(), law[heads[blank]].tolist(), strict=True
            ):
                self._clear(number, first - _LEAD, kind, first)
        over = highest > self._start[who] + ROW
        if over.any():
            lowest = np.minimum.reduceat(position, heads)
            # Rows whose batch fits once they have moved up are ordinary again; the others take the long way.
            over &= (highest - lowest <= ROW - _KEEP) & (lowest >= self._low[who])
            for number, target in zip(who[over].tolist(), lowest[over].tolist(), strict=True):
                self._move_up(number, target)
        start = self._start[stream]
        plain = (position >= self._low[stream]) & (end <= start + ROW) & (law == self._law[stream])
        if plain.all():
            self._copy(data, stream * ROW + (position - start), offset, size)
            self._high[who] = np.maximum(self._high[who], highest)
            return
        lengths = np.diff(heads, append=len(stream))
        simple = np.repeat(np.logical_and.reduceat(plain, heads), lengths)
        if simple.any():
            at = np.flatnonzero(simple)
            self._copy(data, stream[at] * ROW + (position[at] - start[at]), offset[at], size[at])
            done = simple[heads]
            self._high[who[done]] = np.maximum(self._high[who[done]], highest[done])
        for i in np.flatnonzero(~simple[heads]).tolist():
            part = slice(int(heads[i]), int(heads[i] + lengths[i]))
            self._place_one(data, int(who[i]), law[part], position[part], offset[part], size[part])

    def flush(self, stream: int) -> None:
        """Hand on what a row holds and has not handed on yet."""
        self._hand_on(stream, int(self._high[stream]))

    def tail(self, stream: int) -> bytes:
        """Return the last audio of a row, up to ``TAIL`` bytes, whether or not it has been handed on."""
        start, high = int(self._start[stream]), int(self._high[stream])
        return self._rows[stream, max(0, high - start - TAIL) : max(0, high - start)].tobytes()

    def flush_old(self, streams: NDArray[np.int64]) -> None:
        """Hand on rows that have gathered for more than ``FLUSH_SAMPLES``, all but the last half second."""
        full = streams[self._high[streams] - self._flushed[streams] > FLUSH_SAMPLES]
        for stream in full.tolist():
            self._hand_on(stream, int(self._high[stream]) - _KEEP)

    def _copy(
        self,
        data: NDArray[np.uint8],
        to: NDArray[np.int64],
        offset: NDArray[np.int64],
        size: NDArray[np.int64],
    ) -> None:
        """Copy payloads into the flat matrix, grouped by size: one memcpy each."""
        if not len(size):
            return
        first = int(size[0])
        if (size == first).all():
            self._copy_equal(data, to, offset, first)
            return
        sizes = np.unique(size)
        if len(sizes) > _MAX_SIZES:
            flat = self._flat
            for place, at, length in zip(to.tolist(), offset.tolist(), size.tolist(), strict=True):
                flat[place : place + length] = data[at : at + length]
            return
        for length in sizes.tolist():
            group = np.flatnonzero(size == length)
            self._copy_equal(data, to[group], offset[group], length)

    def _copy_equal(
        self, data: NDArray[np.uint8], to: NDArray[np.int64], offset: NDArray[np.int64], size: int
    ) -> None:
        if size == 0:
            return
        kind = f"V{size}"
        source = np.ndarray((len(data) - size + 1,), kind, data.data, 0, (1,))
        target = np.ndarray((len(self._flat) - size + 1,), kind, self._flat.data, 0, (1,))
        target[to] = source[offset]

    def _place_one(
        self,
        data: NDArray[np.uint8],
        stream: int,
        law: NDArray[np.uint8],
        position: NDArray[np.int64],
        offset: NDArray[np.int64],
        size: NDArray[np.int64],
    ) -> None:
        """Place one stream's packets where the row must move up, the law changes, or some come too late."""
        at = 0
        n = len(size)
        while at < n:
            same = int(np.argmax(law[at:] != law[at])) or n - at
            self._place_run(
                data,
                stream,
                int(law[at]),
                position[at : at + same],
                offset[at : at + same],
                size[at : at + same],
            )
            at += same

    def _place_run(
        self,
        data: NDArray[np.uint8],
        stream: int,
        law: int,
        position: NDArray[np.int64],
        offset: NDArray[np.int64],
        size: NDArray[np.int64],
    ) -> None:
        if law != self._law[stream]:
            self._hand_on(stream, int(self._high[stream]))
            self._clear(stream, int(self._high[stream]), law, int(position[0]))
        if position[-1] < self._start[stream] - _NONSENSE:
            # What came last was nonsense, far in the future: the timeline is back where it was.
            self._hand_on(stream, int(self._high[stream]))
            self._clear(stream, int(position.min()), law, int(position.min()))
        end = position + size
        while len(position):
            behind = np.clip(self._flushed[stream] - position, 0, size)
            if behind.any():
                for i in np.flatnonzero(behind).tolist():
                    self.stragglers += 1
                    self._flush(stream, int(position[i]), law, data[offset[i] : offset[i] + behind[i]])
                # The row goes on where it was handed on to, so the rest of a straggler belongs there.
                position, offset, size = position + behind, offset + behind, size - behind
            start = int(self._start[stream])
            ahead = size > 0
            fits = ahead & (end <= start + ROW)
            at = np.flatnonzero(fits)
            if len(at):
                self._copy(data, stream * ROW + (position[at] - start), offset[at], size[at])
                self._high[stream] = max(int(self._high[stream]), int(end[at].max()))
                self._low[stream] = min(int(self._low[stream]), int(position[at].min()))
            rest = np.flatnonzero(ahead & ~fits)
            if not len(rest):
                return
            position, offset, size, end = position[rest], offset[rest], size[rest], end[rest]
            self._move_up(stream, int(position.min()))

    def _move_up(self, stream: int, target: int) -> None:
        """Hand on the row up to half a second before ``target`` and let the row begin there."""
        start, high = int(self._start[stream]), int(self._high[stream])
        to = target - _KEEP
        self._hand_on(stream, min(to, high))
        if to >= high:
            # A long pause: nothing is kept, and the silence of the pause is not written down either.
            self._clear(stream, to, int(self._law[stream]), target)
            return
        row = self._rows[stream]
        kept = high - to
        row[:kept] = row[to - start : high - start].copy()
        row[kept:] = SILENCE[int(self._law[stream])]
        self._start[stream] = to
        self._flushed[stream] = max(int(self._flushed[stream]), to)
        self._low[stream] = max(int(self._low[stream]), to)

    def _hand_on(self, stream: int, until: int) -> None:
        if until <= self._flushed[stream]:
            return
        start, low = int(self._start[stream]), int(self._low[stream])
        if until > low:
            self._flush(stream, low, int(self._law[stream]), self._rows[stream, low - start : until - start])
        self._flushed[stream] = until
        self._low[stream] = max(low, until)

    def _clear(self, stream: int, start: int, law: int, low: int) -> None:
        """Make a row all silence from ``start`` on; ``low`` is where the next audio will begin."""
        self._rows[stream] = SILENCE[law]
        self._law[stream] = law
        self._start[stream] = self._flushed[stream] = self._high[stream] = start
        self._low[stream] = max(low, start)
        self._blank[stream] = False
