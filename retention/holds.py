"""Holds (R11): what is evidence in proceedings is kept until they are concluded, whatever its term.

A hold names a case and covers recordings: audio, signalling, key and index row as one. Several may cover one
recording; it is kept while any is active. A call in progress can be held by the id that it will have; when it
turns out to be a leg of another call, the hold follows (storage/index.py).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiosqlite

from bystander.storage.digest import refresh
from bystander.storage.index import Index

_DAY_NS: Final = 86_400 * 1_000_000_000
#: Legs of one call begin within a day of each other.
_LEGS: Final = timedelta(days=1)


class HeldProblem(Exception):  # noqa: N818  (what a person is told)
    """A hold forbids what was asked for, or cannot be laid or released. The message is one clear line."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold. ``active`` of its ``recordings`` are still covered; times are ns UTC.

    While some are, ``release_reason`` says why others were released.
    """

    number: int
    case: str
    reason: str
    placed_by: str
    placed_ns: int
    released_by: str | None
    released_ns: int | None
    release_reason: str | None
    recordings: int
    active: int


async def add(
    index: Index,
    recordings: Sequence[tuple[str, str]],
    case: str,
    reason: str,
    by: str,
    now_ns: int,
    in_progress: Collection[str] = (),
) -> int:
    """Hold recordings, given as (id, SIP Call-ID), for a case, all or none; return the hold's number.

    Those that have no row must be among the calls ``in_progress``. Raises HeldProblem if one of them is being
    erased, or was.
    """
    async with index.transaction() as connection:
        names = dict(recordings)
        if going := [name for name in names if await _any(connection, "erasing WHERE id = ?", name)]:
            raise HeldProblem(f"{_listed(going)}: being erased already; it can no longer be held")
        rowless = [name for name in names if not await _any(connection, "calls WHERE id = ?", name)]
        if rowless:
            # A call in progress may have been indexed since it was looked for, as a leg of another.
            covering = await _of_legs(connection, {names[name]: name for name in rowless})
            rowless = [name for name in rowless if name not in covering]
            for leg, (name, call_id) in covering.items():
                del names[leg]
                names[name] = call_id
        if gone := [name for name in rowless if name not in in_progress]:
            raise HeldProblem(f"{_listed(gone)}: no such recording any more; it was erased")
        cursor = await connection.execute(
            "INSERT INTO holds (case_no, reason, placed_by, placed_ns) VALUES (?, ?, ?, ?)",
            [case, reason, by, now_ns],
        )
        number = cursor.lastrowid
        assert number is not None
        await connection.execute(refresh("holds", "number = ?"), [number])
        await connection.executemany(
            "INSERT INTO held (hold, id, call_id) VALUES (?, ?, ?)",
            [(number, name, call_id) for name, call_id in names.items()],
        )
        await connection.execute(refresh("held", "hold = ?"), [number])
    return number


async def release(
    index: Index, which: str, reason: str, by: str, now_ns: int, recordings: Sequence[str] | None = None
) -> list[tuple[int, str, list[str]]]:
    """Release the active holds of a case, or the one of a number; of some recordings only if they are given.

    Returns (hold, case, recordings released) for each. Raises HeldProblem if there is nothing to release, or
    if one of the recordings given is not held so: then none is released.
    """
    found = []
    async with index.transaction() as connection:
        rows = await connection.execute_fetchall(
            "SELECT number, case_no FROM holds WHERE released_ns IS NULL AND (case_no = ? OR "
            "CAST(number AS TEXT) = ?) ORDER BY number",
            [which, which],
        )
        # A case may be called like the number of another hold: the case is meant.
        meant = [row for row in rows if row[1] == which] or list(rows)
        if not meant:
            raise HeldProblem(f"{which}: no active hold; `bystander hold list` shows them")
        for number, case in meant:
            names = await _release_one(connection, number, recordings, now_ns)
            if names:
                await _note_release(connection, number, reason, by, now_ns)
                found.append((number, case, names))
        freed = {name for _, _, names in found for name in names}
        if left := [name for name in recordings or () if name not in freed]:
            raise HeldProblem(f"{_listed(left)}: not held for {which}; nothing was released")
    return found


async def holds(index: Index, *, everything: bool = False) -> list[Hold]:
    """Return the active holds, or with ``everything`` the released ones, too; the oldest first."""
    rows = await index.rows(
        "SELECT number, case_no, reason, placed_by, placed_ns, holds.released_by, holds.released_ns, "
        "release_reason, count(held.id), count(held.id) - count(held.released_ns) FROM holds "
        "LEFT JOIN held ON held.hold = holds.number "
        f"{'' if everything else 'WHERE holds.released_ns IS NULL '}"
        "GROUP BY holds.number ORDER BY holds.number"
    )
    return [Hold(*row) for row in rows]


async def held_count(index: Index) -> int:
    """Return how many recordings are held."""
    rows = await index.rows("SELECT count(DISTINCT id) FROM held WHERE released_ns IS NULL")
    return int(rows[0][0])


async def recordings_of(index: Index, hold: int) -> list[str]:
    """Return the recordings that a hold covers."""
    rows = await index.rows("SELECT id FROM held WHERE hold = ? AND released_ns IS NULL ORDER BY id", [hold])
    return [row[0] for row in rows]


async def cases_of(connection: aiosqlite.Connection, recording: str) -> list[str]:
    """Return the cases that a recording is held for, within a transaction."""
    rows = await connection.execute_fetchall(
        "SELECT DISTINCT case_no FROM held JOIN holds ON holds.number = held.hold "
        "WHERE held.id = ? AND held.released_ns IS NULL ORDER BY case_no",
        [recording],
    )
    return [row[0] for row in rows]


async def forget_released(index: Index, now_ns: int) -> None:
    """Forget what holds that are over say of calls that never got a row: no erasure would (R10)."""
    async with index.transaction() as connection:
        await connection.execute(
            "DELETE FROM held WHERE released_ns < ? AND id NOT IN (SELECT id FROM calls)",
            [now_ns - _DAY_NS],
        )


async def _of_legs(connection: aiosqlite.Connection, legs: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return which of some legs (SIP Call-ID: id) are in a recording: id of the leg: (id, SIP Call-ID)."""
    begin = min(_start_of(name) for name in legs.values()) - _LEGS
    rows = await connection.execute_fetchall(
        "SELECT calls.id, leg.value FROM calls, json_each(json_insert(coalesce(call -> '$.linked_call_ids', "
        "'[]'), '$[#]', call_id)) AS leg WHERE started_ns >= ?",
        [int(begin.timestamp()) * 1_000_000_000],
    )
    return {legs[leg]: (name, leg) for name, leg in rows if leg in legs}


def _start_of(recording: str) -> datetime:
    try:
        return datetime.strptime(recording[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return datetime.now(UTC)


async def _release_one(
    connection: aiosqlite.Connection, number: int, recordings: Sequence[str] | None, now_ns: int
) -> list[str]:
    rows = await connection.execute_fetchall(
        "SELECT id FROM held WHERE hold = ? AND released_ns IS NULL ORDER BY id", [number]
    )
    wanted = None if recordings is None else set(recordings)
    names = [row[0] for row in rows if wanted is None or row[0] in wanted]
    await connection.executemany(
        "UPDATE held SET released_ns = ? WHERE hold = ? AND id = ?",
        [(now_ns, number, name) for name in names],
    )
    await connection.execute(refresh("held", "hold = ?"), [number])
    return names


async def _note_release(
    connection: aiosqlite.Connection, number: int, reason: str, by: str, now_ns: int
) -> None:
    """Say who released and why; a hold is over when it covers nothing any more."""
    over = not await _any(connection, "held WHERE hold = ? AND released_ns IS NULL", number)
    await connection.execute(
        "UPDATE holds SET released_by = ?, released_ns = ?, "
        "release_reason = coalesce(release_reason || '; ', '') || ? WHERE number = ?",
        [by, now_ns if over else None, reason, number],
    )
    await connection.execute(refresh("holds", "number = ?"), [number])


async def _any(connection: aiosqlite.Connection, condition: str, value: Any) -> bool:
    rows = await connection.execute_fetchall(f"SELECT 1 FROM {condition} LIMIT 1", [value])
    return bool(list(rows))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
