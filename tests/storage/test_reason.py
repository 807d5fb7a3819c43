"""Why a file could not be used: a full disk has one name."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bystander.storage.reason import reason

FULL = "No space left on device; make room on that disk"


def disk(monkeypatch: pytest.MonkeyPatch, **changes: int) -> None:
    facts = {"f_bavail": 1 << 20, "f_frsize": 4096, "f_files": 1000, "f_favail": 10, "f_flag": 0} | changes
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**facts))


def of_sqlite(work: Any) -> sqlite3.Error:
    with pytest.raises(sqlite3.Error) as problem:
        work()
    return problem.value


def test_sqlites_own_word_for_a_full_disk(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x", isolation_level=None)
    connection.execute("CREATE TABLE t (a)")
    connection.execute("PRAGMA max_page_count = 4")
    error = of_sqlite(lambda: connection.execute("INSERT INTO t VALUES (zeroblob(100000))"))
    connection.close()
    assert str(error) == "database or disk is full"
    assert reason(tmp_path / "x", error) == FULL


@pytest.mark.parametrize(
    ("changes", "said"),
    [({}, "unable to open database file"), ({"f_bavail": 8}, FULL), ({"f_favail": 0}, FULL),
     ({"f_files": 0, "f_favail": 0}, "unable to open database file"),
     ({"f_flag": os.ST_RDONLY}, "Read-only file system")],
)  # fmt: skip
def test_what_sqlite_does_not_call_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], said: str
) -> None:
    error = of_sqlite(lambda: sqlite3.connect(tmp_path / "no/x").execute("SELECT 1"))
    disk(monkeypatch, **changes)
    assert reason(tmp_path / "x", error) == said


def test_other_errors_keep_their_words_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "x"
    broken.write_bytes(b"no database" * 400)
    error = of_sqlite(lambda: sqlite3.connect(broken).execute("SELECT * FROM sqlite_master"))
    disk(monkeypatch, f_bavail=0)
    assert reason(broken, error) == "file is not a database"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, FULL),
        (errno.EDQUOT, "Disk quota exceeded; make room within the quota"),
        (errno.EACCES, "Permission denied"),
    ],
)
def test_errors_of_the_system(tmp_path: Path, number: int, said: str) -> None:
    assert reason(tmp_path / "x", OSError(number, os.strerror(number))) == said
    assert reason(tmp_path / "no/such/x", OSError(number, os.strerror(number))) in (said, os.strerror(number))
