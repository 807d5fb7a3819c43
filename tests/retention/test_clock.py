"""The guard against a wrong clock: nothing is erased early, whatever the clock says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.retention import clock
from bystander.retention.clock import Reading, is_steady, judge, term_begins_ns
from bystander.storage.index import Index

S = 1_000_000_000
HOUR = 3600 * S
DAY = 24 * HOUR
YEAR = 365 * DAY
NOW = 1_795_000_000 * S
BOUND = DAY


def reading(wall_ns: int, boot_ns: int = 0, boot: str = "b") -> Reading:
    return Reading(wall_ns, boot_ns, boot)


def verdict(trusted: Reading | None, now: Reading, newest_ns: int | None = None) -> clock.Verdict:
    return judge(trusted, newest_ns, now, BOUND, what_next="confirm")


def test_a_clock_that_runs_is_believed() -> None:
    assert verdict(reading(NOW), reading(NOW + HOUR, HOUR)).ok
    assert verdict(reading(NOW), reading(NOW + 20 * HOUR, 5, "another boot")).ok
    assert verdict(None, reading(NOW)).ok


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (reading(NOW + YEAR, HOUR), "set forward"),
        (reading(NOW + 20 * HOUR, HOUR), "set forward"),
        (reading(NOW + YEAR, 5, "another boot"), "ahead, or the recorder was long off"),
        (reading(NOW - YEAR, HOUR), "set back"),
        (reading(NOW - YEAR, 5, "another boot"), "set back"),
    ],
)
def test_a_clock_that_leapt_is_not(now: Reading, said: str) -> None:
    found = verdict(reading(NOW), now)
    assert not found.ok
    assert said in found.why
    assert found.why.endswith("nothing is erased; confirm")
    assert "\n" not in found.why


def test_without_trusted_time_the_newest_recording_is_what_is_known() -> None:
    assert verdict(None, reading(NOW), NOW - HOUR).ok
    assert not verdict(None, reading(NOW + YEAR), NOW).ok
    assert not verdict(None, reading(NOW - YEAR), NOW).ok


def test_the_recorder_moves_trusted_time_on(tmp_path: Path) -> None:
    async def work() -> None:
        async with await Index.open(tmp_path / "index.sqlite") as index:
            assert await clock.trusted_time(index) is None
            assert await clock.observe(index, reading(NOW), BOUND)
            assert await clock.observe(index, reading(NOW + 60 * S, 60 * S), BOUND)
            assert not await clock.observe(index, reading(NOW + YEAR, 120 * S), BOUND)
            assert await clock.trusted_time(index) == reading(NOW + 60 * S, 60 * S)
            await clock.confirm(index, reading(NOW + YEAR, 120 * S))
            assert await clock.observe(index, reading(NOW + YEAR + HOUR, 120 * S + HOUR), BOUND)

    asyncio.run(work())


def test_a_clock_set_back_does_not_end_terms_early() -> None:
    """What is recorded under a clock of last year would be over at once when the clock is right again."""
    trusted = reading(NOW)
    assert term_begins_ns(NOW - YEAR, trusted, NOW - YEAR + 60 * S) == NOW
    assert term_begins_ns(NOW + 5, trusted, NOW + HOUR) == NOW + 5
    # a long call began before trusted time, and the clock is right
    assert term_begins_ns(NOW - HOUR, trusted, NOW + 60 * S) == NOW - HOUR
    assert term_begins_ns(NOW, None, NOW) == NOW


@given(
    st.lists(
        st.tuples(
            st.integers(1, 30 * DAY),  # true time that passes
            st.sampled_from(["minute", "set", "boot", "sweep"]),
            st.integers(-2 * YEAR, 2 * YEAR),  # what the clock is set wrong by
        ),
        max_size=40,
    )
)
@settings(max_examples=300)
def test_no_leap_lets_a_sweep_run_ahead_of_true_time(steps: list[tuple[int, str, int]]) -> None:
    """A model: true time, a clock that is set wrong, and a guard that sees the clock only.

    A sweep that is allowed sees at most BOUND (and the leaps too small to notice) ahead of true time for each
    restart of the machine; here there is one at most between two sweeps that count.
    """
    true_ns, error_ns, boot, boot_started = NOW, 0, 0, NOW
    trusted = reading(NOW, 0, "0")
    boots = 0
    for passed, what, wrong in steps:
        if what == "minute":
            for _ in range(3):
                true_ns += min(passed, 60 * S)
                now = reading(true_ns + error_ns, true_ns - boot_started, str(boot))
                if is_steady(trusted, now, BOUND):
                    trusted = now
            continue
        true_ns += min(passed, 12 * HOUR)
        if what == "set":
            error_ns = wrong
        elif what == "boot":
            boot, boot_started, boots = boot + 1, true_ns, boots + 1
        else:
            now = reading(true_ns + error_ns, true_ns - boot_started, str(boot))
            if verdict(trusted, now).ok:
                ahead_ns = now.wall_ns - true_ns
                assert ahead_ns <= (boots + 1) * BOUND + len(steps) * 600 * S


@given(st.lists(st.integers(1, 20 * HOUR), max_size=30))
def test_a_steady_recorder_is_never_refused(gaps: list[int]) -> None:
    """Restarts of program and machine included, if it is never off for longer than the bound."""
    wall_ns, trusted = NOW, reading(NOW, 0, "0")
    for boot, gap in enumerate(gaps):
        wall_ns += gap
        now = reading(wall_ns, 5 * S, str(boot + 1))
        assert verdict(trusted, now).ok
        assert is_steady(trusted, now, BOUND)
        trusted = now


def test_the_machines_own_clocks_can_be_read() -> None:
    first, second = Reading.now(), Reading.now()
    assert first.boot_id == second.boot_id != ""
    assert is_steady(first, second, BOUND)
