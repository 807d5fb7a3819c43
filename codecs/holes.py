"""Long silence of one track lets another of its side be heard: music on hold, an announcement.

A stream that pauses for some seconds is one run of audio, with silence where nothing was sent. Laid on top it
would cover what another stream of the same side had to say meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from bystander.codecs.g711 import SILENCE
from bystander.codecs.timeline import CLOCK_HZ, Run

#: Shorter silence is a pause in speech, which may be sent as such.
LONG: Final = CLOCK_HZ
#: So much of a hole's ends stays silent: on another hop the same words are heard a little later, or earlier.
MARGIN: Final = CLOCK_HZ // 5


def opened(runs: list[Run]) -> list[Run]:
    """Return runs without their long silences. Where the first begins and the last ends stays known."""
    if not runs:
        return []
    first = min(runs, key=lambda run: run.position)
    last = max(runs, key=lambda run: run.end)
    ends = [Run(first.position, first.law, first.samples[:1]), Run(last.end - 1, last.law, last.samples[-1:])]
    return [*(piece for run in runs for piece in _pieces(run)), *ends]


def _pieces(run: Run) -> Iterator[Run]:
    quiet = np.concatenate(([False], run.samples == SILENCE[run.law], [False]))
    edges = np.flatnonzero(quiet[1:] != quiet[:-1])
    begins, stops = edges[::2], edges[1::2]
    long = stops - begins >= LONG
    if not long.any():
        yield run
        return
    holes = np.column_stack((begins[long] + MARGIN, stops[long] - MARGIN)).ravel()
    bounds = [0, *holes.tolist(), len(run.samples)]
    for begin, stop in list(pairwise(bounds))[::2]:
        yield Run(run.position + begin, run.law, run.samples[begin:stop])
