"""Erasure: one function, whoever asks for it, that destroys a recording for good (R10, R18, C20, C21).

A plan is made in one transaction, with the check for holds inside it. It is then journalled, and carried out
in an order in which every step may be the last before a power cut, because each can be done again: the keys
(from then on nothing opens, whatever copies there are), the files, the rows, the unused space of index and
keyring, and an entry that it is done. What the journal calls done is gone: key, audio, signalling, and all
that the index knew.

One erasure is under way at a time, in the recorder or at the command line; another waits for it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import aiosqlite

from bystander.retention.holds import HeldProblem, cases_of
from bystander.retention.record import Record
from bystander.retention.references import forget_references
from bystander.retention.removal import ErasureProblem, remove_files
from bystander.storage.digest import refresh
from bystander.storage.index import Index
from bystander.storage.keyring import Keyring
from bystander.storage.scrub import scrub_apart
from bystander.storage.turns import turn_at

__all__ = ["BATCH", "Cause", "Eraser", "ErasureProblem", "as_text"]

#: Recordings in one plan: a transaction is short, and what a power cut leaves to be done again is little.
BATCH: Final = 500
#: Plans that are concluded together: that reads the whole index.
_TOGETHER: Final = 20


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is erased: its term is over, somebody has a right to it (R18), or it belongs nowhere."""

    kind: Literal["term", "request", "mend"]
    actor: str
    reason: str | None = None
    ground: str | None = None


@dataclass(slots=True)
class _Outcome:
    done: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A plan whose recordings are gone, to be concluded. ``is_new``: nothing of it was journalled before."""

    name: str
    actor: str
    recordings: list[str]
    is_new: bool


@dataclass(frozen=True, slots=True)
class Eraser:
    """All that an erasure touches. ``keyring`` is None where recordings are not sealed.

    ``forget`` is given the calls (objects of `calls.json`) whose rows are about to go, in a thread, and
    removes what else is known of them. ``step`` is told of each step before it is taken; a test lets it
    raise.
    """

    index: Index
    keyring: Keyring | None
    root: Path
    record: Record
    forget: Callable[[list[dict[str, Any]]], None] = lambda _calls: None
    step: Callable[[str], None] = lambda _step: None

    async def erase(
        self,
        recordings: Sequence[str],
        cause: Cause,
        now_ns: int,
        *,
        strays: Mapping[str, Sequence[str]] | None = None,
        progress: Callable[[int], None] = lambda _done: None,
    ) -> int:
        """Destroy recordings for good; return how many.

        For a request it is all or nothing: one that is held refuses all (HeldProblem). Otherwise held ones
        are left out, and so are, for the term, those whose term is not over, and for mending those that have
        a row; ``strays`` names the files of those that have none, relative to the root. Raises ErasureProblem
        when files resist: the rest is erased, and `resume` goes on with them.
        """
        names = list(dict.fromkeys(recordings))
        batches = [names[at : at + BATCH] for at in range(0, len(names), BATCH)]
        groups = [batches] if cause.kind == "request" else [[batch] for batch in batches]

        async def plans() -> AsyncIterator[str]:
            for group in groups:
                for plan in await self._plan(group, cause, now_ns, strays or {}):
                    yield plan

        async with self._alone():
            # A sweep has just done that.
            earlier = _Outcome() if cause.kind == "term" else await self._resume()
            outcome = await self._carry_out(plans(), is_new=True, progress=progress)
        return _result(outcome.done, earlier.problems + outcome.problems)

    async def resume(self) -> int:
        """Finish what was planned and not done; return how many recordings that were.

        Raises ErasureProblem when files resist, still or again: the rest is erased.
        """
        async with self._alone():
            outcome = await self._resume()
        return _result(outcome.done, outcome.problems)

    async def _resume(self) -> _Outcome:
        async def plans() -> AsyncIterator[str]:
            for (plan,) in await self.index.rows("SELECT plan FROM plans ORDER BY made_ns, plan"):
                yield plan

        return await self._carry_out(plans(), is_new=False)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Wait until nobody else erases: two at the same plan would journal it twice."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(turn_at(self.index.path.parent))
            except BlockingIOError:
                what = "another erasure is under way; try again when it is done"
                raise ErasureProblem(f"{self.index.path.parent}: {what}") from None
            yield

    # -- planning -----------------------------------------------------------------------------------------

    async def _plan(
        self,
        batches: Sequence[Sequence[str]],
        cause: Cause,
        now_ns: int,
        strays: Mapping[str, Sequence[str]],
    ) -> list[str]:
        """Write down what is to be erased, in one transaction: a plan for each batch that has anything left
        to be erased. Returns their names."""
        plans = []
        self.step("plan")
        async with self.index.transaction() as connection:
            for batch in batches:
                found = [await self._look(connection, name, cause, now_ns, strays) for name in batch]
                rows = [row for row in found if row is not None]
                if rows:
                    plans.append(await _write_plan(connection, rows, cause, now_ns))
        return plans

    async def _look(
        self,
        connection: aiosqlite.Connection,
        name: str,
        cause: Cause,
        now_ns: int,
        strays: Mapping[str, Sequence[str]],
    ) -> tuple[str, str] | None:
        """Return (id, its files as JSON), or None if it is not to be erased, or is being erased already."""
        if cases := await cases_of(connection, name):
            if cause.kind != "request":
                return None
            raise HeldProblem(f"{name}: held for {', '.join(cases)}; nothing was erased")
        if list(await connection.execute_fetchall("SELECT 1 FROM erasing WHERE id = ?", [name])):
            return None
        rows = list(
            await connection.execute_fetchall(
                "SELECT wav_path, evidence_path, sealed, delete_after FROM calls WHERE id = ?", [name]
            )
        )
        if not rows:
            return (name, json.dumps(strays[name])) if cause.kind == "mend" and name in strays else None
        wav, evidence, sealed, delete_after = rows[0]
        # Looked at again here: the term may have been changed, or a row written, since it was found.
        is_over = delete_after is not None and delete_after < as_text(now_ns)
        if cause.kind == "mend" or (cause.kind == "term" and not is_over):
            return None
        if sealed and self.keyring is None:
            raise ErasureProblem(
                f"{name}: sealed, but this configuration names no keyring to erase its key from; "
                "put the section [vault] back"
            )
        return name, json.dumps([path for path in (wav, evidence) if path])

    # -- carrying out -------------------------------------------------------------------------------------

    async def _carry_out(
        self,
        plans: AsyncIterator[str],
        *,
        is_new: bool,
        progress: Callable[[int], None] = lambda _done: None,
    ) -> _Outcome:
        outcome = _Outcome()
        gone: list[_Plan] = []
        async for name in plans:
            try:
                plan = await self._destroy(name, is_new=is_new)
            except ErasureProblem as problem:
                outcome.problems.append(str(problem))
                continue
            gone.append(plan)
            outcome.done += len(plan.recordings)
            progress(outcome.done)
            if len(gone) == _TOGETHER:
                await self._conclude(gone)
                gone = []
        if gone:
            await self._conclude(gone)
        return outcome

    async def _destroy(self, name: str, *, is_new: bool) -> _Plan:
        """Destroy the keys, the files and the rows of a plan's recordings."""
        rows = await self.index.rows("SELECT id, files FROM erasing WHERE plan = ? ORDER BY id", [name])
        files = {row[0]: json.loads(row[1]) for row in rows}
        ((actor, *told),) = await self.index.rows(
            "SELECT actor, cause, reason, ground FROM plans WHERE plan = ?", [name]
        )
        plan = _Plan(name, actor, list(files), is_new)
        facts = {key: said for key, said in zip(("cause", "reason", "ground"), told, strict=True) if said}
        await self._tell("erase-plan", plan, facts)
        self.step("keys")
        if self.keyring is not None:
            await asyncio.to_thread(self.keyring.destroy, plan.recordings)
        self.step("files")
        await asyncio.to_thread(remove_files, self.root, files)
        self.step("calls")
        calls = await self.index.rows(
            "SELECT call FROM calls JOIN erasing ON erasing.id = calls.id WHERE plan = ?", [name]
        )
        await asyncio.to_thread(self.forget, [json.loads(text) for (text,) in calls])
        self.step("rows")
        async with self.index.transaction() as connection:
            await forget_references(connection, name)
            for table in ("calls", "held", "restricted"):
                await connection.executemany(f"DELETE FROM {table} WHERE id = ?", [(id_,) for id_ in files])
        return plan

    async def _conclude(self, plans: Sequence[_Plan]) -> None:
        """See to it that nothing is left in logs and unused space; then journal that it is done."""
        self.step("log")
        await self.index.truncate_log()
        self.step("scrub")
        for path in (self.index.path, *([] if self.keyring is None else [self.keyring.path])):
            await asyncio.to_thread(scrub_apart, path)
        for plan in plans:
            await self._tell("erase-done", plan, {})
            self.step("forget")
            async with self.index.transaction() as connection:
                await connection.execute("DELETE FROM erasing WHERE plan = ?", [plan.name])
                await connection.execute("DELETE FROM plans WHERE plan = ?", [plan.name])

    async def _tell(self, act: str, plan: _Plan, facts: Mapping[str, Any]) -> None:
        """Journal a step, once: after a power cut the entry may be there already."""
        self.step(act)
        if plan.is_new or not await asyncio.to_thread(self.record.has, act, plan=plan.name):
            every = {"plan": plan.name, **facts, "count": len(plan.recordings), "recordings": plan.recordings}
            await asyncio.to_thread(self.record.append, act, plan.actor, every)


def as_text(time_ns: int) -> str:
    """Return a time as terms are kept: RFC 3339, UTC, milliseconds; in this form text sorts as time does."""
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns // 1_000_000 % 1000:03d}Z"


async def _write_plan(
    connection: aiosqlite.Connection, rows: Sequence[tuple[str, str]], cause: Cause, now_ns: int
) -> str:
    plan = f"{datetime.fromtimestamp(now_ns // 1_000_000_000, UTC):%Y%m%d}-{secrets.token_hex(4)}"
    await connection.execute(
        "INSERT INTO plans (plan, cause, actor, made_ns, reason, ground) VALUES (?, ?, ?, ?, ?, ?)",
        [plan, cause.kind, cause.actor, now_ns, cause.reason, cause.ground],
    )
    await connection.executemany(
        "INSERT INTO erasing (id, plan, files) VALUES (?, ?, ?)",
        [(name, plan, files) for name, files in rows],
    )
    await connection.execute(refresh("plans", "plan = ?"), [plan])
    await connection.execute(refresh("erasing", "plan = ?"), [plan])
    return plan


def _result(done: int, problems: Sequence[str]) -> int:
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ErasureProblem(f"{problems[0]}{more}", done)
    return done
