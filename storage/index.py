"""The index: one row per call, searched by number, date, direction, state and verdict; and the coverage
record (R5).

SQLite in WAL mode, so that the command line reads while the daemon writes. `secure_delete` is on from the
first row: what is deleted later is overwritten, not only unlinked (R10). The call itself is kept as the JSON
object of `calls.json`; columns beside it exist only for what is searched or counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiosqlite

from bystander.storage.coverage import BEATING_NS, Gap, Stretch, gaps
from bystander.storage.digest import refresh, register, row_digest
from bystander.storage.entry import ADD, ADDED, FILES, SEALED, Entry, call_of, recording_id, row_of, time_ns
from bystander.storage.query import EVERYTHING, RELATED, Query, search
from bystander.storage.reason import reason
from bystander.storage.schema import IndexProblem, check, upgrade

__all__ = ["BEATING_NS", "Entry", "Gap", "Index", "IndexProblem", "Query", "recording_id"]

_DAY_NS = 86_400_000_000_000
_OPTIONS: dict[str, Any] = {"uri": True, "timeout": 10.0, "isolation_level": None}
# A hold laid on a leg of a call in progress follows it to the recording that it becomes part of, and one on
# another recording of the same call covers this one, too (R11). Where one hold meets itself, active wins.
_NO_ROW = "call_id = :call_id AND id != :id AND id NOT IN (SELECT id FROM calls)"
_ATTACH = (
    f"UPDATE OR REPLACE held SET id = :id, digest = NULL WHERE {_NO_ROW} AND released_ns IS NULL",
    f"UPDATE OR IGNORE held SET id = :id, digest = NULL WHERE {_NO_ROW}",
    f"DELETE FROM held WHERE {_NO_ROW}",
    "INSERT OR IGNORE INTO held (hold, id, call_id) SELECT hold, :id, call_id FROM held "
    "WHERE call_id = :call_id AND id != :id AND released_ns IS NULL",
    refresh("held", "id = :id AND digest IS NULL"),
)


_FOLLOW = (
    "INSERT OR IGNORE INTO held (hold, id, call_id) SELECT hold, :id, :call_id FROM held "
    "WHERE id = :partner AND id != :id AND released_ns IS NULL"
)


class Index:
    """The index of one recorder, open from `Index.open` until `close`, or as an asynchronous context manager.

    One writer (the daemon) and any number of readers. A row that `add` has returned for survives a power cut.
    Every method raises IndexProblem, one line, when the file cannot be read or written.
    """

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection
        # A transaction spans several awaits; two tasks must not share one by accident.
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path, *, read_only: bool = False) -> Self:
        """Open the index at `path`, creating it (0600) or bringing its schema up to date unless `read_only`.

        Raises IndexProblem: no such file (read_only), not a database, a newer schema, no permission.
        """
        with _one_line(path):
            await asyncio.to_thread(_prepare, path, read_only)
            connection = await aiosqlite.connect(_uri(path, read_only), **_OPTIONS)
            # Per connection: what is deleted is overwritten (R10), and the row of a finished call survives a
            # power cut.
            for pragma in ("secure_delete = ON", "synchronous = FULL", "foreign_keys = ON"):
                await connection.execute(f"PRAGMA {pragma}")
            await connection.create_function("row_digest", -1, row_digest, deterministic=True)
        return cls(connection, path)

    async def close(self) -> None:
        """Close the file; the last to close folds the write-ahead log back into it."""
        with _one_line(self.path):
            await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- calls -----------------------------------------------------------------------------------------------

    async def add(self, *entries: Entry) -> None:
        """Index calls, all or none. An entry whose id is there already replaces it (a restart may finish it
        twice)."""
        with _one_line(self.path):
            async with self._transaction():
                await self._connection.executemany(ADD, [row_of(entry) for entry in entries])
                await self._connection.executemany(
                    refresh("calls", "id = ?"), [(entry.id,) for entry in entries]
                )
                legs = [
                    {"id": entry.id, "call_id": leg}
                    for entry in entries
                    for leg in (entry.call["call_id"], *entry.call.get("linked_call_ids", ()))
                ]
                for statement in _ATTACH:
                    await self._connection.executemany(statement, legs)
                for entry in entries:
                    await self._follow_case(entry)

    async def calls(self, query: Query = EVERYTHING) -> list[dict[str, Any]]:
        """The calls that match, newest first: objects of `calls.json` with `id`, `delete_after`, `held_by`,
        `sealed`."""
        statement, values = search(query)
        return [call_of(row) for row in await self._rows(statement, values)]

    async def related(self, around_ns: int, own: list[str], named: list[str]) -> list[dict[str, Any]]:
        """The calls begun within a day of a time that have one of the Call-IDs `named`, or that say they are
        related to one of the call's `own`; the oldest first."""
        values = {
            "since": around_ns - _DAY_NS,
            "until": around_ns + _DAY_NS,
            "own": json.dumps(own),
            "named": json.dumps(named),
        }
        return [call_of(row) for row in await self._rows(RELATED, values)]

    async def _follow_case(self, entry: Entry) -> None:
        """What is held of a case covers what comes to it later, too (R11)."""
        named = [one["call_id"] for one in entry.call.get("related", ())]
        if named:
            own = [entry.call["call_id"], *entry.call.get("linked_call_ids", ())]
            partners = await self.related(time_ns(entry.call["started_at"]), own, named)
            await self._connection.executemany(
                _FOLLOW,
                [{"id": entry.id, "call_id": own[0], "partner": one["id"]} for one in partners],
            )
            await self._connection.execute(refresh("held", "id = ? AND digest IS NULL"), [entry.id])

    async def call(self, name: str) -> dict[str, Any] | None:
        """The call of that id, of the only id that begins so, or of that SIP Call-ID; None when there is
        none.

        Raises IndexProblem when several calls fit.
        """
        row = await self._find(name)
        return None if row is None else call_of(row)

    async def entry(self, name: str) -> Entry | None:
        """Like `call`, but with the paths of its files."""
        row = await self._find(name)
        if row is None:
            return None
        wav, evidence, size, *sealed = row[5:]
        return Entry(
            row[0], json.loads(row[1]), wav, evidence, size, row[2], bool(row[3]),
            **dict(zip(SEALED, sealed, strict=True)),
        )  # fmt: skip

    async def _find(self, name: str) -> tuple[Any, ...] | None:
        # An argument that is no valid text (surrogate escapes) is the name of nothing.
        if not name or any("\ud800" <= character <= "\udfff" for character in name):
            return None
        for condition, values in (
            ("id = ?", [name]),
            ("id > ? AND id < ?", [name, name + "\U0010ffff"]),
            ("call_id = ?", [name]),
        ):
            rows = await self._rows(f"SELECT {ADDED}, {FILES} FROM calls WHERE {condition} LIMIT 4", values)
            if len(rows) > 1:
                fit = ", ".join(row[0] for row in rows[:3]) + (", ..." if len(rows) > 3 else "")
                raise IndexProblem(f"{name}: several recordings fit ({fit}); give more of the id")
            if rows:
                return rows[0]
        return None

    async def facts(self) -> dict[str, Any]:
        """Counts for `status`: calls by state and by verdict, recordings and their audio bytes, newest start
        (ns)."""
        counted = await self._rows(
            "SELECT state, verdict, count(*), sum(audio_bytes) FROM calls GROUP BY state, verdict", []
        )
        states: Counter[str] = Counter()
        verdicts: Counter[str] = Counter()
        for state, verdict, count, _ in counted:
            states[state] += count
            if verdict is not None:
                verdicts[verdict] += count
        newest = await self._rows("SELECT max(started_ns) FROM calls", [])
        return {
            "calls": sum(states.values()),
            "states": dict(sorted(states.items())),
            "verdicts": dict(sorted(verdicts.items())),
            "audio_bytes": sum(row[3] for row in counted),
            "newest_ns": newest[0][0],
        }

    # -- coverage (R5) ---------------------------------------------------------------------------------------

    async def coverage_begin(self, now_ns: int) -> None:
        """Recording begins. A stretch that is still open was cut short: its recorder was killed after its
        last beat."""
        with _one_line(self.path):
            async with self._transaction():
                await self._end_stretch("cause = 'killed'")
                await self._open_stretch(now_ns)

    async def coverage_beat(self, now_ns: int, dropped: int = 0) -> None:
        """Recording goes on; call it every few seconds, less than BEATING_NS apart.

        `dropped` packets since the last beat (kernel drops) make the time since then a gap of cause 'drops'.
        """
        with _one_line(self.path):
            async with self._transaction():
                if dropped:
                    await self._end_stretch("cause = 'drops', dropped = ?", dropped)
                    await self._open_stretch(now_ns)
                else:
                    await self._end_stretch("to_ns = max(to_ns, ?)", now_ns)

    async def coverage_end(self, now_ns: int, cause: str = "stopped") -> None:
        """Recording ends, for `cause`: 'stopped', 'killed', 'drops' or 'no-space'."""
        with _one_line(self.path):
            async with self._transaction():
                await self._end_stretch("to_ns = max(to_ns, ?), cause = ?", now_ns, cause)

    async def coverage_gaps(self, since_ns: int, until_ns: int) -> list[Gap]:
        """When the recorder was not recording between two times, oldest first, each with its cause."""
        rows = await self._rows(
            "SELECT from_ns, to_ns, cause, dropped FROM coverage WHERE from_ns < ? AND to_ns >= "
            # the stretch before `since_ns` names the cause of a gap that reaches back beyond it
            "coalesce((SELECT max(to_ns) FROM coverage WHERE to_ns <= ?), 0) ORDER BY from_ns, number",
            [until_ns, since_ns],
        )
        return gaps([Stretch(*row) for row in rows], since_ns, until_ns)

    async def _open_stretch(self, now_ns: int) -> None:
        await self._connection.execute(
            "INSERT INTO coverage (from_ns, to_ns, cause) VALUES (?, ?, 'running')", [now_ns, now_ns]
        )
        await self._connection.execute(refresh("coverage", "cause = 'running'"))

    async def _end_stretch(self, assignments: str, *values: object) -> None:
        """Change the stretch that is running, by number: the change may be that it no longer is."""
        running = await self._connection.execute_fetchall(
            "SELECT number FROM coverage WHERE cause = 'running'"
        )
        for (number,) in running:
            await self._connection.execute(
                f"UPDATE coverage SET {assignments} WHERE number = ?", [*values, number]
            )
            await self._connection.execute(refresh("coverage", "number = ?"), [number])

    # -- for the rooms that keep tables of their own here: holds, erasures, persons -------------------------

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """Write several things or none of them: yields the connection, within a transaction."""
        with _one_line(self.path):
            async with self._transaction():
                yield self._connection

    async def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read rows."""
        return await self._rows(statement, list(values))

    async def truncate_log(self) -> None:
        """Fold the write-ahead log into the file and empty it: deleted rows are then gone from both.

        Raises IndexProblem if readers keep it busy for longer than ten seconds.
        """
        rows = await self._rows("PRAGMA wal_checkpoint(TRUNCATE)", [])
        if rows and rows[0][0]:
            raise IndexProblem(f"{self.path}: the index is busy; what was erased is still in its log")

    # -- SQLite ----------------------------------------------------------------------------------------------

    async def _rows(self, statement: str, values: list[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
        with _one_line(self.path):
            return [tuple(row) for row in await self._connection.execute_fetchall(statement, values)]

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        async with self._writing:
            await self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                await self._connection.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back already.
                if self._connection.in_transaction:
                    await self._connection.execute("ROLLBACK")
                raise


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise IndexProblem(f"{path}: cannot use the index: {reason(path, error)}") from error
    except (sqlite3.Error, UnicodeError) as error:
        raise IndexProblem(f"{path}: cannot use the index: {reason(path, error)}") from error


def _uri(path: Path, read_only: bool) -> str:
    return f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"


def _prepare(path: Path, read_only: bool) -> None:
    """Make the file and its schema, or only look whether they can be read."""
    if read_only:
        if not path.exists():
            raise IndexProblem(f"{path}: there is no index yet; `bystander run` makes it")
    else:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made before SQLite does, so that others can never read it; -wal and -shm inherit the mode. But never
        # opened if it is there: to close it would give up the locks of this process's other connections
        # (POSIX), and the next program that ends would take their write-ahead log away.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(_uri(path, read_only), **_OPTIONS)) as connection:
        register(connection)
        if read_only:
            check(connection, str(path))
        else:
            connection.execute("PRAGMA secure_delete = ON")
            upgrade(connection, str(path))
            connection.execute("PRAGMA journal_mode = WAL")
