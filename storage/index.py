"""The index: one row per call, searched by number, date, direction, state and verdict; and the coverage
record (R5).

SQLite in WAL mode, so that the command line reads while the daemon writes. `secure_delete` is on from the
first row: what is deleted later is overwritten, not only unlinked (R10). The call itself is kept as the JSON
object of `calls.json`; columns beside it exist only for what is searched or counted.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiosqlite

from bystander.storage.coverage import BEATING_NS, Gap, Stretch, gaps
from bystander.storage.schema import IndexProblem, check, upgrade

__all__ = ["BEATING_NS", "Entry", "Gap", "Index", "IndexProblem", "Query", "recording_id"]

_SEPARATORS = str.maketrans("", "", " -().\t/")
_ADDED = "id, call, delete_after, sealed"
_FILES = "wav_path, evidence_path, audio_bytes"
_OPTIONS: dict[str, Any] = {"uri": True, "timeout": 10.0, "isolation_level": None}
_COLUMNS = (
    *("id", "call_id", "started_ns", "ended_ns", "duration_s", "caller_key", "callee_key", "direction"),
    *("state", "verdict", "wav_path", "evidence_path", "audio_bytes", "call"),
)
_ADD = (
    f"INSERT INTO calls ({', '.join(_COLUMNS)}) VALUES ({', '.join(':' + column for column in _COLUMNS)}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in _COLUMNS[1:])}"
)


def recording_id(started_ns: int, name: str) -> str:
    """A name for a recording: its start in UTC and six base32 characters, `20261123-204600-k3f9qa`.

    Names sort by time and are short enough to type; the tail (30 bits) keeps calls of one second apart and
    cannot be guessed from the date of the call. It is made of ``name``, the Call-ID: a recorder killed
    between the files and the index writes the same files again, not others beside them.
    """
    start = datetime.fromtimestamp(started_ns // 1_000_000_000, UTC)
    digest = hashlib.sha256(f"{started_ns} {name}".encode("utf-8", "surrogateescape")).digest()
    tail = base64.b32encode(digest).decode("ascii").lower()[:6]
    return f"{start:%Y%m%d-%H%M%S}-{tail}"


def number_key(number: str) -> str:
    """A telephone number or user name as it is searched for: case and separators away, reversed."""
    return (number.translate(_SEPARATORS) or number).casefold()[::-1]


def time_ns(text: str) -> int:
    """An RFC 3339 time as integer nanoseconds UTC; a time without an offset is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One call to be indexed: `call` is the object of `calls.json`; paths are as the recorder wrote them, or
    None."""

    id: str
    call: dict[str, Any]
    wav_path: str | None = None
    evidence_path: str | None = None
    audio_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for; None means any. Times are ns UTC, `since_ns <= start < until_ns`.

    `number` is compared with caller and callee, separators and case aside; a leading `*` stands for any
    beginning (`*5678`: numbers that end in 5678).
    """

    number: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    state: str | None = None
    verdict: str | None = None
    direction: str | None = None
    limit: int | None = None


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
                await self._connection.executemany(_ADD, [_row(entry) for entry in entries])

    async def calls(self, query: Query = Query()) -> list[dict[str, Any]]:
        """The calls that match, newest first: objects of `calls.json` with `id`, `delete_after`, `held_by`,
        `sealed`."""
        statement, values = _search(query)
        return [_call(row) for row in await self._rows(statement, values)]

    async def call(self, name: str) -> dict[str, Any] | None:
        """The call of that id, of the only id that begins so, or of that SIP Call-ID; None when there is
        none.

        Raises IndexProblem when several calls fit.
        """
        row = await self._find(name)
        return None if row is None else _call(row)

    async def entry(self, name: str) -> Entry | None:
        """Like `call`, but with the paths of its files."""
        row = await self._find(name)
        return None if row is None else Entry(row[0], json.loads(row[1]), row[4], row[5], row[6])

    async def _find(self, name: str) -> tuple[Any, ...] | None:
        if not name:
            return None
        for condition, values in (
            ("id = ?", [name]),
            ("id > ? AND id < ?", [name, name + "\U0010ffff"]),
            ("call_id = ?", [name]),
        ):
            rows = await self._rows(f"SELECT {_ADDED}, {_FILES} FROM calls WHERE {condition} LIMIT 4", values)
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
                await self._connection.execute("UPDATE coverage SET cause = 'killed' WHERE cause = 'running'")
                await self._open_stretch(now_ns)

    async def coverage_beat(self, now_ns: int, dropped: int = 0) -> None:
        """Recording goes on; call it every few seconds, less than BEATING_NS apart.

        `dropped` packets since the last beat (kernel drops) make the time since then a gap of cause 'drops'.
        """
        with _one_line(self.path):
            async with self._transaction():
                if dropped:
                    await self._connection.execute(
                        "UPDATE coverage SET cause = 'drops', dropped = ? WHERE cause = 'running'", [dropped]
                    )
                    await self._open_stretch(now_ns)
                else:
                    await self._connection.execute(
                        "UPDATE coverage SET to_ns = max(to_ns, ?) WHERE cause = 'running'", [now_ns]
                    )

    async def coverage_end(self, now_ns: int, cause: str = "stopped") -> None:
        """Recording ends, for `cause`: 'stopped', 'killed' or 'drops'."""
        with _one_line(self.path):
            async with self._transaction():
                await self._connection.execute(
                    "UPDATE coverage SET to_ns = max(to_ns, ?), cause = ? WHERE cause = 'running'",
                    [now_ns, cause],
                )

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

    # -- SQLite ----------------------------------------------------------------------------------------------

    async def _rows(self, statement: str, values: list[Any]) -> list[tuple[Any, ...]]:
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
        raise IndexProblem(f"{path}: cannot use the index: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise IndexProblem(f"{path}: cannot use the index: {error}") from error


def _uri(path: Path, read_only: bool) -> str:
    return f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"


def _prepare(path: Path, read_only: bool) -> None:
    """Make the file and its schema, or only look whether they can be read."""
    if read_only:
        if not path.exists():
            raise IndexProblem(f"{path}: there is no index yet; `bystander run` makes it")
    else:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made before SQLite does, so that others can never read it; -wal and -shm inherit the mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(_uri(path, read_only), **_OPTIONS)) as connection:
        if read_only:
            check(connection, str(path))
        else:
            connection.execute("PRAGMA secure_delete = ON")
            upgrade(connection, str(path))
            connection.execute("PRAGMA journal_mode = WAL")


def _row(entry: Entry) -> dict[str, Any]:
    call = entry.call
    return {
        "id": entry.id,
        "call_id": call["call_id"],
        "started_ns": time_ns(call["started_at"]),
        "ended_ns": time_ns(call["ended_at"]) if call.get("ended_at") else None,
        "duration_s": call.get("duration_s"),
        "caller_key": number_key(call.get("caller") or ""),
        "callee_key": number_key(call.get("callee") or ""),
        "direction": call["direction"],
        "state": call["state"],
        "verdict": call.get("verdict"),
        "wav_path": entry.wav_path,
        "evidence_path": entry.evidence_path,
        "audio_bytes": entry.audio_bytes,
        "call": json.dumps(call, ensure_ascii=False, separators=(",", ":")),
    }


def _call(row: Sequence[Any]) -> dict[str, Any]:
    call: dict[str, Any] = json.loads(row[1])
    return {"id": row[0], **call, "delete_after": row[2], "held_by": [], "sealed": bool(row[3])}


def _search(query: Query) -> tuple[str, list[Any]]:
    """The statement for a query. Caller and callee are searched apart, each in the order of its own index:
    the office's main number may be the callee of half of all calls, and its newest fifty must not cost a
    sort of them all."""
    conditions: list[str] = []
    values: list[Any] = []
    for column, relation, value in (
        ("started_ns", ">=", query.since_ns),
        ("started_ns", "<", query.until_ns),
        ("state", "=", query.state),
        ("verdict", "=", query.verdict),
        ("direction", "=", query.direction),
    ):
        if value is not None:
            conditions.append(f"{column} {relation} ?")
            values.append(value)
    limit = -1 if query.limit is None else query.limit
    tail = " ORDER BY started_ns DESC, number DESC LIMIT ?"
    if query.number is None:
        where = " WHERE " + " AND ".join(conditions) if conditions else ""
        return f"SELECT {_ADDED} FROM calls{where}{tail}", [*values, limit]
    key = number_key(query.number.removeprefix("*"))
    relation, keys = ("{0} = ?", [key])
    if query.number.startswith("*"):
        relation, keys = "{0} >= ? AND {0} < ?", [key, key + "\U0010ffff"]
    parts = " UNION ".join(
        "SELECT * FROM (SELECT number FROM calls WHERE "
        + " AND ".join([relation.format(column), *conditions])
        + tail
        + ")"
        for column in ("caller_key", "callee_key")
    )
    part = [*keys, *values, limit]
    return f"SELECT {_ADDED} FROM calls WHERE number IN ({parts}){tail}", [*part, *part, limit]
