"""Long silence of one track lets another of its side be heard: music on hold, an announcement.

A stream that pauses for some seconds is one run of audio, with silence where nothing was sent. Laid on top it
would cover what another stream of the same side had to say meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.g711 import SILENCE
from bystander.codecs.timeline import CLOCK_HZ, Run

#: Shorter silence is a pause in speech, which may be sent as such.
LONG: Final = CLOCK_HZ
#: So much of a hole's ends stays silent where another track goes on there: on another hop the same words are
#: heard a little later, or earlier. What begins or ends in the hole is something else, and is heard whole.
MARGIN: Final = CLOCK_HZ // 5
#: From where to where another track has something, in samples.
Span = tuple[int, int]


def opened(runs: list[Run], beside: Sequence[Span]) -> list[Run]:
    """Return runs without their long silences. Where the first begins and the last ends stays known.

    ``beside`` is where the other tracks of the side have something, on the same timeline.
    """
    if not runs:
        return []
    first = min(runs, key=lambda run: run.position)
    last = max(runs, key=lambda run: run.end)
    ends = [Run(first.position, first.law, first.samples[:1]), Run(last.end - 1, last.law, last.samples[-1:])]
    spans = np.array(beside, np.int64).reshape(-1, 2)
    return [*(piece for run in runs for piece in _pieces(run, spans)), *ends]


def _pieces(run: Run, beside: NDArray[np.int64]) -> Iterator[Run]:
    quiet = np.concatenate(([False], run.samples == SILENCE[run.law], [False]))
    edges = np.flatnonzero(quiet[1:] != quiet[:-1])
    begins, stops = edges[::2], edges[1::2]
    long = stops - begins >= LONG
    if not long.any():
        yield run
        return
    bounds = [0]
    for begin, stop in zip(begins[long].tolist(), stops[long].tolist(), strict=True):
        before, behind = run.position + begin, run.position + stop
        bounds.append(begin + MARGIN * _goes_on(beside, before - MARGIN, before))
        bounds.append(stop - MARGIN * _goes_on(beside, behind, behind + MARGIN))
    bounds.append(len(run.samples))
    for begin, stop in list(pairwise(bounds))[::2]:
        yield Run(run.position + begin, run.law, run.samples[begin:stop])


def _goes_on(spans: NDArray[np.int64], begin: int, stop: int) -> bool:
    """Tell whether some spans (int64[n, 2]) have most of what is between two places."""
    part = np.minimum(spans[:, 1], stop) - np.maximum(spans[:, 0], begin)
    return 2 * int(part[part > 0].sum()) > stop - begin
