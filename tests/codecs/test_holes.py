"""Long silences of one track, through which another is heard."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bystander.codecs.g711 import PCMA, PCMU, SILENCE
from bystander.codecs.holes import LONG, MARGIN, opened
from bystander.codecs.timeline import Channel, Run

SPANS = st.lists(st.tuples(st.booleans(), st.integers(1, 3 * LONG)), min_size=1, max_size=8)


def run(spans: list[tuple[bool, int]], law: int, position: int = 0) -> Run:
    """Spans of something said, and of silence."""
    said = SILENCE[law] ^ 0x35
    samples = np.concatenate([np.full(n, said if loud else SILENCE[law], np.uint8) for loud, n in spans])
    return Run(position, law, samples)


def heard(runs: list[Run], length: int, law: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    channel = Channel()
    for each in runs:
        channel.lay(each)
    raw = np.empty(length, np.uint8)
    assert channel.read(0, raw) == law
    return raw


@given(SPANS, st.sampled_from([PCMU, PCMA]))
def test_alone_it_sounds_as_before_and_is_as_long(spans: list[tuple[bool, int]], law: int) -> None:
    whole = run(spans, law)
    pieces = opened([whole], [(-LONG, 8 * LONG)])
    assert np.array_equal(heard(pieces, whole.end, law), whole.samples)
    assert min(p.position for p in pieces) == 0
    assert max(p.end for p in pieces) == whole.end


@given(SPANS)
def test_what_lies_below_is_heard_where_the_silence_is_long(spans: list[tuple[bool, int]]) -> None:
    whole = run(spans, PCMA)
    below = run([(True, whole.end)], PCMA)
    below.samples[:] = 1
    raw = heard([below, *opened([whole], [(0, whole.end)])], whole.end, PCMA)
    through = raw == 1
    quiet = whole.samples == SILENCE[PCMA]
    assert not (through & ~quiet).any()
    at = 0
    for loud, group in _merged(spans):
        if not loud and group >= LONG:
            assert through[at + MARGIN : at + group - MARGIN].all()
        elif not loud:
            assert not through[at : at + group].any()
        at += group


def _merged(spans: list[tuple[bool, int]]) -> list[tuple[bool, int]]:
    merged: list[tuple[bool, int]] = []
    for loud, n in spans:
        if merged and merged[-1][0] == loud:
            merged[-1] = (loud, merged[-1][1] + n)
        else:
            merged.append((loud, n))
    return merged


def test_nothing_of_nothing() -> None:
    assert opened([], []) == []


@given(st.integers(-MARGIN, 2 * LONG), st.integers(1, 2 * LONG), st.integers(0, 5 * LONG))
def test_c11_what_begins_and_ends_in_the_silence_is_heard_whole(begin: int, length: int, at: int) -> None:
    """Music on hold, an announcement of another source: its first and last words are heard, too."""
    whole = run([(True, 2 * LONG), (False, 3 * LONG), (True, LONG)], PCMA, position=at)
    begin += 2 * LONG + at
    stop = min(begin + length, whole.end)
    below = Run(begin, PCMA, np.ones(stop - begin, np.uint8))
    raw = heard([below, *opened([whole], [(begin, stop)])], whole.end, PCMA)
    quiet = np.flatnonzero(whole.samples == SILENCE[PCMA]) + at
    there = quiet[(quiet >= begin) & (quiet < stop)]
    if begin >= 2 * LONG + at - MARGIN // 2 and stop <= 5 * LONG + at + MARGIN // 2:
        assert (raw[there] == 1).all()
    spoken = np.setdiff1d(np.arange(at, whole.end), quiet)
    assert not (raw[spoken] == 1).any()
