"""The audio of a call: runs of G.711 put in their places in time, two channels, to 16-bit stereo.

A channel is what one party said. It may come in several tracks (streams): one after another when media
moves, side by side when a call is seen on two hops. Tracks are laid one over the other in order of
preference, so at any moment one is heard and the others fill its gaps; nothing is mixed twice (C13).

Both channels stay G.711 until the last moment: one 16-bit look-up, left byte and right byte, gives the
finished stereo frame, which saves decoding to two buffers and interleaving them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.g711 import PCMU, SILENCE, decode, encode, table

CLOCK_HZ: Final = 8000
NS_PER_SAMPLE: Final = 125_000
#: Frames rendered at a time: 16 s, small enough to stay in the second-level cache.
BLOCK: Final = 131072
_LOOK_UPS = 16384


@dataclass(slots=True, frozen=True)
class Run:
    """G.711 bytes whose first is sample ``position``; ``law`` is the payload type, PCMU or PCMA."""

    position: int
    law: int
    samples: NDArray[np.uint8]

    @property
    def end(self) -> int:
        """Position behind the last sample."""
        return self.position + len(self.samples)


@cache
def _frames(left_law: int, right_law: int) -> NDArray[np.uint32]:
    """Return the stereo table: uint32[65536], indexed by left byte + 256 * right byte, two int16 each."""
    both = np.empty((256, 256, 2), np.int16)
    both[:, :, 0] = table(left_law)[None, :]
    both[:, :, 1] = table(right_law)[:, None]
    return both.reshape(-1).view(np.uint32)


class Channel:
    """The runs of one channel, in absolute sample positions of the recording, read block by block.

    Runs laid later win over those laid earlier.
    """

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._begins: list[int] = []
        self._ends: list[int] = []
        #: Each run begins where the one before it has ended, or later: those of a block lie together.
        self._in_order = True

    def lay(self, run: Run) -> None:
        """Put a run on top of what is there."""
        if self._ends and run.position < self._ends[-1]:
            self._in_order = False
        self._runs.append(run)
        self._begins.append(run.position)
        self._ends.append(run.end)

    def laws(self) -> dict[int, int]:
        """Return how many samples there are of each law."""
        found: dict[int, int] = {}
        for run in self._runs:
            found[run.law] = found.get(run.law, 0) + len(run.samples)
        return found

    def read(self, start: int, raw: NDArray[np.uint8]) -> int | NDArray[np.int16]:
        """Read the samples from ``start`` on: G.711 into ``raw`` (uint8[n]) and the law, or int16[n].

        Where one block holds both laws there is no one law to return, so the samples are decoded.
        """
        stop = start + len(raw)
        runs = self._between(start, stop)
        laws = {run.law for run in runs}
        if len(laws) > 1:
            return self._decoded(start, len(raw), runs)
        law = laws.pop() if laws else PCMU
        if not _covered(runs, start, stop):
            raw.fill(SILENCE[law])
        for run in runs:
            first, last = max(run.position, start), min(run.end, stop)
            raw[first - start : last - start] = run.samples[first - run.position : last - run.position]
        return law

    def _between(self, start: int, stop: int) -> list[Run]:
        """Return the runs that reach into a range, in the order in which they were laid."""
        if self._in_order:
            return self._runs[bisect_right(self._ends, start) : bisect_left(self._begins, stop)]
        return [run for run in self._runs if run.position < stop and run.end > start]

    @staticmethod
    def _decoded(start: int, n: int, runs: list[Run]) -> NDArray[np.int16]:
        out = np.zeros(n, np.int16)
        for run in runs:
            first, last = max(run.position, start), min(run.end, start + n)
            out[first - start : last - start] = decode(
                np.ascontiguousarray(run.samples[first - run.position : last - run.position]), run.law
            )
        return out


def _covered(runs: list[Run], start: int, stop: int) -> bool:
    """Tell whether runs, in whatever order, are seen to leave no gap; it may say no in vain."""
    at = start
    for run in runs:
        if run.position > at:
            return False
        at = max(at, run.end)
    return at >= stop


def render(left: Channel, right: Channel, length: int) -> Iterator[NDArray[np.int16]]:
    """Yield the recording as blocks of stereo frames, int16[n, 2], ``length`` frames in all.

    A block is valid until the next one is asked for.
    """
    raw = np.empty((2, BLOCK), np.uint8)
    index = np.empty(BLOCK, np.uint16)
    high = np.empty(BLOCK, np.uint16)
    out = np.empty(BLOCK, np.uint32)
    for start in range(0, length, BLOCK):
        n = min(BLOCK, length - start)
        sides = [channel.read(start, raw[i, :n]) for i, channel in enumerate((left, right))]
        if isinstance(sides[0], int) and isinstance(sides[1], int):
            np.copyto(high[:n], raw[1, :n])
            np.left_shift(high[:n], 8, out=high[:n])
            np.bitwise_or(high[:n], raw[0, :n], out=index[:n])
            frames = _frames(sides[0], sides[1])
            for at in range(0, n, _LOOK_UPS):
                frames.take(
                    index[at : min(at + _LOOK_UPS, n)], mode="wrap", out=out[at : min(at + _LOOK_UPS, n)]
                )
            yield out[:n].view(np.int16).reshape(-1, 2)
        else:
            block = np.empty((n, 2), np.int16)
            for i, side in enumerate(sides):
                block[:, i] = decode(raw[i, :n], side) if isinstance(side, int) else side
            yield block


def prevailing_law(left: Channel, right: Channel) -> int:
    """Return the law of most samples of both channels: PCMU or PCMA."""
    counts = left.laws()
    for law, samples in right.laws().items():
        counts[law] = counts.get(law, 0) + samples
    return max(counts, key=lambda law: counts[law], default=PCMU)


def render_law(left: Channel, right: Channel, length: int, law: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the G.711 bytes of the first ``length`` samples, uint8[n, 2]: as they came, or transcoded."""
    for start in range(0, length, BLOCK):
        count = min(BLOCK, length - start)
        block = np.empty((count, 2), np.uint8)
        for side, channel in enumerate((left, right)):
            raw = np.empty(count, np.uint8)
            found = channel.read(start, raw)
            if not isinstance(found, int):
                raw = encode(found, law)
            elif found != law:
                raw = encode(decode(raw, found), law)
            block[:, side] = raw
        yield block


def runs_from_packets(
    seq: NDArray[np.int64],
    ts: NDArray[np.uint32],
    time_ns: NDArray[np.int64],
    payloads: list[bytes],
    law: int,
) -> tuple[int, list[Run]]:
    """Put kept G.711 packets of one payload type on a timeline: (capture time of position 0 in ns, runs).

    Used for payload types that SDP explained only after their packets had come; they are placed as those of
    other codecs are.
    """
    from bystander.codecs.placing import place

    placed = place(seq, ts, time_ns, CLOCK_HZ)
    positions = placed.positions(placed.first_ns, CLOCK_HZ).tolist()
    return placed.first_ns, [
        Run(position, law, np.frombuffer(payloads[i], np.uint8))
        for position, i in zip(positions, placed.order.tolist(), strict=True)
    ]
