"""R11: a call in progress is known by the id that its recording will have."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bystander.config import Config, load
from bystander.daemon import run
from bystander.inprogress import calls_in_progress
from bystander.recovery import NAME, SignallingLog
from bystander.storage.index import Index

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "bystander.toml"
    path.write_text(
        '[recording]\ndirectory = "recordings"\nspool = "spool"\nindex = "index.sqlite"\n'
        "[metrics]\nenabled = false\n"
    )
    return load(path)


async def indexed(config: Config) -> list[dict[str, Any]]:
    async with await Index.open(config.recording.index) as index:
        return await index.calls()


@pytest.mark.parametrize("name", ["pcmu", "challenged", "forked", "relayed", "concurrent", "mid-call", "tcp"])
def test_the_id_in_progress_is_the_id_in_the_index(
    config: Config, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Of every call of the capture, from the log that its recorder wrote."""
    close = SignallingLog.close
    monkeypatch.setattr(SignallingLog, "close", lambda log, remove: close(log, remove=False))
    assert run(config, read=[DATA / f"{name}.pcap"]) == 0
    calls = asyncio.run(indexed(config))
    assert calls
    going = calls_in_progress(config)
    if name != "mid-call":
        # Joined midway a call begins with its media, which is not in the log: a hold follows by Call-ID.
        assert {call.id for call in going} == {call["id"] for call in calls}
    assert going == sorted(going, key=lambda call: call.started_ns)
    # While it was going on, what was known of it was a leg that a hold follows into the recording.
    legs = {leg for call in calls for leg in (call["call_id"], *call["linked_call_ids"])}
    assert {call.call_id for call in going} <= legs
    log = config.recording.spool / NAME
    whole = log.read_bytes()
    for tenth in range(1, 10):
        log.write_bytes(whole[: len(whole) * tenth // 10])
        assert {call.call_id for call in calls_in_progress(config)} <= legs


def test_without_a_spool_nothing_is_in_progress(config: Config) -> None:
    assert calls_in_progress(config) == []
