"""R10: bytes that belong to no record. SQLite leaves copies of what it moved; the scrub overwrites them."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bystander.storage.scrub import ScrubProblem, scrub, scrub_apart
from bystander.storage.sqlitepages import strays


def busy_database(path: Path, seed: int, rows: int = 4000) -> tuple[sqlite3.Connection, list[str]]:
    """A database with secure_delete that has lived: inserts, updates and deletes of rows short and long."""
    draw = random.Random(seed)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, id TEXT UNIQUE, k TEXT, v TEXT)")
    connection.execute("CREATE INDEX by_k ON t (k, n)")
    connection.execute("CREATE TABLE h (id TEXT, x INT, PRIMARY KEY (id, x)) WITHOUT ROWID")
    names: list[str] = []
    for number in range(rows):
        if number % 50 == 0:
            connection.execute("COMMIT" if connection.in_transaction else "BEGIN")
        if draw.random() < 0.7 or not names:
            name = f"MARK{draw.getrandbits(60):015x}"
            names.append(name)
            value = name * draw.choice([1, 5, 30, 300, 800])
            connection.execute("INSERT INTO t (id, k, v) VALUES (?, ?, ?)", (name, name[::-1], value))
            connection.execute("INSERT INTO h VALUES (?, ?)", (name, number))
        else:
            name = draw.choice(names)
            connection.execute("UPDATE t SET v = ? WHERE id = ?", (name * draw.choice([1, 100, 500]), name))
    if connection.in_transaction:
        connection.execute("COMMIT")
    gone = names[::2]
    connection.execute("BEGIN")
    for name in gone:
        connection.execute("DELETE FROM t WHERE id = ?", (name,))
        connection.execute("DELETE FROM h WHERE id = ?", (name,))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return connection, gone


@pytest.mark.parametrize("seed", range(3))
def test_after_the_scrub_nothing_deleted_is_left(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "x.sqlite"
    connection, gone = busy_database(path, seed)
    # This is why the scrub is there: secure_delete alone leaves copies behind.
    assert {stray.what for stray in strays(path, limit=10**6)} == {"the gap of a page"}
    scrub_apart(path)
    content = path.read_bytes()
    assert not [name for name in gone if name.encode() in content or name[::-1].encode() in content]
    assert strays(path) == []
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    (left,) = connection.execute("SELECT count(*) FROM t").fetchone()
    assert left > 1000
    connection.close()


def test_other_connections_do_not_bring_it_back(tmp_path: Path) -> None:
    """Their caches hold pages with leftovers; written again after the scrub, they would be back."""
    path = tmp_path / "x.sqlite"
    connection, gone = busy_database(path, 3)
    connection.execute("SELECT sum(length(v)) FROM t").fetchone()
    connection.execute("SELECT count(*) FROM t INDEXED BY by_k").fetchone()
    scrub_apart(path)
    connection.execute("UPDATE t SET n = n + 1000000")
    connection.execute("UPDATE t SET k = k || 'x'")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    assert not [name for name in gone if name.encode() in content or name[::-1].encode() in content]
    connection.close()


@pytest.mark.parametrize("seed", range(3))
def test_every_flipped_byte_outside_of_records_is_seen(tmp_path: Path, seed: int) -> None:
    """Those within records are the business of digests and of SQLite's own check."""
    path = tmp_path / "x.sqlite"
    busy_database(path, seed, 300)[0].close()
    scrub(path)
    content = path.read_bytes()
    draw = random.Random(seed)
    zeros = [at for at in draw.sample(range(len(content)), 400) if content[at] == 0]
    unseen = []
    for at in zeros:
        path.write_bytes(content[:at] + b"\x40" + content[at + 1 :])
        if not strays(path) and _is_whole(path, content, at):
            unseen.append(at)
    assert not unseen


def _is_whole(path: Path, content: bytes, at: int) -> bool:
    """Whether SQLite sees nothing either, and all rows read as they did."""
    rows = []
    for text in (content, content[:at] + b"\x40" + content[at + 1 :]):
        path.write_bytes(text)
        try:
            with sqlite3.connect(path) as connection:
                if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                    return False
                rows.append([connection.execute(f"SELECT * FROM {table}").fetchall() for table in "th"])
        except (sqlite3.Error, UnicodeDecodeError):
            return False
    return rows[0] == rows[1]


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"x" * 5000])
def test_what_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(content)
    assert [stray.what for stray in strays(path)] == ["not a SQLite file"]
    if content:
        with pytest.raises(ScrubProblem, match=r"could not be scrubbed|damaged"):
            scrub(path)


@pytest.mark.parametrize("seed", range(60))
def test_damage_never_raises(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "x.sqlite"
    busy_database(path, 1, 60)[0].close()
    content = bytearray(path.read_bytes())
    draw = random.Random(seed)
    for _ in range(20):
        content[draw.randrange(100, len(content))] = draw.randrange(256)
    path.write_bytes(content[: draw.randrange(512, len(content))] if seed % 2 else content)
    assert strays(path)


def test_a_database_that_is_being_written_is_waited_for_and_then_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bystander.storage.scrub._PATIENCE_S", 0.2)
    path = tmp_path / "x.sqlite"
    connection, _ = busy_database(path, 1, 50)
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('BEGIN IMMEDIATE'); c.execute('DELETE FROM h'); "
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(ScrubProblem, match=r"scrub|busy"):
            scrub(path)
        other.kill()
    connection.close()
    scrub(path)
