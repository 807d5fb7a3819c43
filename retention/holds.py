"""Holds (R11): what is evidence in proceedings is kept until they are concluded, whatever its term.

A hold names a case and covers recordings: audio, signalling, key and index row as one. Several may cover one
recording; it is kept while any is active. A call in progress can be held by the id that it will have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiosqlite

from bystander.storage.digest import refresh
from bystander.storage.index import Index


class HeldProblem(Exception):  # noqa: N818  (what a person is told)
    """A hold forbids what was asked for, or cannot be laid. The message is one clear line."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold. ``active`` of its ``recordings`` are still covered; times are ns UTC."""

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
    index: Index, recordings: Sequence[tuple[str, str]], case: str, reason: str, by: str, now_ns: int
) -> int:
    """Hold recordings, given as (id, SIP Call-ID), for a case, all or none; return the hold's number.

    Raises HeldProblem if one of them is being erased.
    """
    async with index.transaction() as connection:
        going = [name for name, _ in recordings if await _any(connection, "erasing WHERE id = ?", name)]
        if going:
            raise HeldProblem(f"{_listed(going)}: being erased already; it can no longer be held")
        cursor = await connection.execute(
            "INSERT INTO holds (case_no, reason, placed_by, placed_ns) VALUES (?, ?, ?, ?)",
            [case, reason, by, now_ns],
        )
        number = cursor.lastrowid
        assert number is not None
        await connection.execute(refresh("holds", "number = ?"), [number])
        await connection.executemany(
            "INSERT OR IGNORE INTO held (hold, id, call_id) VALUES (?, ?, ?)",
            [(number, name, call_id) for name, call_id in recordings],
        )
        await connection.execute(refresh("held", "hold = ?"), [number])
    return number


async def release(
    index: Index, which: str, reason: str, by: str, now_ns: int, recordings: Sequence[str] | None = None
) -> list[tuple[int, str, list[str]]]:
    """Release the active holds of a case, or the one of a number; of some recordings only if they are given.

    Returns (hold, case, recordings released) for each. Raises HeldProblem if there is nothing to release.
    """
    found = []
    async with index.transaction() as connection:
        rows = await connection.execute_fetchall(
            "SELECT number, case_no FROM holds WHERE released_ns IS NULL AND (case_no = ? OR "
            "CAST(number AS TEXT) = ?) ORDER BY number",
            [which, which],
        )
        # A case may be called like the number of another hold: the case is meant.
        by_case = [row for row in rows if row[1] == which]
        for number, case in by_case or rows:
            names = await _release_one(connection, number, recordings, now_ns)
            if not await _any(connection, "held WHERE hold = ? AND released_ns IS NULL", number):
                await connection.execute(
                    "UPDATE holds SET released_by = ?, released_ns = ?, release_reason = ? WHERE number = ?",
                    [by, now_ns, reason, number],
                )
                await connection.execute(refresh("holds", "number = ?"), [number])
            if names:
                found.append((number, case, names))
        if not found:
            what = f"{_listed(recordings)}: not held" if recordings else f"{which}: no active hold"
            raise HeldProblem(
                f"{what} for {which}" if recordings else f"{what}; `bystander hold list` shows them"
            )
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


async def cases_of(connection: aiosqlite.Connection, recording: str) -> list[str]:
    """Return the cases that a recording is held for, within a transaction."""
    rows = await connection.execute_fetchall(
        "SELECT DISTINCT case_no FROM held JOIN holds ON holds.number = held.hold "
        "WHERE held.id = ? AND held.released_ns IS NULL ORDER BY case_no",
        [recording],
    )
    return [row[0] for row in rows]


async def _release_one(
    connection: aiosqlite.Connection, number: int, recordings: Sequence[str] | None, now_ns: int
) -> list[str]:
    rows = await connection.execute_fetchall(
        "SELECT id FROM held WHERE hold = ? AND released_ns IS NULL ORDER BY id", [number]
    )
    names = [row[0] for row in rows if recordings is None or row[0] in recordings]
    await connection.executemany(
        "UPDATE held SET released_ns = ? WHERE hold = ? AND id = ?",
        [(now_ns, number, name) for name in names],
    )
    await connection.execute(refresh("held", "hold = ?"), [number])
    return names


async def _any(connection: aiosqlite.Connection, condition: str, value: Any) -> bool:
    rows = await connection.execute_fetchall(f"SELECT 1 FROM {condition} LIMIT 1", [value])
    return bool(list(rows))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
