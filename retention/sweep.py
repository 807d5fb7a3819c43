"""The sweep: what is beyond its term is erased, every night and when asked (R10), if the clock is to be
believed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any

from bystander.retention import clock
from bystander.retention.erasure import Cause, Eraser, ErasureProblem, as_text
from bystander.retention.holds import forget_released
from bystander.storage.index import Index

WHAT_NEXT = "if the clock is right, run `bystander retention confirm-clock`"


@dataclass(frozen=True, slots=True)
class Due:
    """A recording beyond its term. ``held_by`` are the cases that keep it all the same."""

    id: str
    started_ns: int
    delete_after: str
    rule: str
    held_by: list[str]


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: recordings erased, and left (held, beyond the cap, or because files resist).

    ``refused`` says why nothing was begun, ``problem`` why something was not finished.
    """

    erased: int = 0
    resumed: int = 0
    held: int = 0
    left: int = 0
    refused: str = ""
    problem: str = ""


async def due(index: Index, now_ns: int, limit: int | None = None) -> list[Due]:
    """Return what is beyond its term, the longest overdue first; held ones, too."""
    rows = await index.rows(
        "SELECT id, started_ns, delete_after, term_rule, (SELECT json_group_array(DISTINCT case_no) "
        "FROM held JOIN holds ON holds.number = held.hold WHERE held.id = calls.id "
        "AND held.released_ns IS NULL) "
        "FROM calls WHERE delete_after < ? ORDER BY delete_after, number LIMIT ?",
        [as_text(now_ns), -1 if limit is None else limit],
    )
    return [
        Due(name, started_ns, end, rule, sorted(json.loads(cases)))
        for name, started_ns, end, rule, cases in rows
    ]


async def due_to_erase(index: Index, now_ns: int, limit: int) -> list[str]:
    """Return the recordings that a sweep would erase, the longest overdue first; not those under way."""
    rows = await index.rows(
        "SELECT id FROM calls WHERE delete_after < ? AND NOT EXISTS (SELECT 1 FROM held WHERE held.id = "
        "calls.id AND held.released_ns IS NULL) AND id NOT IN (SELECT id FROM erasing) "
        "ORDER BY delete_after, number LIMIT ?",
        [as_text(now_ns), limit],
    )
    return [row[0] for row in rows]


async def overdue(index: Index, now_ns: int) -> tuple[int, int]:
    """Count what is beyond its term: (to be erased, held)."""
    rows = await index.rows(
        "SELECT count(*), coalesce(sum(EXISTS (SELECT 1 FROM held WHERE held.id = calls.id AND "
        "held.released_ns IS NULL)), 0) FROM calls WHERE delete_after < ?",
        [as_text(now_ns)],
    )
    every, held = rows[0]
    return every - held, held


async def sweep(
    eraser: Eraser,
    actor: str,
    now: clock.Reading,
    *,
    bound_ns: int,
    newest_ns: int | None,
    limit: int,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Swept:
    """Finish what was begun, then erase up to ``limit`` recordings that are beyond their term and not held.

    Refuses while the clock disagrees with what is known by more than ``bound_ns``; ``newest_ns`` is the
    newest time that is known from elsewhere (recordings, journal).
    """
    index = eraser.index
    # What is planned already was found to be over by a clock that was believed.
    resumed, problem = await _tried(eraser.resume())
    await forget_released(index, now.wall_ns)
    trusted = await clock.trusted_time(index)
    verdict = clock.judge(trusted, newest_ns, now, bound_ns, what_next=WHAT_NEXT)
    to_erase, held = await overdue(index, now.wall_ns)
    if not verdict.ok:
        return Swept(resumed=resumed, held=held, left=to_erase, refused=verdict.why, problem=problem)
    await clock.observe(index, now, bound_ns)
    names = await due_to_erase(index, now.wall_ns, limit)
    erased, another = await _tried(
        eraser.erase(
            names, Cause("term", actor), now.wall_ns, progress=lambda done: progress(done, len(names))
        )
    )
    return Swept(erased, resumed, held, left=to_erase - erased, problem=problem or another)


async def _tried(work: Awaitable[int]) -> tuple[int, str]:
    """Return how many recordings were erased, and what went wrong: files that resist stop nothing else."""
    try:
        return await work, ""
    except ErasureProblem as problem:
        return problem.done, str(problem)


def next_run(now_ns: int, at: str, zone: tzinfo | None) -> int:
    """Return when the nightly sweep is due next, ns UTC; ``at`` is a time of day, "02:30", in the zone."""
    now = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).astimezone(zone)
    wanted = time.fromisoformat(at)
    for days in range(3):
        day = now.date() + timedelta(days=days)
        # A local time that the clocks skip is taken for the one an hour later: the sweep is not left out.
        moment = datetime.combine(day, wanted)
        run = moment.astimezone() if zone is None else moment.replace(tzinfo=zone)
        run_ns = int(run.timestamp()) * 1_000_000_000
        if run_ns > now_ns:
            return run_ns
    raise AssertionError("there is a night within three days")


def described(found: Due) -> dict[str, Any]:
    """Return what is due as a JSON object."""
    return {
        "id": found.id,
        "started_at": as_text(found.started_ns),
        "delete_after": found.delete_after,
        "rule": found.rule,
        "held_by": found.held_by,
    }
