"""The index's schema, as an ordered list of migrations; `PRAGMA user_version` says how many have been
applied.

A migration, once released, is never edited: a change is one more entry at the end of MIGRATIONS. An index
written by a newer program is refused, because an older one cannot know what the newer schema promises (a
hold, for instance).
"""

from __future__ import annotations

import sqlite3

CALLS = """
CREATE TABLE calls (
    number        INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    call_id       TEXT NOT NULL,
    started_ns    INTEGER NOT NULL,
    ended_ns      INTEGER,
    duration_s    REAL,
    -- The party as searched for: folded, without separators, and reversed, so that one index answers both
    -- "this number" and "numbers that end in ...".
    caller_key    TEXT NOT NULL,
    callee_key    TEXT NOT NULL,
    direction     TEXT NOT NULL,
    state         TEXT NOT NULL,
    verdict       TEXT,
    wav_path      TEXT,
    evidence_path TEXT,
    audio_bytes   INTEGER NOT NULL DEFAULT 0,
    delete_after  TEXT,
    sealed        INTEGER NOT NULL DEFAULT 0 CHECK (sealed IN (0, 1)),
    call          TEXT NOT NULL CHECK (json_valid(call))
);
CREATE INDEX calls_by_start     ON calls (started_ns);
CREATE INDEX calls_by_caller    ON calls (caller_key, started_ns);
CREATE INDEX calls_by_callee    ON calls (callee_key, started_ns);
CREATE INDEX calls_by_call_id   ON calls (call_id);
CREATE INDEX calls_by_direction ON calls (direction, started_ns);
CREATE INDEX calls_by_verdict   ON calls (verdict, started_ns);
CREATE INDEX calls_by_state     ON calls (state, verdict, audio_bytes);
CREATE INDEX calls_by_state_start ON calls (state, started_ns);
"""

# One row per unbroken stretch of recording. 'running' is the row of a recorder at work (or of one that was
# killed and has not been started since); every other cause says what ended the stretch.
COVERAGE = """
CREATE TABLE coverage (
    number  INTEGER PRIMARY KEY,
    from_ns INTEGER NOT NULL,
    to_ns   INTEGER NOT NULL,
    cause   TEXT NOT NULL CHECK (cause IN ('running', 'stopped', 'killed', 'drops')),
    dropped INTEGER NOT NULL DEFAULT 0,
    CHECK (to_ns >= from_ns)
);
CREATE INDEX coverage_by_end ON coverage (to_ns);
"""

MIGRATIONS: tuple[str, ...] = (CALLS, COVERAGE)


class IndexProblem(Exception):  # noqa: N818  (the field's word for what a person is told; nothing has crashed)
    """The index cannot be used, or the question put to it has no single answer. The message is one clear
    line."""


def version(connection: sqlite3.Connection) -> int:
    """How many migrations the database has seen; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check(connection: sqlite3.Connection, name: str) -> None:
    """Refuse a database that a reader cannot use: newer, older, or none of ours. Raises IndexProblem."""
    found = version(connection)
    _refuse_foreign(connection, found, name)
    if found < len(MIGRATIONS):
        raise IndexProblem(
            f"{name}: the index has the older schema {found}; `bystander run` brings it up to date"
        )


def _refuse_foreign(connection: sqlite3.Connection, found: int, name: str) -> None:
    if found > len(MIGRATIONS):
        raise IndexProblem(
            f"{name}: the index has schema {found}, this program knows up to {len(MIGRATIONS)}; "
            "use the newer Bystander that wrote it"
        )
    # The tables are counted before the version is read again: another program may be creating the index
    # right now.
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and version(connection) == 0:
        raise IndexProblem(f"{name}: a database, but not a Bystander index; name another file as the index")


def upgrade(connection: sqlite3.Connection, name: str) -> None:
    """Apply the migrations that are missing, each in a transaction of its own together with its number.

    A program killed half-way leaves the schema at the last whole migration. Raises IndexProblem for a newer
    schema, or for a database that is not an index (it has tables of its own, but no schema number).
    """
    _refuse_foreign(connection, version(connection), name)
    while (done := version(connection)) < len(MIGRATIONS):
        # The write lock is taken first: two programs opening a new index at once must not both create it.
        connection.execute("BEGIN IMMEDIATE")
        try:
            if version(connection) == done:
                for statement in statements(MIGRATIONS[done]):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {done + 1:d}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def statements(script: str) -> list[str]:
    """A script as single statements; `executescript` would commit the transaction around it."""
    found: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    return found
