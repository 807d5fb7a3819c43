"""The desk at which acts of custody are done: what they touch, who acts, and how one is refused.

Whoever is refused is told in one line, and the journal has an entry of it: which act, why, of which
recording.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final, NoReturn

from bystander.custody.agreement import Told
from bystander.custody.journal import Journal
from bystander.custody.reading import Reading
from bystander.storage.index import Entry, Index
from bystander.storage.keyring import Keyring
from bystander.storage.turns import turn_at

#: For what recordings may be used, and nothing else (R2).
PURPOSES: Final = ("security", "quality", "data-protection")
#: What no text of a form holds: control characters but tab and line feed, and marks that turn text around.
_HOSTILE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
#: Characters of a text, and of one that is a line: a name, a number, a case.
_MOST: Final = 20_000
_MOST_OF_LINE: Final = 400
#: Numbers are those of rows (SQLite).
MOST_NUMBER: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class CustodyProblem(Exception):  # noqa: N818  (what a person is told)
    """An act of custody cannot be done. The message is one clear line."""


class Refused(CustodyProblem):
    """An act was refused for want of authority. ``code`` is the reason, as the journal has it."""

    def __init__(self, code: str, line: str) -> None:
        super().__init__(line)
        self.code = code


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration makes stricter: two persons to listen, and days until a protocol is due."""

    two_persons: bool = False
    protocol_days: float = 7.0


@dataclass(frozen=True, slots=True)
class Desk:
    """All that an act of custody touches. ``zone`` is the office's (None: the machine's). ``now_ns`` is when
    the act began; ``clock`` tells what it is while it lasts (None: no later). ``sure_ns`` is the time that is
    known for sure, where the clock has leapt (None: it has not).
    """

    index: Index
    keyring: Keyring
    journal: Journal
    root: Path
    zone: tzinfo | None
    actor: str
    now_ns: int
    rules: Rules = Rules()
    sure_ns: int | None = None
    clock: Callable[[], int] | None = None
    reading: Reading = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reading", Reading(self.journal))

    @property
    def sure_day(self) -> date:
        """The day until which nothing that cannot be undone is done by the clock alone."""
        return self.today if self.sure_ns is None else self.local(self.sure_ns).date()

    @property
    def today(self) -> date:
        """The day, as the office counts days; also one that begins while a passphrase is looked for."""
        now_ns = self.now_ns if self.clock is None else max(self.now_ns, self.clock())
        return self.local(now_ns).date()

    def local(self, time_ns: int) -> datetime:
        """Return ns UTC as the office's time."""
        return (_EPOCH + timedelta(microseconds=time_ns // 1000)).astimezone(self.zone)

    def note(self, act: str, **facts: Any) -> int:
        """Write into the journal what was done."""
        return self.journal.append(
            act, self.actor, {key: _told(value) for key, value in facts.items() if value is not None}
        )

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Wait until nobody else changes who has the vault's key; others wait meanwhile. Raises
        CustodyProblem.
        """
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(turn_at(self.root))
            except BlockingIOError:
                what = "somebody else is changing the register; try again when that is done"
                raise CustodyProblem(what) from None
            except OSError as error:
                raise CustodyProblem(f"{self.root}: cannot be read: {error.strerror}") from None
            yield

    async def told(self) -> Told:
        """Return what the journal tells, which is signed: nobody who writes the index gives authority."""
        return await asyncio.to_thread(self.reading.told)

    def refuse(self, what: str, code: str, line: str, **facts: Any) -> NoReturn:
        """Refuse an act: journal it, and raise Refused."""
        self.note("refused", what=what, why=code, **facts)
        raise Refused(code, line)

    async def recording(self, what: str, name: str) -> Entry:
        """Return the recording of a name; refuse the act if it was erased, or is none."""
        entry = await self.index.entry(name)
        if entry is not None and not await self.index.rows("SELECT 1 FROM erasing WHERE id = ?", [entry.id]):
            return entry
        if entry is not None or await asyncio.to_thread(self._was_erased, name):
            gone = entry.id if entry is not None else name
            self.refuse(what, "erased", f"{gone}: was erased; nothing of it is left", recording=gone)
        # The name is not journalled: it may be a Call-ID, or a number that somebody tried.
        line = f"{name}: there is no such recording; `bystander calls` lists them"
        return self.refuse(what, "unknown", line)

    def _was_erased(self, name: str) -> bool:
        """Tell whether the journal has the erasure of a recording of that id."""
        return any(
            name in entry.facts.get("recordings", ())
            for entry in self.journal.entries("erase-plan", "erase-done")
        )

    async def refuse_restricted(self, what: str, recordings: list[str], **facts: Any) -> None:
        """Refuse the act if the processing of one of the recordings is restricted (R18)."""
        told = (await self.told()).restricted
        for name in recordings:
            rows = await self.index.rows("SELECT cause FROM restricted WHERE id = ?", [name])
            if not rows and name in told:
                rows = [("by the journal",)]
            if rows:
                self.refuse(
                    what,
                    "restricted",
                    f"{name}: its processing is restricted ({rows[0][0]}): it is kept, and neither "
                    "listened to nor handed over; see `bystander rights`",
                    recording=name,
                    **facts,
                )


def is_worded(text: str, *, line: bool = False) -> bool:
    """Tell whether a text says something: it has a letter or a digit, and nothing that tricks a reader. A
    ``line`` is one, and short.
    """
    try:
        worded(text, "it", line=line)
    except CustodyProblem:
        return False
    return True


def worded(text: str, what: str, *, line: bool = False) -> str:
    """Return a text without the space around it. Raises CustodyProblem if it says nothing, or hides
    something; if it is no ``line``, where it should be one; if it is too long to be read.
    """
    text = text.strip()
    most = _MOST_OF_LINE if line else _MOST
    if len(text) > most:
        raise CustodyProblem(f"{what} has {len(text)} characters; it may have {most}")
    if line and ("\n" in text or "\u2028" in text or "\u2029" in text):
        raise CustodyProblem(f"{what} has several lines; write it in one")
    if _HOSTILE.search(text):
        raise CustodyProblem(f"{what} holds control characters; write it as plain text")
    if not any(character.isalnum() for character in text):
        raise CustodyProblem(f"{what} is empty; say it in words")
    return text


def _told(value: Any) -> Any:
    """Return a fact as the journal can hold it: a path or an argument need not be valid text."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def day(text: str, what: str) -> str:
    """Return a date as it is kept, YYYY-MM-DD. Raises CustodyProblem."""
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise CustodyProblem(f"{what} {text!r}: not a date; write it as 2026-11-23") from None
