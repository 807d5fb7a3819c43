"""Two clocks: RTP timestamps space the samples of a stream, capture time anchors them.

A stream's timeline counts samples from its first packet. Each packet's place is its extended RTP timestamp
plus an offset; the offset is set when the stream starts and again only where timestamps and the capture
clock part company:

- at once, when they disagree by more than a second from one packet to the next (the sender's timestamps
  jumped, stood still through a hold, or started over), unless what follows is a burst: then the network had
  stalled, and the timestamps were right; and after a pause of more than a minute, when they disagree by ten
  milliseconds: timestamps that ran on through a hold of an hour are a third of a second wrong by its end;
- through the stream's first seconds, when its earliest packet, not its first, becomes the anchor: packets
  delayed on their way, while a queue drains, must not push the whole stream back;
- slowly, when the least delay seen in each second has wandered by more than ten milliseconds: two clocks a
  hundred parts per million apart are a third of a second apart after an hour (C16). At most four samples a
  second are inserted or dropped, which nobody hears; more where the delays of twenty seconds and more lie on
  a line that says how far off the sender's clock is, for some that have no crystal are one per cent off. More
  than a second is a mistake made earlier, and put right at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.delays import Delays
from bystander.sniffer.jitter import Jitter
from bystander.sniffer.sequence import differences, running_sum

#: G.711's clock; streams of other clocks keep their packets and are timed when they are decoded.
CLOCK_HZ: Final = 8000
_NS_PER_SAMPLE: Final = 1_000_000_000 // CLOCK_HZ
#: The length of the windows in which the least delay is sought.
WINDOW_NS: Final = 1_000_000_000

_JUMP = CLOCK_HZ
_SETTLED = CLOCK_HZ // 5
_DRIFT = CLOCK_HZ // 100
_MAX_CORRECTION = 4
#: A clock is off by more than slow correction follows, and by no more than this (samples a second).
_FAST, _FASTEST = 3, CLOCK_HZ // 50
#: Windows in which the anchor itself may still move: the first may have begun with its last packet.
_SETTLING = 2
#: Windows in which it moves to packets that were less delayed: a queue may take so long to drain.
_DRAINING = 15
#: By less (2.5 ms) the clock of a sender may have drifted in that time: its anchor stays.
_DRAINED = CLOCK_HZ // 400
_FAR = np.iinfo(np.int64).max
#: A stall is told from a hold by the burst after it: this far ahead of the clock, within that time.
_BURST = 3 * CLOCK_HZ // 50
_BURST_NS = 500_000_000
_NO_TIME = np.iinfo(np.int64).min
#: After a pause longer than this (a minute) a clock 150 ppm off has wandered as far as `_DRIFT`.
_PAUSE_NS: Final = 60_000_000_000
#: A packet later than the earliest of its second by this (100 ms) is thrown away by a telephone's buffer.
LATE: Final = CLOCK_HZ // 10
#: No clock is set back by so much in the middle of a call (a minute).
_NONSENSE = 60 * CLOCK_HZ


class Clocks:
    """The timeline of each stream; arrays are indexed by stream number, positions are in samples."""

    def __init__(self, capacity: int) -> None:
        #: Capture time of position 0, ns.
        self.epoch_ns = np.zeros(capacity, np.int64)
        self._last_ts = np.zeros(capacity, np.int64)  # extended
        self._last_ns = np.zeros(capacity, np.int64)
        self._last_size = np.zeros(capacity, np.int64)
        # Of the packet with the highest sequence number: that, the position of its end, and its size.
        self._top = np.zeros(capacity, np.int64)
        self._end = np.zeros(capacity, np.int64)
        self._length = np.zeros(capacity, np.int64)
        self._offset = np.zeros(capacity, np.int64)
        self._least_delay = np.full(capacity, _FAR, np.int64)
        self._most_delay = np.zeros(capacity, np.int64)
        #: What has been added to positions against drift: with it, delays lie on the line of the sender's
        #: clock.
        self._corrected = np.zeros(capacity, np.int64)
        #: Packets too late to be heard by who received them.
        self.late = np.zeros(capacity, np.int64)
        self._windows = np.zeros(capacity, np.int64)
        self._started = np.zeros(capacity, bool)
        self._by_size = np.zeros(capacity, bool)
        # Of the last pause with no gap in the timestamps: when it ended, and the offset before it.
        self._paused_ns = np.full(capacity, _NO_TIME, np.int64)
        self._paused_offset = np.zeros(capacity, np.int64)
        #: Streams that must be placed one packet at a time.
        self._watched = np.zeros(capacity, bool)
        #: Streams that have had an anchor set anew: what came before and after it does not move together.
        self._torn = np.zeros(capacity, bool)
        #: Streams that go on after a long pause, by the time of a packet that may have been late itself.
        self._resumed = np.zeros(capacity, bool)
        self.jitter = Jitter(capacity)
        self.delays = Delays(capacity)
        self.jumps = 0

    def start(self, stream: int) -> None:
        """Forget whatever this number meant before: the next packet begins a timeline."""
        self._started[stream] = False
        self._by_size[stream] = self._watched[stream] = self._torn[stream] = False
        self._paused_ns[stream] = _NO_TIME
        self._resumed[stream] = False
        self._least_delay[stream] = _FAR
        self._most_delay[stream] = self._corrected[stream] = self.late[stream] = 0
        self._windows[stream] = 0
        self.jitter.start(stream)
        self.delays.start(stream)

    def started(self, stream: int) -> bool:
        """Tell whether the stream has a timeline yet."""
        return bool(self._started[stream])

    def jitter_ms(self, stream: int) -> float:
        """Return the mean of the interarrival jitter over the stream's packets, in milliseconds."""
        return self.jitter.mean_ms(stream)

    def place(
        self,
        stream: NDArray[np.int64],
        heads: NDArray[np.int64],
        extended: NDArray[np.int64],
        ts: NDArray[np.int64],
        time_ns: NDArray[np.int64],
        size: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Return the position of each packet's first sample: int64[n].

        Packets are G.711 (one byte a sample), sorted by stream, in order of arrival within it, all from one
        window; ``extended`` are their extended sequence numbers.
        """
        who = stream[heads]
        fresh = ~self._started[who]
        if fresh.any():
            at = heads[fresh]
            self._begin(who[fresh], extended[at], ts[at], time_ns[at])
        lengths = np.diff(heads, append=len(stream))
        tails = heads + lengths - 1

        advance = differences(ts, heads, self._last_ts[who])
        advance = ((advance + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        elapsed = differences(time_ns, heads, self._last_ns[who])
        spread = np.abs(elapsed * (1 / _NS_PER_SAMPLE) - advance)

        long_ts = running_sum(advance, heads, self._last_ts[who])
        position = long_ts + np.repeat(self._offset[who], lengths)

        # Timestamps that advance by less than the packet before was long count something else than samples
        # (C14: some phones count milliseconds), or the sender made a mistake; a jump is a jump. Both rare.
        before = np.empty(len(ts), np.int64)
        before[1:] = size[:-1]
        before[heads] = self._last_size[who]
        jumped = spread > _JUMP
        if int(elapsed.max()) > _PAUSE_NS:
            # After a hold the capture's clock knows better where to go on: there is nothing to tear apart.
            resumed = (elapsed > _PAUSE_NS) & (spread > _DRIFT)
            jumped |= resumed
            self._resumed[stream[resumed]] = True
        short = advance < before
        back = advance < 0
        if back.any():
            # A late packet belongs behind; what follows the newest one belongs on top of nothing.
            short &= ~back | (differences(extended, heads, self._top[who]) > 0)
        wrong = jumped | short
        if wrong.any() or self._watched[who].any():
            careful = np.logical_or.reduceat(wrong, heads) | self._watched[who]
            for i in np.flatnonzero(careful).tolist():
                part = slice(int(heads[i]), int(tails[i]) + 1)
                position[part] = self._place_carefully(
                    int(who[i]),
                    zip(
                        extended[part].tolist(),
                        advance[part].tolist(),
                        (elapsed[part] // _NS_PER_SAMPLE).tolist(),
                        time_ns[part].tolist(),
                        size[part].tolist(),
                        jumped[part].tolist(),
                        short[part].tolist(),
                        strict=True,
                    ),
                )
            spread[jumped] = 0

        self._last_ts[who] = long_ts[tails]
        self._last_ns[who] = time_ns[tails]
        self._last_size[who] = size[tails]
        self._note_newest(who, heads, tails, extended, position, size)
        delay = (time_ns - np.repeat(self.epoch_ns[who], lengths)) // _NS_PER_SAMPLE - position
        least = np.minimum.reduceat(delay, heads)
        if (least < -_NONSENSE).any():
            least = np.minimum.reduceat(np.where(delay < -_NONSENSE, _FAR, delay), heads)
        most = np.maximum.reduceat(delay, heads)
        before_this = self._least_delay[who]
        anew = before_this == _FAR
        least = np.minimum(before_this, least)
        self._least_delay[who] = least
        self._most_delay[who] = np.where(anew, most, np.maximum(self._most_delay[who], most))
        late = most - least > LATE
        if late.any():
            too_late = delay - np.repeat(least, lengths) > LATE
            self.late[who] += np.add.reduceat(too_late.astype(np.int64), heads)
        self.jitter.add(who, heads, lengths, spread, fresh)
        return position

    def end_window(self, streams: NDArray[np.int64], window: int) -> None:
        """Correct anchors by the least delay seen in a window that is over; ``streams`` are those alive."""
        seen = streams[self._least_delay[streams] != _FAR]
        least = self._least_delay[seen]
        self._least_delay[seen] = _FAR
        raw = least + self._corrected[seen]
        self.delays.note(seen, window, raw, raw + self._most_delay[seen] - least)
        self.jitter.look(seen)
        windows = self._windows[seen]
        draining = (windows < _DRAINING) & ~self._torn[seen]
        first = (windows < _SETTLING) | (draining & (least < -_DRAINED))
        self._windows[seen] += 1
        self.epoch_ns[seen[first]] += least[first] * _NS_PER_SAMPLE
        self._corrected[seen[first]] += least[first]
        # What comes later while the anchor may still move is delayed rather than drifting.
        off = (np.abs(least) > np.where(draining, _JUMP, _DRIFT)) & ~first
        wandered = seen[off]
        if len(wandered):
            by = least[off]
            at_once = (np.abs(by) > _JUMP) | self._resumed[wandered]
            by = np.where(at_once, by, self._bounded(wandered, by))
            self._offset[wandered] += by
            self._end[wandered] += by
            self._corrected[wandered] += by
        self._resumed[seen] = False

    def _bounded(self, wandered: NDArray[np.int64], by: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how much of what streams have wandered is corrected in one window: int64[n], samples."""
        rate = self.delays.rates(wandered)
        follows = (np.abs(rate) > _FAST) & (np.sign(rate) == np.sign(by))
        most = np.where(follows, np.minimum(_MAX_CORRECTION + 2 * np.abs(rate), _FASTEST), _MAX_CORRECTION)
        most = most.astype(np.int64)
        return np.clip(by, -most, most)

    def anchor_ns(self, stream: int) -> int:
        """Return the capture time of position 0, ns, settled by what has come so far."""
        epoch, least = int(self.epoch_ns[stream]), int(self._least_delay[stream])
        windows = int(self._windows[stream])
        draining = windows < _DRAINING and not self._torn[stream]
        moves = windows < _SETTLING or (draining and least < -_DRAINED)
        settled = least == _FAR or not moves
        return epoch if settled else epoch + least * _NS_PER_SAMPLE

    def _begin(
        self,
        who: NDArray[np.int64],
        extended: NDArray[np.int64],
        ts: NDArray[np.int64],
        time_ns: NDArray[np.int64],
    ) -> None:
        self._started[who] = True
        self._top[who] = extended - 1
        self._end[who] = 0
        self._length[who] = 0
        self.epoch_ns[who] = time_ns
        self._last_ns[who] = time_ns
        self._last_ts[who] = ts
        self._last_size[who] = 0
        self._offset[who] = -ts

    def _note_newest(
        self,
        who: NDArray[np.int64],
        heads: NDArray[np.int64],
        tails: NDArray[np.int64],
        extended: NDArray[np.int64],
        position: NDArray[np.int64],
        size: NDArray[np.int64],
    ) -> None:
        """Remember where each stream's packet with the highest sequence number ends."""
        top = np.maximum.reduceat(extended, heads)
        newest = tails
        overtaken = extended[tails] != top
        if overtaken.any():
            newest = tails.copy()
            for i in np.flatnonzero(overtaken).tolist():
                newest[i] = heads[i] + np.argmax(extended[heads[i] : tails[i] + 1])
        ahead = top > self._top[who]
        if not ahead.all():
            who, top, newest = who[ahead], top[ahead], newest[ahead]
        self._top[who] = top
        self._end[who] = position[newest] + size[newest]
        self._length[who] = size[newest]

    def _place_carefully(
        self, who: int, packets: Iterable[tuple[int, int, int, int, int, bool, bool]]
    ) -> list[int]:
        """Place one stream's packets one by one, where timestamps cannot be taken at their word.

        A packet is (extended sequence number, advance of its timestamp, samples waited for it, capture time,
        size, whether timestamp and time disagree, whether the timestamp advanced too little).
        """
        positions = []
        offset, timestamp = int(self._offset[who]), int(self._last_ts[who])
        number, end, length = int(self._top[who]), int(self._end[who]), int(self._length[who])
        epoch = int(self.epoch_ns[who])
        by_size = bool(self._by_size[who])
        paused_ns, paused_offset = int(self._paused_ns[who]), int(self._paused_offset[who])
        anchored = False
        for seq, add, waited, time, samples, jumped, short in packets:
            timestamp += add
            position = timestamp + offset
            step = seq - number
            if step > 0:
                if not by_size and step == 1 and 0 < add * 4 < length and waited * 2 > length:
                    by_size = True
                if by_size:
                    position = end + length * (step - 1)
                    if waited - length * step >= _SETTLED:
                        anchored = True
                        position = _by_time((time - epoch) // _NS_PER_SAMPLE, end)
                elif jumped:
                    if waited > add == length and step == 1:
                        paused_ns, paused_offset = time, offset
                    position = _by_time((time - epoch) // _NS_PER_SAMPLE, end)
                    anchored = True
                    self.jumps += 1
                else:
                    if paused_ns != _NO_TIME:
                        if time - paused_ns > _BURST_NS:
                            paused_ns = _NO_TIME
                        elif position - (time - epoch) // _NS_PER_SAMPLE > _BURST:
                            paused_ns = _NO_TIME
                            anchored = True
                            position = timestamp + paused_offset
                            end = position
                    if short and position < end:
                        position = end + length * (step - 1)
                offset = position - timestamp
                number, end, length = seq, position + samples, samples
            elif by_size or jumped:
                position = end - length * (1 - step)
            positions.append(position)
        if anchored:
            self._torn[who] = True
            self.delays.restart(who)
        self._offset[who] = offset
        self._by_size[who] = by_size
        self._paused_ns[who], self._paused_offset[who] = paused_ns, paused_offset
        self._watched[who] = by_size or paused_ns != _NO_TIME
        return positions


def _by_time(position: int, end: int) -> int:
    """Return the place that capture time gives a packet, but not on top of what came before it.

    Time that runs backwards puts a packet behind the one before; only where that one lies so far ahead that
    its own time must have been nonsense does the timeline go back.
    """
    return position if position >= end or 0 <= position < end - _NONSENSE else end
