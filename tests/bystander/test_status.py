"""`status`: whether it records, what it has recorded, and when it did not (R5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bystander.config import Config, load, settings
from bystander.metrics import Health, Metrics, MetricsServer
from bystander.moments import to_ns
from bystander.status import gather, health, lines
from bystander.storage.index import Index

SINCE, UNTIL = datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)


def facts(config: Config) -> dict[str, Any]:
    return asyncio.run(gather(config, SINCE, UNTIL))


def text(found: dict[str, Any]) -> str:
    return "\n".join(line.plain for line in lines(found, UTC))


def change(path: Path, work: Callable[[Index], Awaitable[None]]) -> None:
    async def go() -> None:
        async with await Index.open(path) as index:
            await work(index)

    asyncio.run(go())


def test_what_the_index_holds(installation: Path) -> None:
    found = facts(load(installation))
    assert found["calls"] == 3
    assert found["states"] == {"answered": 2, "busy": 1}
    assert found["verdicts"] == {"recorded": 2}
    assert found["audio_bytes"] == 640_044
    assert found["newest_at"] == "2026-11-24T20:46:00.000Z"
    assert found["disk"]["free_bytes"] > 0
    said = text(found)
    assert "calls        3  (answered 2, busy 1)" in said
    assert "audio        640.0 kB" in said


def test_r5_gaps_in_the_coverage_are_told(installation: Path) -> None:
    config = load(installation)
    hour = 3600 * 1_000_000_000

    async def record(index: Index) -> None:
        await index.coverage_begin(to_ns(SINCE))
        await index.coverage_beat(to_ns(SINCE) + hour)
        await index.coverage_beat(to_ns(SINCE) + hour + 10**10, dropped=7)
        await index.coverage_end(to_ns(SINCE) + 2 * hour)

    change(config.recording.index, record)
    found = facts(config)
    assert [(gap["from"], gap["to"], gap["cause"], gap["dropped"]) for gap in found["coverage"]["gaps"]] == [
        ("2026-11-23T01:00:00.000Z", "2026-11-23T01:00:10.000Z", "drops", 7),
        ("2026-11-23T02:00:00.000Z", "2026-11-24T00:00:00.000Z", "stopped", 0),
    ]
    assert "not covered  2026-11-23 01:00:00 to 2026-11-23 01:00:10: drops, 7 packets" in text(found)


def test_r5_no_gap_is_told_as_well(installation: Path) -> None:
    config = load(installation)

    async def record(index: Index) -> None:
        await index.coverage_begin(to_ns(SINCE))
        await index.coverage_end(to_ns(UNTIL))

    change(config.recording.index, record)
    assert facts(config)["coverage"]["gaps"] == []
    assert "coverage     no gap since 2026-11-23 00:00:00" in text(facts(config))


def test_before_the_first_start_there_is_nothing_and_no_failure(tmp_path: Path) -> None:
    paths = {"directory": tmp_path / "a" / "b", "index": tmp_path / "index.sqlite"}
    found = facts(settings(recording=paths, metrics={"listen": "127.0.0.1:1"}))
    assert (found["calls"], found["newest_at"], found["coverage"]["gaps"]) == (0, None, None)
    assert found["recorder"] == {"state": "not running"}
    assert "nothing has been recorded yet" in text(found)
    assert not (tmp_path / "a").exists()


def test_the_recorders_health_is_asked() -> None:
    now = Health(True, {"interface": "mirror0"})
    server = MetricsServer(Metrics(), ("127.0.0.1", 0), lambda: now)
    config = settings(metrics={"listen": f"127.0.0.1:{server.address[1]}"})
    try:
        assert health(config) == {"status": "ok", "state": "recording", "interface": "mirror0"}
        now = Health(False)
        assert health(config)["state"] == "not recording"
    finally:
        server.close()
    assert health(config) == {"state": "not running"}
    assert health(settings(metrics={"enabled": False}))["state"] == "unknown"
