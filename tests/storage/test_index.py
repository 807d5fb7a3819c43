"""The index: what is put in is found again; the file is private and its schema guarded."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.storage import schema
from bystander.storage.digest import expression, register
from bystander.storage.entry import SEALED, Entry, number_key, recording_id, row_of, time_ns
from bystander.storage.index import Index, IndexProblem, Query

START = datetime(2026, 11, 23, 20, 46, tzinfo=UTC)
START_NS = time_ns(START.isoformat())


def call(minute: int = 0, **changes: Any) -> dict[str, Any]:
    started = START + timedelta(minutes=minute)
    found: dict[str, Any] = {
        "call_id": f"{minute}@office",
        "direction": "incoming",
        "caller": "+48 600 100 200",
        "callee": "101",
        "state": "answered",
        "verdict": "recorded",
        "started_at": started.isoformat(),
        "ended_at": (started + timedelta(seconds=20)).isoformat(),
        "duration_s": 20.0,
    }
    return found | changes


def entry(minute: int = 0, **changes: Any) -> Entry:
    return Entry(f"id-{minute:03d}", call(minute, **changes), f"{minute}.wav", f"{minute}.pcap", 1000)


def using(path: Path, work: Callable[[Index], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        async with await Index.open(path) as index:
            return await work(index)

    return asyncio.run(go())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "index.sqlite"


def ids(path: Path, **query: Any) -> list[str]:
    return [found["id"] for found in using(path, lambda index: index.calls(Query(**query)))]


def test_a_call_comes_back_as_it_went_in(path: Path) -> None:
    using(path, lambda index: index.add(entry(1, caller_name="Łucja Żak")))
    (found,) = using(path, lambda index: index.calls())
    assert found == {
        "id": "id-001",
        **call(1, caller_name="Łucja Żak"),
        "delete_after": None,
        "held_by": [],
        "sealed": False,
    }
    kept = using(path, lambda index: index.entry("id-001"))
    assert kept == entry(1, caller_name="Łucja Żak")


def test_calls_are_newest_first_and_limited(path: Path) -> None:
    using(path, lambda index: index.add(*(entry(minute) for minute in (3, 1, 2))))
    assert ids(path) == ["id-003", "id-002", "id-001"]
    assert ids(path, limit=2) == ["id-003", "id-002"]
    assert ids(path, limit=0) == []


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("+48600100200", ["id-001"]),
        ("+48 (600) 100-200", ["id-001"]),
        ("48600100200", []),
        ("*600100200", ["id-003", "id-001"]),
        ("*0", ["id-003", "id-001"]),
        ("101", ["id-002", "id-001"]),
        ("*01", ["id-002", "id-001"]),
        ("ALICE", ["id-003"]),
        ("*", ["id-003", "id-002", "id-001"]),
        ("%", []),
        ("", []),
    ],
)
def test_search_by_number_looks_at_both_parties(path: Path, number: str, found: list[str]) -> None:
    using(
        path,
        lambda index: index.add(
            entry(1),
            entry(2, caller="101", callee="101"),
            entry(3, caller="600 100 200", callee="alice"),
        ),
    )
    assert ids(path, number=number) == found


def test_search_by_number_and_limit_takes_the_newest_of_either_side(path: Path) -> None:
    using(
        path,
        lambda index: index.add(
            *(
                entry(minute, caller="7" if minute % 2 else "1", callee="1" if minute % 2 else "7")
                for minute in range(9)
            )
        ),
    )
    assert ids(path, number="7", limit=3) == ["id-008", "id-007", "id-006"]
    assert ids(path, number="*7", limit=3) == ["id-008", "id-007", "id-006"]


def test_search_by_time_includes_the_start_and_excludes_the_end(path: Path) -> None:
    using(path, lambda index: index.add(*(entry(minute) for minute in range(4))))
    minute = 60 * 1_000_000_000
    assert ids(path, since_ns=START_NS + minute, until_ns=START_NS + 3 * minute) == ["id-002", "id-001"]
    assert ids(path, number="101", since_ns=START_NS + 3 * minute) == ["id-003"]


def test_search_by_state_verdict_and_direction(path: Path) -> None:
    using(
        path,
        lambda index: index.add(
            entry(1),
            entry(2, state="busy", verdict=None),
            entry(3, verdict="one-way", direction="outgoing"),
        ),
    )
    assert ids(path, state="busy") == ["id-002"]
    assert ids(path, verdict="one-way") == ["id-003"]
    assert ids(path, direction="outgoing", state="answered") == ["id-003"]
    assert ids(path, direction="outgoing", state="busy") == []


def test_a_call_is_found_by_id_prefix_and_call_id(path: Path) -> None:
    using(path, lambda index: index.add(entry(1), entry(2), Entry("other", call(3))))
    for name, found in {"id-001": "id-001", "o": "other", "2@office": "id-002"}.items():
        assert using(path, lambda index, name=name: index.call(name))["id"] == found
    for name in ("id-9", "", "%", "_"):
        assert using(path, lambda index, name=name: index.call(name)) is None
    with pytest.raises(IndexProblem, match=r"id-: several recordings fit \(id-001, id-002\)"):
        using(path, lambda index: index.call("id-"))


def test_an_id_that_begins_another_is_still_found(path: Path) -> None:
    using(path, lambda index: index.add(Entry("ab", call(1)), Entry("abc", call(2))))
    assert using(path, lambda index: index.call("ab"))["id"] == "ab"


def test_c20_a_call_finished_twice_after_a_restart_is_one_row(path: Path) -> None:
    using(path, lambda index: index.add(entry(1)))
    using(path, lambda index: index.add(entry(1, verdict="partial")))
    assert [found["verdict"] for found in using(path, lambda index: index.calls())] == ["partial"]
    assert ids(path, verdict="recorded") == []


def test_entries_added_together_are_all_there_or_none(path: Path) -> None:
    broken = Entry("id-002", call(2, state=None))
    with pytest.raises(IndexProblem, match="NOT NULL"):
        using(path, lambda index: index.add(entry(1), broken))
    assert ids(path) == []


def test_tasks_that_write_at_once_do_not_share_a_transaction(path: Path) -> None:
    async def work(index: Index) -> None:
        broken = Entry("bad", call(99, state=None))
        tasks = [index.add(entry(minute)) for minute in range(20)] + [index.add(broken)]
        results = await asyncio.gather(*tasks, index.coverage_begin(1), return_exceptions=True)
        assert sum(isinstance(result, IndexProblem) for result in results) == 1

    using(path, work)
    assert len(ids(path)) == 20


def test_facts_for_status(path: Path) -> None:
    assert using(path, lambda index: index.facts()) == {
        "calls": 0,
        "states": {},
        "verdicts": {},
        "audio_bytes": 0,
        "newest_ns": None,
    }
    using(
        path,
        lambda index: index.add(
            entry(1),
            entry(2, verdict="partial"),
            Entry("x", call(0, state="busy", verdict=None)),
        ),
    )
    assert using(path, lambda index: index.facts()) == {
        "calls": 3,
        "states": {"answered": 2, "busy": 1},
        "verdicts": {"partial": 1, "recorded": 1},
        "audio_bytes": 2000,
        "newest_ns": START_NS + 120 * 1_000_000_000,
    }


def test_r7_the_index_is_private_from_its_first_byte(path: Path) -> None:
    old = os.umask(0)
    try:

        async def work(index: Index) -> None:
            await index.add(entry(1))
            for file in path.parent.iterdir():
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file

        using(path, work)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_r10_what_is_deleted_is_overwritten(path: Path) -> None:
    async def work(index: Index) -> None:
        await index.add(entry(1, caller="SECRETNUMBER"))
        (row,) = await index._connection.execute_fetchall("PRAGMA secure_delete")
        assert row[0] == 1
        await index._connection.execute("DELETE FROM calls")

    using(path, work)
    assert b"SECRETNUMBER" not in path.read_bytes()
    assert [file.name for file in path.parent.iterdir()] == ["index.sqlite"]


def test_readers_see_what_the_writer_committed(path: Path) -> None:
    async def work(index: Index) -> None:
        async with await Index.open(path, read_only=True) as reader:
            await index.add(entry(1))
            assert [found["id"] for found in await reader.calls()] == ["id-001"]
            with pytest.raises(IndexProblem, match="readonly"):
                await reader.add(entry(2))

    using(path, work)


def test_a_missing_index_is_one_clear_line(path: Path) -> None:
    with pytest.raises(IndexProblem, match=r"index\.sqlite: there is no index yet"):
        asyncio.run(Index.open(path, read_only=True))
    assert not path.exists()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_foreign_file_is_refused(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "index.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(IndexProblem, match="not a database"):
        asyncio.run(Index.open(path, read_only=read_only))
    assert path.read_bytes() == b"this is no database" * 100


@pytest.mark.parametrize("read_only", [False, True])
def test_another_programs_database_is_refused(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "index.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(IndexProblem, match="not a Bystander index"):
        asyncio.run(Index.open(path, read_only=read_only))


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_schema_is_refused(path: Path, read_only: bool) -> None:
    using(path, lambda index: index.add(entry(1)))
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(IndexProblem, match="use the newer Bystander that wrote it"):
        asyncio.run(Index.open(path, read_only=read_only))


@pytest.mark.parametrize("read_only", [False, True])
def test_a_directory_is_refused(tmp_path: Path, read_only: bool) -> None:
    with pytest.raises(IndexProblem, match="cannot use the index"):
        asyncio.run(Index.open(tmp_path, read_only=read_only))


def test_an_older_schema_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "index.sqlite"
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:2])
    using(path, lambda index: index.coverage_gaps(0, 1))
    monkeypatch.undo()
    made = row_of(entry(1))
    old = [column for column in made if column not in SEALED]
    with closing(sqlite3.connect(path)) as connection, connection:
        names, values = ", ".join(old), ", ".join(f":{column}" for column in old)
        connection.execute(f"INSERT INTO calls ({names}) VALUES ({values})", made)
        connection.execute("INSERT INTO coverage (from_ns, to_ns, cause) VALUES (1, 2, 'stopped')")
    with pytest.raises(IndexProblem, match="`bystander run` brings it up to date"):
        asyncio.run(Index.open(path, read_only=True))
    using(path, lambda index: index.coverage_begin(1))
    assert ids(path) == ["id-001"]
    with closing(sqlite3.connect(path)) as connection:
        register(connection)
        for table in ("calls", "coverage"):
            ok, count = connection.execute(
                f"SELECT sum(digest = {expression(table)}), count(*) FROM {table}"
            ).fetchone()
            assert ok == count > 0


def test_every_row_written_carries_its_digest(path: Path) -> None:
    async def work(index: Index) -> None:
        await index.add(entry(1), entry(2))
        await index.add(entry(1))
        await index.coverage_begin(10)
        await index.coverage_beat(20)
        await index.coverage_beat(30, dropped=3)
        await index.coverage_end(40, "no-space")
        await index.coverage_begin(50)
        await index.coverage_begin(60)
        for table in ("calls", "coverage"):
            rows = await index.rows(f"SELECT digest = {expression(table)} FROM {table}")
            assert rows and all(row == (1,) for row in rows), table

    using(path, work)


def test_r11_a_hold_on_a_leg_in_progress_covers_the_call_it_becomes(path: Path) -> None:
    """A call seen on two hops has two Call-IDs while it lasts and one row when it is over."""

    async def work(index: Index) -> None:
        async with index.transaction() as connection:
            await connection.execute(
                "INSERT INTO holds (number, case_no, reason, placed_by, placed_ns) "
                "VALUES (1, 'K 7/26', 'r', 'w', 5)"
            )
            await connection.execute(
                "INSERT INTO held (hold, id, call_id) VALUES (1, 'id-of-the-leg', 'the-other-leg')"
            )
        linked = entry(1)
        linked.call["linked_call_ids"] = ["the-other-leg"]
        await index.add(linked, entry(2))
        assert (await index.call("id-001") or {})["held_by"] == ["K 7/26"]
        assert (await index.call("id-002") or {})["held_by"] == []
        assert [call["id"] for call in await index.calls(Query(case="K 7/26"))] == ["id-001"]

    using(path, work)


def test_a_sealed_entry_is_read_back(path: Path) -> None:
    sealed = replace(
        entry(1), sealed=True, delete_after="2027-02-23T22:59:59.999Z", term_rule="months", key_sha256="ab",
        wav_sha256="cd", wav_sealed_sha256="ef", wav_sealed_bytes=7, evidence_sealed_bytes=8,
    )  # fmt: skip
    using(path, lambda index: index.add(sealed))
    found = using(path, lambda index: index.entry("id-001"))
    assert found == sealed
    call = using(path, lambda index: index.call("id-001"))
    assert (call["sealed"], call["delete_after"]) == (True, "2027-02-23T22:59:59.999Z")


def test_a_second_connection_does_not_cost_the_first_its_log(path: Path) -> None:
    """The recorder opens the index again for its sweep; then a command opens it, and ends."""
    command = [sys.executable, "-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
               "c.execute('SELECT count(*) FROM calls').fetchone(); c.close()", str(path)]  # fmt: skip

    async def work(index: Index) -> int:
        await index.add(entry(1))
        async with await Index.open(path):
            pass
        await asyncio.to_thread(subprocess.run, command, check=True)
        await index.add(entry(2))
        await asyncio.to_thread(subprocess.run, command, check=True)
        return path.with_name(path.name + "-wal").stat().st_size

    assert using(path, work)
    assert len(using(path, lambda index: index.calls())) == 2


def test_a_migration_that_fails_leaves_the_schema_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index.sqlite"
    broken = (*schema.MIGRATIONS, "CREATE TABLE later (x);\nCREATE TABLE calls (x);\n")
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    with pytest.raises(IndexProblem, match="already exists"):
        asyncio.run(Index.open(path))
    monkeypatch.undo()
    using(path, lambda index: index.add(entry(1)))
    connection = sqlite3.connect(path)
    assert schema.version(connection) == len(schema.MIGRATIONS)
    assert not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'later'").fetchall()
    connection.close()


def test_two_programs_may_open_a_new_index_at_once(path: Path) -> None:
    async def work() -> None:
        for index in await asyncio.gather(*(Index.open(path) for _ in range(6))):
            await index.close()

    asyncio.run(work())
    assert ids(path) == []


def test_r5_coverage_over_a_stop_a_kill_and_drops(path: Path) -> None:
    async def first(index: Index) -> None:
        await index.coverage_begin(100)
        await index.coverage_beat(110)
        await index.coverage_end(120)
        await index.coverage_begin(200)
        await index.coverage_beat(210)

    async def second(index: Index) -> None:
        await index.coverage_begin(300)
        await index.coverage_beat(310)
        await index.coverage_beat(320, dropped=5)
        await index.coverage_end(400)

    using(path, first)
    using(path, second)
    seen = [
        (gap.from_ns, gap.to_ns, gap.cause, gap.dropped)
        for gap in using(path, lambda index: index.coverage_gaps(50, 500))
    ]
    assert seen == [
        (50, 100, "not-started", 0),
        (120, 200, "stopped", 0),
        (210, 300, "killed", 0),
        (310, 320, "drops", 5),
        (400, 500, "stopped", 0),
    ]
    (later,) = using(path, lambda index: index.coverage_gaps(600, 700))
    assert (later.from_ns, later.to_ns, later.cause) == (600, 700, "stopped")
    (between,) = using(path, lambda index: index.coverage_gaps(130, 180))
    assert (between.from_ns, between.to_ns, between.cause) == (130, 180, "stopped")


def test_r5_a_clock_set_back_does_not_shorten_what_was_recorded(path: Path) -> None:
    async def work(index: Index) -> list[Any]:
        await index.coverage_begin(100)
        await index.coverage_beat(200)
        await index.coverage_beat(150)
        await index.coverage_end(160)
        return await index.coverage_gaps(100, 200)

    assert using(path, work) == []


def test_a_recording_id_sorts_by_time_and_is_short() -> None:
    first, second = recording_id(START_NS, "a@b"), recording_id(START_NS + 1_000_000_000, "a@b")
    assert re.fullmatch(r"20261123-204600-[a-z2-7]{6}", first)
    assert first < second
    assert len({recording_id(START_NS, f"{call}@b") for call in range(1000)}) == 1000
    assert recording_id(START_NS, "a@b") == first
    assert recording_id(START_NS + 1, "a@b") != first
    assert recording_id(START_NS, "\udc80")


@given(st.text(max_size=20))
def test_a_number_key_is_never_lost(number: str) -> None:
    assert bool(number_key(number)) == bool(number)


@given(st.integers(0, 4_000_000_000_000))
def test_times_survive_as_milliseconds(ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert time_ns(text) == ms * 1_000_000


def test_a_call_with_fields_of_any_text_is_kept(path: Path) -> None:
    odd = call(1, caller_name='"\\\x00\ud7ff\n', caller="'; DROP TABLE calls; --")
    using(path, lambda index: index.add(Entry("odd", odd)))
    (found,) = using(path, lambda index: index.calls(Query(number="';DROPTABLEcalls;--")))
    assert json.loads(json.dumps(found))["caller_name"] == odd["caller_name"]
