"""The desk at which acts of custody are done: what they touch, who acts, and how one is refused.

Whoever is refused is told in one line, and the journal has an entry of it: which act, why, of which
recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final, NoReturn

from bystander.custody.journal import Journal
from bystander.storage.index import Entry, Index
from bystander.storage.keyring import Keyring

#: For what recordings may be used, and nothing else (R2).
PURPOSES: Final = ("security", "quality", "data-protection")
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
    """All that an act of custody touches. ``zone`` is the office's (None: the machine's)."""

    index: Index
    keyring: Keyring
    journal: Journal
    root: Path
    zone: tzinfo | None
    actor: str
    now_ns: int
    rules: Rules = Rules()

    @property
    def today(self) -> date:
        """The day, as the office counts days."""
        return self.local(self.now_ns).date()

    def local(self, time_ns: int) -> datetime:
        """Return ns UTC as the office's time."""
        return (_EPOCH + timedelta(microseconds=time_ns // 1000)).astimezone(self.zone)

    def note(self, act: str, **facts: Any) -> int:
        """Write into the journal what was done."""
        return self.journal.append(
            act, self.actor, {key: value for key, value in facts.items() if value is not None}
        )

    def refuse(self, what: str, code: str, line: str, **facts: Any) -> NoReturn:
        """Refuse an act: journal it, and raise Refused."""
        self.note("refused", what=what, why=code, **facts)
        raise Refused(code, line)

    async def recording(self, what: str, name: str) -> Entry:
        """Return the recording of a name; refuse the act if it was erased, or is none."""
        entry = await self.index.entry(name)
        if entry is None:
            gone = (
                one.facts.get("recordings", ()) for one in self.journal.entries() if one.act == "erase-done"
            )
            if any(name in names for names in gone):
                self.refuse(what, "erased", f"{name}: was erased; nothing of it is left", recording=name)
            line = f"{name}: there is no such recording; `bystander calls` lists them"
            self.refuse(what, "unknown", line)
        return entry

    async def refuse_restricted(self, what: str, recordings: list[str], **facts: Any) -> None:
        """Refuse the act if the processing of one of the recordings is restricted (R18)."""
        for name in recordings:
            rows = await self.index.rows("SELECT cause FROM restricted WHERE id = ?", [name])
            if rows:
                self.refuse(
                    what,
                    "restricted",
                    f"{name}: its processing is restricted ({rows[0][0]}): it is kept, and neither "
                    "listened to nor handed over; see `bystander rights`",
                    recording=name,
                    **facts,
                )


def day(text: str, what: str) -> str:
    """Return a date as it is kept, YYYY-MM-DD. Raises CustodyProblem."""
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise CustodyProblem(f"{what} {text!r}: not a date; write it as 2026-11-23") from None
