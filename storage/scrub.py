"""Overwrites what SQLite leaves behind of records that it moved and then deleted (storage/sqlitepages.py).

It writes into the file itself, where no record is: SQLite ignores those bytes, so readers are not disturbed
and a power cut in the middle does no harm. Nobody else can write meanwhile (the write lock is held and the
write-ahead log is empty), and a commit at the end makes all other connections forget the pages that they have
cached, which would bring the leftovers back.

It runs in a process of its own: closing a file gives up all locks that a process has on it (POSIX), those of
its own SQLite connections, too.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bystander.storage.reason import reason
from bystander.storage.sqlitepages import leftovers

_PATIENCE_S: Final = 10.0
_ROUNDS: Final = 5


class ScrubProblem(Exception):  # noqa: N818  (what a person is told)
    """A file could not be scrubbed. The message is one clear line."""


def scrub_apart(path: Path) -> None:
    """Scrub a SQLite file that this process has open, too. Raises ScrubProblem."""
    code = "import sys; from bystander.storage.scrub import main; sys.exit(main(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise ScrubProblem(lines[-1] if lines else f"{path}: could not be scrubbed")


def main(path: str) -> int:
    """Scrub, or say on standard error why not; return the exit status."""
    try:
        scrub(Path(path))
    except ScrubProblem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


def scrub(path: Path) -> int:
    """Overwrite the leftovers of a SQLite file (WAL mode) that this process does not have open otherwise.

    Returns how many places there were. Raises ScrubProblem: busy, damaged, not to be written.
    """
    found = 0
    try:
        for _ in range(_ROUNDS):
            here = _overwrite(path)
            if not here:
                return found
            found += here
            _make_others_forget(path)
    except (sqlite3.Error, OSError) as error:
        why = reason(path, error)
        raise ScrubProblem(f"{path}: could not be scrubbed of what was erased: {why}") from None
    return found


def _overwrite(path: Path) -> int:
    connection = _connect(path)
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        _lock_with_empty_log(connection, path)
        strays = leftovers(path)
        if strays is None:
            raise ScrubProblem(f"{path}: damaged; run `bystander verify`")
        for stray in strays:
            os.pwrite(file, bytes(stray.length), stray.offset)
        if strays:
            os.fsync(file)
        connection.execute("ROLLBACK")
    finally:
        connection.close()
        os.close(file)
    return len(strays)


def _lock_with_empty_log(connection: sqlite3.Connection, path: Path) -> None:
    """Take the write lock while all that was ever written is in the file itself."""
    log = path.with_name(path.name + "-wal")
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if not busy:
            connection.execute("BEGIN IMMEDIATE")
            if not log.exists() or log.stat().st_size == 0:
                return
            connection.execute("ROLLBACK")
        if time.monotonic() > deadline:
            raise ScrubProblem(f"{path}: busy; what was erased is still in its unused space")
        time.sleep(0.02)


def _make_others_forget(path: Path) -> None:
    """Commit something: connections that have pages in their caches read them anew."""
    connection = _connect(path)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version = {version:d}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S, isolation_level=None)
    connection.execute("PRAGMA secure_delete = ON")
    return connection
