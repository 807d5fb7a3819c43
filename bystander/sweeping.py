"""A sweep as the daemon and the command line run it: guarded by the clock, its refusal on record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bystander.config import Config
from bystander.custody.journal import Journal
from bystander.retention import clock, sweep
from bystander.retention.erasure import Eraser
from bystander.storage.entry import time_ns


class NoJournal:
    """In place of a journal where there is no vault: recordings lie open there."""

    def append(self, act: str, actor: str, facts: Mapping[str, Any]) -> int:  # noqa: ARG002
        """Write nothing."""
        return 0

    def has(self, act: str, **facts: Any) -> bool:  # noqa: ARG002
        """Find nothing."""
        return False


async def run_sweep(
    eraser: Eraser,
    config: Config,
    actor: str,
    limit: int,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> sweep.Swept:
    """Sweep, by the clock as it is now. A refusal is journalled, once a day."""
    now = clock.Reading.now()
    newest = [
        await clock.newest_recording_ns(eraser.index),
        await asyncio.to_thread(_journal_ns, eraser.record),
    ]
    known = [time for time in newest if time is not None]
    done = await sweep.sweep(
        eraser,
        actor,
        now,
        bound_ns=config.retention.clock_bound_ns,
        newest_ns=max(known, default=None),
        limit=limit,
        progress=progress,
    )
    if done.refused:
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        if not await asyncio.to_thread(eraser.record.has, "erase-refused", day=today):
            facts = {"day": today, "why": done.refused}
            await asyncio.to_thread(eraser.record.append, "erase-refused", actor, facts)
    return done


def _journal_ns(record: Any) -> int | None:
    """Return when the newest entry of the journal was written."""
    last = record.last() if isinstance(record, Journal) else None
    return None if last is None else time_ns(last.at)
