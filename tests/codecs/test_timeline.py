"""The timeline against a mix done sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.codecs import timeline
from bystander.codecs.g711 import PCMA, PCMU, table
from bystander.codecs.timeline import Channel, Run, render, runs_from_packets

RUNS = st.lists(
    st.tuples(st.integers(-50, 400), st.sampled_from([PCMA, PCMU]), st.binary(max_size=200)), max_size=6
)


#: As above, with gaps in the place of positions.
IN_ORDER = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from([PCMA, PCMU]), st.binary(max_size=60)), max_size=12
)
Laid = list[tuple[int, int, bytes]]


def one_after_another(gaps: Laid) -> Laid:
    laid, at = [], -50
    for gap, law, data in gaps:
        laid.append((at + gap, law, data))
        at += gap + len(data)
    return laid


def channel(runs: list[tuple[int, int, bytes]]) -> Channel:
    built = Channel()
    for position, law, data in runs:
        built.lay(Run(position, law, np.frombuffer(data, np.uint8)))
    return built


def mixed(runs: list[tuple[int, int, bytes]], length: int) -> np.ndarray:
    """What should come out: later runs win, silence where there are none (+-8: the laws' smallest step)."""
    out = np.zeros(length, np.int16)
    for position, law, data in runs:
        for i, code in enumerate(data):
            if 0 <= position + i < length:
                out[position + i] = table(law)[code]
    return out


def check(left: Laid, right: Laid, length: int, block: int) -> None:
    """Compare a recording, rendered so many frames at a time, with what should come out."""
    before = timeline.BLOCK
    timeline.BLOCK = block  # type: ignore[misc]
    try:
        frames = np.concatenate([part.copy() for part in render(channel(left), channel(right), length)])
    finally:
        timeline.BLOCK = before  # type: ignore[misc]
    assert frames.shape == (length, 2)
    for side, runs in enumerate((left, right)):
        assert np.abs(frames[:, side].astype(int) - mixed(runs, length)).max() <= 8


@settings(max_examples=80, deadline=None)
@given(RUNS, RUNS, st.integers(1, 500), st.sampled_from([64, 100, 4096]))
def test_later_runs_win_and_the_rest_is_silence(left: Laid, right: Laid, length: int, block: int) -> None:
    check(left, right, length, block)


@settings(max_examples=80, deadline=None)
@given(IN_ORDER, IN_ORDER, st.integers(1, 500), st.sampled_from([16, 64, 4096]))
def test_runs_one_after_another_are_found_in_every_block(
    left: Laid, right: Laid, length: int, block: int
) -> None:
    """Where nothing came late, the runs of a block are searched for: beside gaps and empty runs, too."""
    check(one_after_another(left), one_after_another(right), length, block)


@pytest.mark.parametrize("laws", [(PCMA, PCMA), (PCMA, PCMU), (PCMU, PCMA), (PCMU, PCMU)])
def test_each_side_has_its_own_law(laws: tuple[int, int]) -> None:
    data = bytes(range(256))
    (frames,) = render(channel([(0, laws[0], data)]), channel([(0, laws[1], data[::-1])]), 256)
    assert frames[:, 0].tolist() == table(laws[0]).tolist()
    assert frames[:, 1].tolist() == table(laws[1]).tolist()[::-1]


def test_an_empty_channel_is_silent() -> None:
    (frames,) = render(Channel(), Channel(), 10)
    assert frames.shape == (10, 2)
    assert not frames.any()


def test_kept_packets_go_where_their_timestamps_say() -> None:
    """C14: reordered, wrapped, and a jump that the clock does not share."""
    seq = np.array([12, 10, 11, 13], np.int64)
    start = 2**32 - 160
    ts = np.array([start + 320, start, start + 160, start + 900_000], np.int64) % 2**32
    times = np.array([40, 0, 20, 60], np.int64) * 1_000_000
    payloads = [bytes([n]) * 160 for n in (2, 0, 1, 3)]
    epoch, runs = runs_from_packets(seq, ts.astype(np.uint32), times, payloads, PCMA)
    assert epoch == 0
    assert [(run.position, int(run.samples[0])) for run in runs] == [(0, 0), (160, 1), (320, 2), (480, 3)]


def test_c16_kept_packets_follow_the_capture_clock_as_others_do() -> None:
    """G.711 of a dynamic payload type, explained afterwards: half an hour at 100 ppm, the first one late."""
    n = np.arange(30 * 60 * 50)
    sent_ns = (n * 20_000_000 * (1 + 100e-6)).astype(np.int64)
    came_ns = sent_ns + np.where(n == 0, 15_000_000, 0)
    packet = bytes(160)
    epoch, runs = runs_from_packets(n, (n * 160).astype(np.uint32), came_ns, [packet] * len(n), PCMU)
    where_ns = epoch + np.array([run.position for run in runs]) * 125_000
    assert np.abs(where_ns - sent_ns).max() < 20_000_000
