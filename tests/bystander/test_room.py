"""C19: when the disk is full new calls are listed, and those in progress are recorded on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.traffic import Traffic
from bystander import room as module
from bystander.config import Config
from bystander.room import Room
from bystander.storage.entry import time_ns
from tests.bystander.test_pipeline import Runner, block, wire_of

MB = 1 << 20


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A disk whose free megabytes a test sets."""
    free = {"mb": 10_000}
    monkeypatch.setattr(module, "_free_bytes", lambda _folder: free["mb"] * MB)
    return free


def test_shortages_are_remembered(disk: dict[str, int]) -> None:
    room = Room(Config())
    assert not room.look(1)
    assert (room.short_since_ns, room.bytes_free) == (None, 10_000 * MB)
    disk["mb"] = 511
    assert room.look(10)
    assert not room.look(11)
    assert room.short_since_ns == 10
    disk["mb"] = 520
    assert not room.look(15)
    disk["mb"] = 600
    assert room.look(20)
    assert room.short_since_ns is None
    disk["mb"] = 100
    room.look(30)
    assert [at for at in range(40) if room.was_short(at)] == [*range(10, 20), *range(30, 40)]


def test_the_fullest_of_the_disks_counts(tmp_path: Path) -> None:
    """Folders that do not exist yet are looked at where they will be."""
    config = Config()
    places = {"directory": tmp_path / "a/b", "spool": tmp_path / "c", "index": tmp_path / "index.sqlite"}
    config = config.model_copy(update={"recording": config.recording.model_copy(update=places)})
    room = Room(config)
    room.look(1)
    assert room.bytes_free > 0


def test_calls_in_progress_go_on_and_new_ones_are_not_kept(tmp_path: Path) -> None:
    """Six calls begin one after another; half-way through them the disk runs short."""
    wire, truth = wire_of(Traffic(calls=6, seconds=8, stagger_s=12.0))
    begins = sorted(stream["first_ns"] for call in truth["calls"] for stream in call["streams"])
    short_ns = begins[6] + 500_000_000

    def excluded(call: Any) -> str | None:
        return "no space" if call.started_ns >= short_ns else None

    runner = Runner(tmp_path, durable=True, excluded=excluded)
    before = [one for one in wire if one[0] < short_ns]
    after = [one for one in wire if one[0] >= short_ns]
    for start in range(0, len(before), 200):
        runner.pipeline.feed(block(before[start : start + 200]))
    runner.pipeline.short_since_ns = short_ns
    held = []
    for start in range(0, len(after), 200):
        runner.pipeline.feed(block(after[start : start + 200]))
        held.append(runner.spool.bytes_held())
    runner.pipeline.close()
    calls = {call["call_id"]: call for call in runner.calls}
    new = {name for name, call in calls.items() if time_ns(call["started_at"]) >= short_ns}
    assert 2 <= len(new) <= 4
    for name, call in calls.items():
        if name in new:
            assert (call["verdict"], call["excluded"], call["recording"]) == ("excluded", "no space", None)
        else:
            assert (call["verdict"], call["excluded"]) == ("recorded", None)
            assert call["recording"]["duration_s"] >= 8.0
            assert all(stream["lost"] == 0 for stream in call["streams"])
    assert held[-1] == 0, "the spool takes nothing of new calls"
    assert runner.pipeline.counters["spool-errors"] == 0
