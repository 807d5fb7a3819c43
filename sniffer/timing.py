"""Jitter, delay variation and drift of streams that are not G.711, whatever their RTP clock.

G.711 is timed where it is placed (`clock.py`); what keeps its packets is placed when it is decoded, but how
it came is measured here, as it comes. Only packets of the stream's audio count: telephone events stand still
and comfort noise is sparse. Until a description has told the clock of a dynamic payload type nothing is
measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.delays import DelayFigures, Delays
from bystander.sniffer.jitter import Jitter
from bystander.sniffer.sequence import differences, heads_of, running_sum
from bystander.sniffer.stream import Stream

_UNITS_HZ: Final = 8000
_NS_PER_UNIT: Final = 125_000
#: 100 ms, as for G.711.
_LATE: Final = _UNITS_HZ // 10
#: Timestamps and time that disagree by a second from one packet to the next: a jump, or a pause.
_JUMP: Final = _UNITS_HZ
#: Streams whose clock is looked up in one second.
_LOOKED_UP: Final = 256
_FAR: Final = np.iinfo(np.int64).max
_NONE: Final = -1

Ints = NDArray[np.int64]


class Timing:
    """How the packets of each stream come; arrays are indexed by stream number, delays in units of 125 µs."""

    def __init__(self, capacity: int, clock_of: Callable[[Stream, int], int | None] | None = None) -> None:
        self._clock_of = clock_of
        #: Streams whose clock is not known yet.
        self._waiting: dict[int, Stream] = {}
        self._pt = np.full(capacity, _NONE, np.int64)
        self._units_per_tick = np.ones(capacity)
        self._started = np.zeros(capacity, bool)
        self._last_ts = np.zeros(capacity, np.int64)  # extended
        self._last_ns = np.zeros(capacity, np.int64)
        self._begin_ts = np.zeros(capacity, np.int64)
        self._begin_ns = np.zeros(capacity, np.int64)
        self._least = np.full(capacity, _FAR, np.int64)
        self._most = np.zeros(capacity, np.int64)
        self.late = np.zeros(capacity, np.int64)
        self.jitter = Jitter(capacity)
        self.delays = Delays(capacity)

    def start(self, stream: int) -> None:
        """Forget whatever this number meant before."""
        self._pt[stream] = _NONE
        self._started[stream] = False
        self._least[stream] = _FAR
        self.late[stream] = 0
        self.jitter.start(stream)
        self.delays.start(stream)

    def measure(self, stream: int, pt: int, clock_hz: int) -> None:
        """Measure the packets of this payload type, whose timestamps count in this clock, from now on."""
        self._pt[stream] = pt
        self._units_per_tick[stream] = _UNITS_HZ / clock_hz

    def wait_for_clock(self, stream: Stream) -> None:
        """Find out what to measure of a stream, now or in some second to come."""
        if stream.number not in self._waiting:
            self._waiting[stream.number] = stream
            self._look_up(stream)

    def forget(self, stream: int) -> None:
        """A stream gets no more packets; its figures stay until the number is used again."""
        self._waiting.pop(stream, None)

    def _look_up(self, stream: Stream) -> None:
        for pt in stream.payload_types if self._clock_of is not None else ():
            clock_hz = self._clock_of(stream, pt) if self._clock_of is not None else None
            if clock_hz:
                self.measure(stream.number, pt, clock_hz)
                self.forget(stream.number)
                return
        # Those asked about go behind the others.
        self._waiting[stream.number] = self._waiting.pop(stream.number)

    def measured(self, stream: int) -> bool:
        """Tell whether it is known what to measure of a stream."""
        return bool(self._pt[stream] != _NONE)

    def known(self, streams: Ints) -> NDArray[np.bool_]:
        """Tell the same of many: bool[n]."""
        known: NDArray[np.bool_] = self._pt[streams] != _NONE
        return known

    def feed(self, stream: Ints, pt: NDArray[np.uint8], ts: Ints, time_ns: Ints) -> None:
        """Take packets sorted by stream, in order of arrival within it, all from one second."""
        own = self._pt[stream] == pt
        if not own.all():
            stream, ts, time_ns = stream[own], ts[own], time_ns[own]
        if not len(stream):
            return
        heads = heads_of(stream)
        who = stream[heads]
        fresh = ~self._started[who]
        if fresh.any():
            first, at = who[fresh], heads[fresh]
            self._started[first] = True
            self._last_ts[first] = self._begin_ts[first] = ts[at]
            self._last_ns[first] = self._begin_ns[first] = time_ns[at]
        lengths = np.diff(heads, append=len(stream))
        tails = heads + lengths - 1
        advance = differences(ts, heads, self._last_ts[who])
        advance = ((advance + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        elapsed = differences(time_ns, heads, self._last_ns[who])
        scale = np.repeat(self._units_per_tick[who], lengths)
        spread = np.abs(elapsed * (1 / _NS_PER_UNIT) - advance * scale)
        long_ts = running_sum(advance, heads, self._last_ts[who])
        delay = (
            (time_ns - np.repeat(self._begin_ns[who], lengths)) * (1 / _NS_PER_UNIT)
            - (long_ts - np.repeat(self._begin_ts[who], lengths)) * scale
        ).astype(np.int64)
        self._last_ts[who] = long_ts[tails]
        self._last_ns[who] = time_ns[tails]
        jumped = spread > _JUMP
        if jumped.any():
            spread[jumped] = 0
            torn = np.logical_or.reduceat(jumped, heads)
            for number in who[torn].tolist():
                self.delays.restart(number)
            # Nothing of this second can be compared with anything.
            whole = np.repeat(~torn, lengths)
            self._least[who[torn]] = _FAR
            self.jitter.add(who, heads, lengths, spread, fresh)
            self._range(who[~torn], heads_of(stream[whole]), lengths[~torn], delay[whole])
            return
        self.jitter.add(who, heads, lengths, spread, fresh)
        self._range(who, heads, lengths, delay)

    def _range(self, who: Ints, heads: Ints, lengths: Ints, delay: Ints) -> None:
        if not len(who):
            return
        least, most = np.minimum.reduceat(delay, heads), np.maximum.reduceat(delay, heads)
        before = self._least[who]
        least = np.minimum(before, least)
        self._most[who] = np.where(before == _FAR, most, np.maximum(self._most[who], most))
        self._least[who] = least
        if (most - least > _LATE).any():
            late = delay - np.repeat(least, lengths) > _LATE
            self.late[who] += np.add.reduceat(late.astype(np.int64), heads)

    def end_window(self, streams: Ints, window: int) -> None:
        """A second is over; ``streams`` are those alive."""
        for stream in list(self._waiting.values())[:_LOOKED_UP]:
            self._look_up(stream)
        seen = streams[self._least[streams] != _FAR]
        if len(seen):
            self.delays.note(seen, window, self._least[seen], self._most[seen])
            self.jitter.look(seen)
            self._least[seen] = _FAR

    def figures(self, stream: int) -> DelayFigures:
        """Return the delay variation and drift of a stream."""
        return self.delays.figures(stream)
