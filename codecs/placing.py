"""Where kept packets belong in time: RTP timestamps space them, capture time anchors them.

The same two clocks as those of G.711 in the sniffer, for streams of any RTP clock, and for all packets of a
stream at once, when they are decoded. The anchor is the packet that was least delayed; a new one is set where
timestamps and capture clock disagree by more than a second from one packet to the next, unless a burst
follows, for then the network had stalled and the timestamps were right, and after a pause of more than a
minute where they disagree by ten milliseconds. Where two clocks drift apart (C16), positions follow the
capture clock by at most half a millisecond a second; where delays show all along that the sender's clock is
off by more, by what they show.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

_S: Final = 1e9
_JUMP_NS: Final = 1e9
#: After a pause longer than this (a minute) two clocks may have wandered apart as far as `_DRIFT_NS`.
_PAUSE_NS: Final = 6e10
#: A stall is told from a pause by what comes within this time: packets as little delayed as before it.
_BURST_NS: Final = 5e8
_CAUGHT_UP_NS: Final = 2e8
#: Seconds within which the anchor is sought. A queue on the way may take longer to drain: it moves to packets
#: that are by so much less delayed, for by less a clock may have drifted in that time.
_SETTLING: Final = 2
_DRAINING: Final = 15
_DRAINED_NS: Final = 2.5e6
#: How the least delay of each second is followed after that.
_GAIN: Final = 1 / 16
_DRIFT_NS: Final = 1e7
_STEP_NS: Final = 5e5
#: A clock is off by more than that follows (ns a second), and by no more than this; it is sure where as many
#: seconds lie on a line, whose slope is so many of its standard errors.
_FAST_NS: Final = 3.75e5
_FASTEST_NS: Final = 2e7
_SURE_S: Final = 20
_SURE: Final = 10.0
#: No line is followed further than the delays of so many seconds around show.
_NEAR: Final = 7


@dataclass(slots=True)
class Placement:
    """Packets in sequence order.

    ``order``      int64[n], indexes the packets that were given
    ``ticks``      int64[n], RTP timestamp since the first one, without wraps
    ``offset_ns``  float64[n], what is added to it; constant for long stretches
    ``first_ns``   capture time of the first packet, from which both count
    """

    order: NDArray[np.int64]
    ticks: NDArray[np.int64]
    offset_ns: NDArray[np.float64]
    first_ns: int
    clock_hz: int

    def positions(self, origin_ns: int, rate_hz: int) -> NDArray[np.int64]:
        """Return the sample that each packet begins with, int64[n]: sample 0 of ``rate_hz`` is ``origin_ns``.

        Packets that follow one another in their timestamps do so in samples, however the offset is rounded.
        """
        offset = np.rint((self.first_ns - origin_ns + self.offset_ns) * (rate_hz / _S)).astype(np.int64)
        return self.ticks * rate_hz // self.clock_hz + offset


def place(
    seq: NDArray[np.int64], ts: NDArray[np.uint32], time_ns: NDArray[np.int64], clock_hz: int
) -> Placement:
    """Place packets (int64[n], uint32[n], int64[n], n > 0) whose RTP clock runs at ``clock_hz``."""
    order = np.argsort(seq, kind="stable")
    arrived = time_ns[order]
    first_ns = int(arrived[0])
    time = (arrived - first_ns).astype(np.float64)
    ticks = unwrapped(ts[order])
    delay = time - ticks * (_S / clock_hz)
    bounds = [0, *_anchors(time, delay), len(order)]
    parts = [slice(begin, end) for begin, end in pairwise(bounds)]
    offset = np.concatenate([_offset(time[part], delay[part]) for part in parts])
    return Placement(order, ticks, offset, first_ns, clock_hz)


def unwrapped(ts: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return timestamps since the first one, int64[n], across wraps of their 32 bits (C14)."""
    stamp = ts.astype(np.int64)
    step = (stamp[1:] - stamp[:-1] + 0x80000000) % 0x100000000 - 0x80000000
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(step)))


def _anchors(time: NDArray[np.float64], delay: NDArray[np.float64]) -> list[int]:
    """Return where a new anchor is set: the packets whose timestamp or time has jumped."""
    found: list[int] = []
    level = 0.0  # delay that a jump is judged against while a stall is being made up for
    apart = np.abs(np.diff(delay))
    paused = (np.diff(time) > _PAUSE_NS) & (apart > _DRIFT_NS)
    for at in (np.flatnonzero((apart > _JUMP_NS) | paused) + 1).tolist():
        before = delay[at - 1]
        if paused[at - 1]:
            pass  # a hold: there is nothing to tear apart
        elif delay[at] > before:
            soon = (time[at:] <= time[at] + _BURST_NS).nonzero()[0]
            window = delay[at : at + int(soon[-1]) + 1] if len(soon) else delay[at : at + 1]
            if float(window.min()) <= before + _CAUGHT_UP_NS:
                level = float(before)
                continue
        elif abs(float(delay[at]) - level) <= _CAUGHT_UP_NS:
            continue
        found.append(at)
        level = float(delay[at])
    return found


def _offset(time: NDArray[np.float64], delay: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is added to the media time of each packet of a stretch, ns: float64[n]."""
    window = ((time - time[0]) // _S).astype(np.int64)
    np.maximum.accumulate(window, out=window)
    heads = np.flatnonzero(np.diff(window, prepend=-1))
    least = np.minimum.reduceat(delay, heads)
    number = window[heads]
    line = _rate(number, least) * number
    around = _around(least) if line.any() else None
    least -= line
    anchor = float(least[number < _SETTLING].min())
    drained = float(least[number < _DRAINING].min())
    if drained < anchor - _DRAINED_NS:
        anchor = drained
    offsets = np.empty(len(heads))
    offset = smooth = anchor
    for i, low in enumerate(least.tolist()):
        if number[i] >= _DRAINING:
            smooth += (low - smooth) * _GAIN
            wander = smooth - offset
            if abs(wander) > _DRIFT_NS:
                offset += max(-_STEP_NS, min(_STEP_NS, wander))
        offsets[i] = offset
    offsets += line
    if around is not None:
        offsets = np.clip(offsets, *around)
    return np.repeat(offsets, np.diff(heads, append=len(time)))


def _around(least: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return between what the delays of some seconds before and after each second are: float64[n] twice."""
    padded = np.pad(least, _NEAR, mode="edge")
    near = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEAR + 1)
    return near.min(axis=1), near.max(axis=1)


def _rate(second: NDArray[np.int64], least: NDArray[np.float64]) -> float:
    """Return by how much the least delays of a stretch grow, ns a second; 0 where slow correction will do."""
    if len(second) < _SURE_S:
        return 0.0
    x, y = second - second.mean(), least - least.mean()
    across = float(x @ x)
    rate = float(x @ y) / across
    rest = y - rate * x
    error = (float(rest @ rest) / (len(x) - 2) / across) ** 0.5
    return rate if _FAST_NS < abs(rate) < _FASTEST_NS and abs(rate) > _SURE * error else 0.0
