"""The index's schema, as an ordered list of migrations; `PRAGMA user_version` says how many have been
applied.

A migration, once released, is never edited: a change is one more entry at the end of MIGRATIONS. An index
written by a newer program is refused, because an older one cannot know what the newer schema promises (a
hold, for instance).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from bystander.storage.digest import refresh, register

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

# Sealed recordings, their terms, holds and erasures (R7, R10, R11, R18). Every row carries a digest
# (storage/digest.py).
VAULT = """
ALTER TABLE calls ADD COLUMN term_rule TEXT;
ALTER TABLE calls ADD COLUMN wav_sha256 TEXT;
ALTER TABLE calls ADD COLUMN wav_sealed_sha256 TEXT;
ALTER TABLE calls ADD COLUMN wav_sealed_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN evidence_sha256 TEXT;
ALTER TABLE calls ADD COLUMN evidence_sealed_sha256 TEXT;
ALTER TABLE calls ADD COLUMN evidence_sealed_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN key_sha256 TEXT;
ALTER TABLE calls ADD COLUMN digest BLOB;
CREATE INDEX calls_by_term ON calls (delete_after);

CREATE TABLE holds (
    number         INTEGER PRIMARY KEY,
    case_no        TEXT NOT NULL,
    reason         TEXT NOT NULL,
    placed_by      TEXT NOT NULL,
    placed_ns      INTEGER NOT NULL,
    released_by    TEXT,
    released_ns    INTEGER,
    release_reason TEXT,
    digest         BLOB
);
CREATE INDEX holds_by_case ON holds (case_no);

-- Which recordings a hold covers, active while released_ns is NULL. There is no reference to calls: a call in
-- progress can be held before it has a row, by the id that it will have.
CREATE TABLE held (
    hold        INTEGER NOT NULL REFERENCES holds (number),
    id          TEXT NOT NULL,
    call_id     TEXT NOT NULL,
    released_ns INTEGER,
    digest      BLOB,
    PRIMARY KEY (id, hold)
) WITHOUT ROWID;
CREATE INDEX held_by_hold    ON held (hold, id);
CREATE INDEX held_by_call_id ON held (call_id);

-- Erasures that are under way; empty when none is.
CREATE TABLE plans (
    plan    TEXT PRIMARY KEY,
    cause   TEXT NOT NULL CHECK (cause IN ('term', 'request', 'mend')),
    actor   TEXT NOT NULL,
    made_ns INTEGER NOT NULL,
    reason  TEXT,
    ground  TEXT,
    digest  BLOB
);
CREATE TABLE erasing (
    id     TEXT PRIMARY KEY,
    plan   TEXT NOT NULL REFERENCES plans (plan),
    files  TEXT NOT NULL,
    digest BLOB
);
CREATE INDEX erasing_by_plan ON erasing (plan);

-- The latest time that the clock came to by steady steps (retention/clock.py).
CREATE TABLE clock (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    wall_ns INTEGER NOT NULL,
    boot_ns INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    digest  BLOB
);

-- The register "Rejestracja rozmow telefonicznych" (R13).
CREATE TABLE persons (
    number        INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    post          TEXT NOT NULL,
    authorisation TEXT NOT NULL,
    authorised_on TEXT,
    valid_from    TEXT,
    valid_until   TEXT,
    role          TEXT NOT NULL CHECK (role IN ('listener', 'supervisor', 'administrator')),
    recipient     TEXT,
    added_ns      INTEGER NOT NULL,
    revoked_ns    INTEGER,
    digest        BLOB
);

-- Coverage as before, with a cause more: 'no-space' (C19).
ALTER TABLE coverage RENAME TO coverage_before;
CREATE TABLE coverage (
    number  INTEGER PRIMARY KEY,
    from_ns INTEGER NOT NULL,
    to_ns   INTEGER NOT NULL,
    cause   TEXT NOT NULL CHECK (cause IN ('running', 'stopped', 'killed', 'drops', 'no-space')),
    dropped INTEGER NOT NULL DEFAULT 0,
    digest  BLOB,
    CHECK (to_ns >= from_ns)
);
INSERT INTO coverage (number, from_ns, to_ns, cause, dropped)
    SELECT number, from_ns, to_ns, cause, dropped FROM coverage_before;
DROP TABLE coverage_before;
CREATE INDEX coverage_by_end ON coverage (to_ns);
"""

# Who listened to what and why, what was handed over, and what may not be used for now (R12, R14, R15, R18).
# Recordings are named, not referred to: what was done with one is known when it is erased. Nothing here says
# who called whom.
CUSTODY = """
-- Annex 2: one for each act of listening; complete when every field that the form asks for is filled.
CREATE TABLE protocols (
    number        INTEGER PRIMARY KEY,
    recording     TEXT NOT NULL,
    case_no       TEXT NOT NULL,
    purpose       TEXT NOT NULL CHECK (purpose IN ('security', 'quality', 'data-protection')),
    justification TEXT NOT NULL,
    person        INTEGER NOT NULL REFERENCES persons (number),
    second_person INTEGER REFERENCES persons (number),
    opened_ns     INTEGER NOT NULL,
    ended_ns      INTEGER,
    from_s        REAL NOT NULL,
    to_s          REAL,
    fields        TEXT NOT NULL CHECK (json_valid(fields)),
    completed_ns  INTEGER,
    digest        BLOB
);
CREATE INDEX protocols_by_person ON protocols (person, completed_ns);
CREATE INDEX protocols_by_time   ON protocols (opened_ns);

-- Annexes 3 and 4.
CREATE TABLE disclosures (
    number          INTEGER PRIMARY KEY,
    applicant       TEXT NOT NULL,
    applied_on      TEXT NOT NULL,
    ground          TEXT NOT NULL,
    case_no         TEXT NOT NULL,
    purpose         TEXT NOT NULL CHECK (purpose IN ('security', 'quality', 'data-protection')),
    requested_ns    INTEGER NOT NULL,
    requested_by    TEXT NOT NULL,
    decision        TEXT CHECK (decision IN ('consent', 'refusal')),
    decided_by      TEXT,
    decided_on      TEXT,
    decision_reason TEXT,
    decided_ns      INTEGER,
    exported_ns     INTEGER,
    exported_by     INTEGER REFERENCES persons (number),
    receiver        TEXT,
    manifest_sha256 TEXT,
    digest          BLOB
);
CREATE TABLE disclosed (
    disclosure INTEGER NOT NULL REFERENCES disclosures (number),
    id         TEXT NOT NULL,
    digest     BLOB,
    PRIMARY KEY (disclosure, id)
) WITHOUT ROWID;

-- Restricted processing (R18): kept, by a hold of its own, and neither listened to nor handed over.
CREATE TABLE restricted (
    id        TEXT PRIMARY KEY,
    hold      INTEGER NOT NULL REFERENCES holds (number),
    cause     TEXT NOT NULL CHECK (cause IN ('restriction', 'objection')),
    reason    TEXT NOT NULL,
    placed_ns INTEGER NOT NULL,
    digest    BLOB
) WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (
    CALLS,
    COVERAGE,
    VAULT + f"{refresh('coverage', 'true')};\n{refresh('calls', 'true')};\n",
    CUSTODY,
)


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


#: What SQLite keeps of the schema, in one row for each table and index.
LISTING = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"


def listing() -> list[tuple[str, ...]]:
    """Return the rows of LISTING as they are in an index that is up to date and whole."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        register(connection)
        upgrade(connection, ":memory:")
        return connection.execute(LISTING).fetchall()


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
