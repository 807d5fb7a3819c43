"""What the recorder does beside recording: the journal of its runs, the clock, and the nightly sweep.

All of it runs beside capture, the sweep in a thread with an index of its own. Nothing here may cost a call:
what fails is told, shown in the metrics, and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from bystander import __version__
from bystander.actor import RECORDER
from bystander.condition import Condition
from bystander.config import Config
from bystander.custody.desk import CustodyProblem
from bystander.custody.journal import JournalProblem
from bystander.custody.persons import lapse
from bystander.desks import desk_of
from bystander.errors import UserError
from bystander.forgetting import forget
from bystander.retention import clock, holds, sweep
from bystander.retention.erasure import Eraser, ErasureProblem
from bystander.retention.space import days_left
from bystander.room import Room
from bystander.storage.index import Index, IndexProblem
from bystander.storage.keyring import KeyringProblem
from bystander.storage.scrub import ScrubProblem
from bystander.sweeping import NoJournal, run_sweep
from bystander.vault import OpenVault, fingerprint_of

log = logging.getLogger("bystander")

_S: Final = 1_000_000_000
_WEEK_S: Final = 7 * 86_400
_MINUTE_S: Final = 60.0
_PROBLEMS: Final = (
    *(UserError, IndexProblem, KeyringProblem, JournalProblem, ErasureProblem, ScrubProblem),
    CustodyProblem,
    OSError,
)


class Housekeeping:
    """The chores of one run of the recorder, from :meth:`begin` to :meth:`end`."""

    def __init__(
        self,
        config: Config,
        file: Path | None,
        index: Index,
        vault: OpenVault | None,
        room: Room,
        tell: Callable[[str, str], None],
    ) -> None:
        self._config = config
        self._file = file
        self._index = index
        self._vault = vault
        self._room = room
        self._tell = tell
        self._tasks: list[asyncio.Task[None]] = []
        self._trusted: clock.Reading | None = None
        self._lapsed_on: date | None = None
        self._warned_on: date | None = None
        self.condition = Condition()

    async def begin(self, facts: dict[str, Any], *, live: bool) -> None:
        """Journal the start, and a configuration that has changed; finish erasures that were cut off."""
        await self._journal_configuration()
        await self.journal("start", {"version": __version__, **facts})
        self._trusted = await clock.trusted_time(self._index)
        await self._guarded("erasure", self._in_thread(self._resume))
        if live:
            await self._each_minute()
            self._tasks = [asyncio.create_task(self._minutes()), asyncio.create_task(self._nights())]

    async def end(self, facts: dict[str, Any]) -> None:
        """Stop the chores and journal the stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.journal("stop", facts)

    async def journal(self, act: str, facts: dict[str, Any]) -> None:
        """Write into the journal, beside the loop. What the disk does not take is told."""
        if self._vault is not None:
            await self._guarded(
                "journal", asyncio.to_thread(self._vault.journal.append, act, RECORDER, facts)
            )

    def term_from(self, at_ns: int) -> int:
        """Return from when the term of a call counts: a clock set back must not end it early."""
        return clock.term_begins_ns(at_ns, self._trusted, time.time_ns())

    async def _journal_configuration(self) -> None:
        if self._vault is None or self._file is None:
            return
        journal, digest = self._vault.journal, fingerprint_of(self._file)
        last = await asyncio.to_thread(journal.last, "configuration")
        if last is None or last.facts.get("sha256") != digest:
            await self.journal("configuration", {"sha256": digest})

    async def _guarded(self, what: str, work: Any) -> Any:
        try:
            return await work
        except _PROBLEMS as problem:
            self._tell(what, str(problem))
            return None

    async def _minutes(self) -> None:
        while True:
            await asyncio.sleep(_MINUTE_S)
            await self._each_minute()

    async def _each_minute(self) -> None:
        """Move trusted time on, and count what is overdue, held, and left of the disk."""
        await self._guarded("clock", self._observe())
        await self._guarded("count", self._count())
        await self._guarded("forecast", self._forecast())
        await self._guarded("register", self._lapse())

    async def _observe(self) -> None:
        steady = await clock.observe(self._index, clock.Reading.now(), self._config.retention.clock_bound_ns)
        self.condition.clock_trusted = steady
        self._trusted = await clock.trusted_time(self._index)
        if not steady and self._trusted is not None:
            self._tell(
                "clock", f"the clock has leapt: nothing is erased until it is right; {sweep.WHAT_NEXT}"
            )

    async def _lapse(self) -> None:
        """Destroy, with each new day, the keys of those whose authorisation ended with the last (R13)."""
        vault, today = self._vault, datetime.now(self._config.zone()).date()
        if vault is None or today == self._lapsed_on:
            return

        async def work(eraser: Eraser) -> None:
            desk = await desk_of(self._config, vault, eraser.index, RECORDER)
            for who in await lapse(desk):
                log.info(
                    "person %d of the register: the authorisation has lapsed, the key is gone", who.number
                )

        await self._in_thread(work)
        self._lapsed_on = today

    async def _count(self) -> None:
        now_ns = time.time_ns()
        self.condition.overdue, _ = await sweep.overdue(self._index, now_ns)
        self.condition.held = await holds.held_count(self._index)

    async def _forecast(self) -> None:
        """Work out how many days the room lasts, at the rate of the last week."""
        since_ns = time.time_ns() - _WEEK_S * _S
        rows = await self._index.rows(
            "SELECT sum(max(audio_bytes * (1 - sealed), wav_sealed_bytes + evidence_sealed_bytes)), "
            "(SELECT min(started_ns) FROM calls) FROM calls WHERE started_ns >= ?",
            [since_ns],
        )
        recorded, oldest_ns = rows[0]
        over_s = (time.time_ns() - max(since_ns, oldest_ns or time.time_ns())) / _S
        left = days_left(self._room.bytes_free, self._room.reserve_bytes, recorded or 0, over_s)
        self.condition.days_left = left
        today = datetime.now(self._config.zone()).date()
        if left is not None and left < self._config.space.warn_days and self._warned_on != today:
            self._warned_on = today
            self._tell("room", f"at the rate of the last week the disk is full in {left:.1f} days; make room")

    async def _nights(self) -> None:
        """Sweep every night at the hour that the configuration says."""
        kept = self._config.retention
        while True:
            due_ns = sweep.next_run(time.time_ns(), kept.sweep_at, self._config.zone())
            while (left_s := (due_ns - time.time_ns()) / _S) > 0:
                # Not in one go: the clock may be set meanwhile, and the machine may sleep.
                await asyncio.sleep(min(left_s, _MINUTE_S))
            await self._guarded("sweep", self._in_thread(self._sweep))

    async def _in_thread(self, work: Callable[[Eraser], Any]) -> Any:
        """Do some work with an eraser of its own, in a thread: capture's loop has other things to do."""

        async def go() -> Any:
            async with await Index.open(self._config.recording.index) as index:
                vault = self._vault
                eraser = Eraser(
                    index,
                    None if vault is None else vault.keyring,
                    self._config.recording.directory,
                    NoJournal() if vault is None else vault.journal,
                    partial(forget, self._config.recording.spool),
                )
                return await work(eraser)

        return await asyncio.to_thread(asyncio.run, go())

    async def _resume(self, eraser: Eraser) -> None:
        if count := await eraser.resume():
            self.condition.erased += count
            log.info("finished an erasure that was cut off: %d recordings", count)

    async def _sweep(self, eraser: Eraser) -> None:
        done = await run_sweep(eraser, self._config, RECORDER, self._config.retention.sweep_max)
        self.condition.erased += done.erased + done.resumed
        self.condition.overdue, self.condition.held = done.left, max(done.held, self.condition.held)
        self.condition.sweep_refused = bool(done.refused)
        self.condition.last_sweep_ns = time.time_ns()
        for trouble in filter(None, (done.refused, done.problem)):
            self._tell("sweep", trouble)
        if not done.refused:
            log.info("swept: %d erased, %d held back, %d left", done.erased, done.held, done.left)
