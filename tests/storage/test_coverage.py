"""R5: every second in which the recorder was not recording is known, with its cause."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bystander.storage.coverage import BEATING_NS, Gap, Stretch, gaps


def test_r5_before_the_first_recording() -> None:
    assert gaps([], 10, 20) == [Gap(10, 20, "not-started")]
    assert gaps([Stretch(15, 30, "stopped")], 10, 20) == [Gap(10, 15, "not-started")]


def test_r5_a_gap_has_the_cause_that_ended_the_stretch_before() -> None:
    stretches = [
        Stretch(0, 10, "stopped"),
        Stretch(12, 20, "killed"),
        Stretch(25, 30, "drops", 7),
        Stretch(31, 40, "stopped"),
    ]
    assert gaps(stretches, 0, 40) == [Gap(10, 12, "stopped"), Gap(20, 25, "killed"), Gap(30, 31, "drops", 7)]


def test_r5_of_stretches_that_end_together_the_later_one_tells_why() -> None:
    """Packets were dropped just before the recorder was stopped: what follows is no loss of the kernel's."""
    stretches = [Stretch(0, 10, "drops", 7), Stretch(10, 10, "stopped")]
    assert gaps(stretches, 0, 20) == [Gap(10, 20, "stopped")]


def test_r5_gaps_are_cut_to_the_period_asked_for() -> None:
    stretches = [Stretch(0, 10, "stopped"), Stretch(100, 110, "stopped")]
    assert gaps(stretches, 20, 50) == [Gap(20, 50, "stopped")]
    assert gaps(stretches, 105, 120) == [Gap(110, 120, "stopped")]


def test_r5_a_recorder_that_beats_is_recording_now() -> None:
    beat = 1_000 * 1_000_000_000
    assert gaps([Stretch(0, beat, "running")], 0, beat + BEATING_NS) == []


def test_r5_a_recorder_that_stopped_beating_was_killed_after_its_last_beat() -> None:
    beat = 1_000 * 1_000_000_000
    until = beat + BEATING_NS + 1
    assert gaps([Stretch(0, beat, "running")], 0, until) == [Gap(beat, until, "killed")]


def test_r5_a_clock_set_back_hides_no_gap_and_makes_none() -> None:
    stretches = [Stretch(0, 50, "killed"), Stretch(40, 45, "stopped"), Stretch(60, 70, "stopped")]
    assert gaps(stretches, 0, 70) == [Gap(50, 60, "killed")]


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=8)


@given(spans, st.integers(0, 60), st.integers(1, 60))
def test_r5_every_moment_is_either_recorded_or_in_one_gap(
    found: list[tuple[int, int]], since: int, length: int
) -> None:
    stretches = [Stretch(start, start + size, "stopped") for start, size in sorted(found)]
    until = since + length
    reported = gaps(stretches, since, until)
    for moment in range(since, until):
        recorded = any(stretch.from_ns <= moment < stretch.to_ns for stretch in stretches)
        assert recorded + sum(gap.from_ns <= moment < gap.to_ns for gap in reported) == 1
    assert all(since <= gap.from_ns < gap.to_ns <= until for gap in reported)
