"""Erasure: one function, whoever asks for it, that destroys a recording for good (R10, R18, C20, C21).

A plan is made in one transaction, with the check for holds inside it. It is then journalled, and carried out
in an order in which every step may be the last before a power cut, because each can be done again: the keys
(from then on nothing opens, whatever copies there are), the files, the rows, and an entry that it is done.
What the journal calls done is gone: key, audio, signalling, and all that the index knew.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import aiosqlite

from bystander.retention.holds import HeldProblem, cases_of
from bystander.retention.record import Record
from bystander.storage.digest import refresh
from bystander.storage.index import Index
from bystander.storage.keyring import Keyring
from bystander.storage.scrub import scrub_apart
from bystander.storage.wav import sync_folder

#: Recordings in one plan: a transaction is short, and what a power cut leaves to be done again is little.
BATCH: Final = 500


class ErasureProblem(Exception):  # noqa: N818  (what a person is told)
    """Something could not be erased; what is under way is finished at the next sweep. One clear line."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is erased: its term is over, somebody has a right to it (R18), or it belongs nowhere."""

    kind: Literal["term", "request", "mend"]
    actor: str
    reason: str | None = None
    ground: str | None = None


@dataclass(frozen=True, slots=True)
class Eraser:
    """All that an erasure touches. ``keyring`` is None where recordings are not sealed.

    ``step`` is told of each step before it is taken; a test lets it raise.
    """

    index: Index
    keyring: Keyring | None
    root: Path
    record: Record
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

        Those that are held are refused for a request (HeldProblem, and nothing is erased), and left out when
        their term is over. ``strays`` names files, relative to the root, of recordings that have no row.
        Raises ErasureProblem when something resists; it is planned then, and `resume` goes on with it.
        """
        done = 0
        if cause.kind == "request":
            await self._refuse_held(recordings)
        for at in range(0, len(recordings), BATCH):
            plan = await self._plan(recordings[at : at + BATCH], cause, now_ns, strays or {})
            if plan is not None:
                done += await self._carry_out(plan, is_new=True)
                progress(done)
        return done

    async def resume(self) -> int:
        """Finish what was planned and not done; return how many recordings that were."""
        plans = await self.index.rows("SELECT plan FROM plans ORDER BY made_ns")
        return sum([await self._carry_out(plan, is_new=False) for (plan,) in plans])

    async def _refuse_held(self, recordings: Sequence[str]) -> None:
        async with self.index.transaction() as connection:
            for name in recordings:
                if cases := await cases_of(connection, name):
                    raise HeldProblem(f"{name}: held for {', '.join(cases)}; nothing was erased")

    async def _plan(
        self, recordings: Sequence[str], cause: Cause, now_ns: int, strays: Mapping[str, Sequence[str]]
    ) -> str | None:
        """Write down what is to be erased; return the plan's name, or None if nothing is left of it."""
        plan = f"{_day(now_ns)}-{secrets.token_hex(4)}"
        self.step("plan")
        async with self.index.transaction() as connection:
            rows = []
            for name in recordings:
                if cases := await cases_of(connection, name):
                    if cause.kind == "request":
                        raise HeldProblem(f"{name}: held for {', '.join(cases)}; nothing was erased")
                    continue
                files = await self._files(connection, name, cause, now_ns)
                if files is None:
                    files = list(strays.get(name, [])) if cause.kind == "mend" else None
                if files is not None:
                    rows.append((name, plan, json.dumps(files)))
            if not rows:
                return None
            await connection.execute(
                "INSERT INTO plans (plan, cause, actor, made_ns, reason, ground) VALUES (?, ?, ?, ?, ?, ?)",
                [plan, cause.kind, cause.actor, now_ns, cause.reason, cause.ground],
            )
            # What another plan has in hand already is left to it.
            await connection.executemany(
                "INSERT OR IGNORE INTO erasing (id, plan, files) VALUES (?, ?, ?)", rows
            )
            taken = await connection.execute_fetchall("SELECT 1 FROM erasing WHERE plan = ? LIMIT 1", [plan])
            if not list(taken):
                await connection.execute("DELETE FROM plans WHERE plan = ?", [plan])
                return None
            await connection.execute(refresh("plans", "plan = ?"), [plan])
            await connection.execute(refresh("erasing", "plan = ?"), [plan])
        return plan

    @staticmethod
    async def _files(
        connection: aiosqlite.Connection, name: str, cause: Cause, now_ns: int
    ) -> list[str] | None:
        """Return the files of a recording that may be erased now; None if there is none of that name."""
        condition, values = "id = ?", [name]
        if cause.kind == "term":
            # Looked at again here: the term may have been changed since it was found to be over.
            condition, values = "id = ? AND delete_after < ?", [name, as_text(now_ns)]
        rows = list(
            await connection.execute_fetchall(
                f"SELECT wav_path, evidence_path FROM calls WHERE {condition}", values
            )
        )
        return [path for path in rows[0] if path] if rows else None

    async def _carry_out(self, plan: str, *, is_new: bool) -> int:
        rows = await self.index.rows("SELECT id, files FROM erasing WHERE plan = ? ORDER BY id", [plan])
        names = [row[0] for row in rows]
        files = {row[0]: json.loads(row[1]) for row in rows}
        facts = await self._facts(plan, names)
        actor = facts.pop("by")
        await self._tell("erase-plan", actor, facts, is_new=is_new)
        self.step("keys")
        if self.keyring is not None:
            await asyncio.to_thread(self.keyring.destroy, names)
            await asyncio.to_thread(scrub_apart, self.keyring.path)
        self.step("files")
        await asyncio.to_thread(self._unlink, files)
        self.step("rows")
        async with self.index.transaction() as connection:
            for table in ("calls", "held"):
                await connection.executemany(f"DELETE FROM {table} WHERE id = ?", [(name,) for name in names])
        self.step("log")
        await self.index.truncate_log()
        await asyncio.to_thread(scrub_apart, self.index.path)
        done = {"plan": plan, "count": len(names), "recordings": names}
        await self._tell("erase-done", actor, done, is_new=is_new)
        self.step("forget")
        async with self.index.transaction() as connection:
            await connection.execute("DELETE FROM erasing WHERE plan = ?", [plan])
            await connection.execute("DELETE FROM plans WHERE plan = ?", [plan])
        return len(names)

    async def _facts(self, plan: str, names: list[str]) -> dict[str, Any]:
        (row,) = await self.index.rows(
            "SELECT cause, actor, reason, ground FROM plans WHERE plan = ?", [plan]
        )
        cause, actor, reason, ground = row
        facts = {"plan": plan, "cause": cause, "by": actor, "count": len(names), "recordings": names}
        return facts | {name: said for name, said in (("reason", reason), ("ground", ground)) if said}

    async def _tell(self, act: str, actor: str, facts: dict[str, Any], *, is_new: bool) -> None:
        """Journal a step, once: after a power cut the entry may be there already."""
        self.step(act)
        if is_new or not await asyncio.to_thread(self.record.has, act, plan=facts["plan"]):
            await asyncio.to_thread(self.record.append, act, actor, facts)

    def _unlink(self, files: Mapping[str, Sequence[str]]) -> None:
        """Remove the recordings' files, those that the row names and those that bear the name."""
        folders: dict[Path, None] = {}
        for name, paths in files.items():
            for folder in dict.fromkeys((self.root / path).parent for path in paths):
                folders[folder] = None
                for found in folder.glob(f"{name}.*"):
                    _remove(found)
            for path in paths:
                _remove(self.root / path)
        for folder in folders:
            if folder.is_dir():
                sync_folder(folder)
                self._remove_empty(folder)

    def _remove_empty(self, folder: Path) -> None:
        """Remove a day's folder, and the month's and the year's, where nothing is left in them."""
        while folder != self.root and folder.is_relative_to(self.root):
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent


def as_text(time_ns: int) -> str:
    """Return a time as terms are kept: RFC 3339, UTC, milliseconds; in this form text sorts as time does."""
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns // 1_000_000 % 1000:03d}Z"


def _day(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%Y%m%d}"


def _remove(path: Path) -> None:
    try:
        os.unlink(path)  # noqa: PTH108 - one system call a file, and there are thousands
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ErasureProblem(
            f"{path}: cannot be removed: {error.strerror}; put that right, the next sweep goes on with it"
        ) from None
