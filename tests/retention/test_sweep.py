"""R10: every night what is beyond its term is erased; not before, and not by a wrong clock."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from bystander.retention import clock, holds, sweep
from bystander.retention.erasure import as_text
from bystander.storage.entry import time_ns
from tests.vaultkit import NOW_NS, Kit, name_of

HOUR = 3600 * 1_000_000_000
BOUND = 24 * HOUR
WARSAW = ZoneInfo("Europe/Warsaw")


def run(vault: Kit, now_ns: int = NOW_NS, limit: int = 1000, newest_ns: int | None = None) -> sweep.Swept:
    now = clock.Reading(now_ns, 0, "")
    return vault.erasing(
        lambda eraser: sweep.sweep(eraser, "recorder", now, bound_ns=BOUND, newest_ns=newest_ns, limit=limit)
    )


def test_r10_the_last_millisecond_belongs_to_the_term(vault: Kit) -> None:
    end = "2026-11-30T22:59:59.999Z"
    vault.add(1, delete_after=end)
    assert run(vault, time_ns(end)).erased == 0
    assert run(vault, time_ns(end) + 1_000_000).erased == 1


def test_held_ones_stay_and_go_with_the_next_sweep_after_the_release(vault: Kit) -> None:
    vault.add(1, 2, 3)
    vault.add(4, delete_after="2027-06-01T00:00:00.000Z")
    vault.using(lambda index: holds.add(index, [(name_of(2), "x")], "K", "r", "w", NOW_NS))
    assert run(vault) == sweep.Swept(erased=2, held=1)
    assert vault.ids() == [name_of(2), name_of(4)]
    vault.using(lambda index: holds.release(index, "K", "r", "w", NOW_NS))
    assert run(vault).erased == 1
    assert vault.ids() == [name_of(4)]


def test_a_cap_and_the_longest_overdue_first(vault: Kit) -> None:
    for number in range(6):
        vault.add(number, delete_after=f"2026-11-{30 - number}T00:00:00.000Z")
    done = run(vault, limit=4)
    assert (done.erased, done.left) == (4, 2)
    assert vault.ids() == [name_of(0), name_of(1)]


def test_the_plan_says_what_and_why_and_erases_nothing(vault: Kit) -> None:
    vault.add(1, 2)
    vault.using(lambda index: holds.add(index, [(name_of(2), "x")], "K", "r", "w", NOW_NS))
    found = vault.using(lambda index: sweep.due(index, NOW_NS))
    assert [sweep.described(one) for one in found] == [
        {
            "id": name_of(number),
            "started_at": f"2026-08-31T12:00:0{number}.000Z",
            "delete_after": "2026-11-30T22:59:59.999Z",
            "rule": "default",
            "held_by": ["K"] if number == 2 else [],
        }
        for number in (1, 2)
    ]
    assert vault.using(lambda index: sweep.overdue(index, NOW_NS)) == (1, 1)
    assert len(vault.ids()) == 2


def test_a_clock_set_forward_a_year_erases_nothing(vault: Kit) -> None:
    vault.add(1, 2, 3, delete_after="2027-03-24T00:00:00.000Z")
    vault.using(lambda index: clock.confirm(index, clock.Reading(NOW_NS, 0, "")))
    done = run(vault, NOW_NS + 365 * 24 * HOUR)
    assert done.erased == 0
    assert "ahead, or the recorder was long off" in done.refused
    assert done.refused.endswith("run `bystander retention confirm-clock`")
    assert len(vault.ids()) == 3
    # not at the second attempt either: a sweep that was refused does not move trusted time on
    assert run(vault, NOW_NS + 365 * 24 * HOUR).refused
    vault.using(lambda index: clock.confirm(index, clock.Reading(NOW_NS + 365 * 24 * HOUR, 0, "")))
    assert run(vault, NOW_NS + 365 * 24 * HOUR).erased == 3


def test_a_clock_set_back_a_year_erases_nothing(vault: Kit) -> None:
    vault.add(1, delete_after="2025-01-01T00:00:00.000Z")
    vault.using(lambda index: clock.confirm(index, clock.Reading(NOW_NS, 0, "")))
    assert "set back" in run(vault, NOW_NS - 365 * 24 * HOUR).refused
    assert run(vault).erased == 1


def test_without_trusted_time_what_is_known_counts(vault: Kit) -> None:
    vault.add(1)
    assert run(vault, newest_ns=NOW_NS - 30 * 24 * HOUR).refused
    assert run(vault, newest_ns=NOW_NS - HOUR).erased == 1


def test_what_was_cut_off_is_finished_even_while_the_clock_is_doubted(vault: Kit) -> None:
    vault.add(1)

    def cut(step: str) -> None:
        if step == "files":
            raise KeyboardInterrupt

    try:
        vault.erasing(
            lambda eraser: eraser.erase([name_of(1)], sweep.Cause("term", "recorder"), NOW_NS), step=cut
        )
    except KeyboardInterrupt:
        pass
    vault.using(lambda index: clock.confirm(index, clock.Reading(NOW_NS, 0, "")))
    done = run(vault, NOW_NS + 365 * 24 * HOUR)
    assert (done.resumed, bool(done.refused)) == (1, True)
    assert vault.ids() == []


def test_a_file_that_resists_stops_nothing_else(vault: Kit) -> None:
    vault.add(1)
    stubborn = vault.root / "2026/08/31" / f"{name_of(1)}.wav.age"
    stubborn.unlink()
    stubborn.mkdir()
    done = run(vault)
    assert (done.erased, done.left, "cannot be removed" in done.problem) == (0, 1, True)
    vault.add(2, 3)
    done = run(vault, limit=2)
    assert (done.erased, done.left, "cannot be removed" in done.problem) == (2, 1, True)
    assert vault.using(lambda index: sweep.overdue(index, NOW_NS)) == (1, 0)
    stubborn.rmdir()
    done = run(vault)
    assert (done.resumed, done.left, done.problem) == (1, 0, "")
    assert vault.acts() == ["erase-plan", "erase-plan", "erase-done", "erase-done"]


def test_holds_that_are_over_do_not_outlive_calls_that_never_got_a_row(vault: Kit) -> None:
    """A Call-ID is a caller's data."""
    vault.using(lambda index: holds.add(index, [(name_of(9), "x")], "K", "r", "w", NOW_NS, [name_of(9)]))
    run(vault)
    vault.using(lambda index: holds.release(index, "K", "r", "w", NOW_NS))
    run(vault, NOW_NS + HOUR)
    assert vault.using(lambda index: index.rows("SELECT call_id FROM held")) == [("x",)]
    run(vault, NOW_NS + 25 * HOUR)
    assert vault.using(lambda index: index.rows("SELECT call_id FROM held")) == []


def test_progress_is_told(vault: Kit) -> None:
    vault.add(*range(5))
    told: list[tuple[int, int]] = []
    now = clock.Reading(NOW_NS, 0, "")
    vault.erasing(
        lambda eraser: sweep.sweep(
            eraser, "recorder", now, bound_ns=BOUND, newest_ns=None, limit=9,
            progress=lambda done, every: told.append((done, every)),
        )
    )  # fmt: skip
    assert told[-1] == (5, 5)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),  # noqa: DTZ001
    st.times(),
    st.sampled_from(["Europe/Warsaw", "UTC", "America/Sao_Paulo"]),
)
def test_the_next_night_is_within_a_day_and_a_bit(now: datetime, at: object, zone: str) -> None:
    here = ZoneInfo(zone)
    now_ns = int(now.replace(tzinfo=UTC).timestamp()) * 1_000_000_000
    next_ns = sweep.next_run(now_ns, f"{at:%H:%M}", here)
    assert 0 < next_ns - now_ns <= 26 * HOUR
    local = datetime.fromtimestamp(next_ns // 1_000_000_000, UTC).astimezone(here)
    assert f"{local:%M}" == f"{at:%M}"


def test_text_of_times_sorts_as_they_do() -> None:
    assert as_text(time_ns("2026-11-30T22:59:59.999Z")) == "2026-11-30T22:59:59.999Z"
    assert as_text(5_000_000) == "1970-01-01T00:00:00.005Z"
