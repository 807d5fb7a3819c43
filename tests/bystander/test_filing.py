"""Calls on their way to the vault: what happens when there are more than can be written."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bystander import filing as module
from bystander.config import Config
from bystander.filing import Filing
from bystander.finish import Job
from bystander.finished import FinishedCall
from bystander.metrics import Metrics

PATIENCE_S = 20.0


def call(state: str, streams: int) -> Any:
    made = FinishedCall.__new__(FinishedCall)
    made.call = SimpleNamespace(state=state, messages=[])  # type: ignore[assignment]
    made.job = Job(Path("x.wav"), [SimpleNamespace(file=None)] * streams, None, 0)  # type: ignore[list-item]
    made.spool = SimpleNamespace()  # type: ignore[assignment]
    return made


def test_a_flood_of_attempts_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was answered or said is given up; of attempts beyond the bound the count remains."""
    monkeypatch.setattr(module, "MOST_WAITING", 10)
    may = threading.Event()
    told: list[str] = []

    async def flood() -> Filing:
        filing = Filing(
            Config(),
            SimpleNamespace(),  # type: ignore[arg-type]
            None,
            Metrics(),
            tell=lambda what, text: told.append(f"{what}: {text}"),
            term_from=lambda at_ns: at_ns,
        )
        monkeypatch.setattr(filing, "_writer", module.Writer(lambda _call: may.wait(PATIENCE_S) and None))
        for _ in range(100):
            filing.submit(call("incomplete", 0))
        assert filing.pending <= 12 and filing.unlisted == 100 - filing.pending
        before = filing.unlisted
        for state, streams in (("answered", 2), ("answered", 0), ("unanswered", 1)):
            for _ in range(20):
                filing.submit(call(state, streams))
        assert filing.unlisted == before
        may.set()
        filing._indexer.cancel()
        return filing

    filing = asyncio.run(flood())
    assert filing.pending >= 60
    assert told[-1] == f"attempts: more calls than can be written: {filing.unlisted} attempts are not listed"
