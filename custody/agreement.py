"""Do the tables of custody say what the journal says? Whoever can write the index can give a person back an
authorisation, or a request the mayor's consent; the journal is signed, and has it otherwise (R13-R15, R18).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self

from bystander.custody.journal import Entry
from bystander.storage.index import Index

#: The acts that tell something of that.
ACTS: Final = frozenset({
    "init", "person-added", "person-renewed", "person-revoked", "disclosure-requested", "disclosure-decided",
    "exported", "listen", "protocol-filled", "restriction", "objection", "unrestricted", "erase-plan",
})  # fmt: skip


@dataclass(slots=True)
class Told:
    """What the journal tells: of persons (role, valid until, revoked), requests and their recordings,
    decisions, handings over, listenings and what is complete of them, and what is restricted.
    """

    persons: dict[int, list[Any]] = field(default_factory=dict)
    requested: dict[int, set[str]] = field(default_factory=dict)
    decisions: dict[int, str] = field(default_factory=dict)
    exported: set[int] = field(default_factory=set)
    heard: dict[int, str] = field(default_factory=dict)
    complete: set[int] = field(default_factory=set)
    restricted: set[str] = field(default_factory=set)

    @classmethod
    def by(cls, entries: Iterable[Entry]) -> Self:
        """Follow the entries of a journal, oldest first."""
        told = cls()
        for entry in entries:
            # What is damaged the journal's own check tells.
            with suppress(KeyError, TypeError):
                told.take(entry.act, entry.facts)
        return told

    def take(self, act: str, facts: dict[str, Any]) -> None:
        """Follow one entry."""
        number = facts.get("person")
        match act:
            case "init" | "person-added":
                self.persons[facts["person"]] = [
                    facts.get("role", "listener"), facts.get("valid_until"), False,
                ]  # fmt: skip
            case "person-renewed" if number in self.persons:
                self.persons[number][1] = facts.get("valid_until")
            case "person-revoked" if number in self.persons:
                self.persons[number][2] = True
            case "disclosure-requested":
                self.requested[facts["disclosure"]] = set(facts["recordings"])
                self.decisions.pop(facts["disclosure"], None)
            case "disclosure-decided":
                self.decisions[facts["disclosure"]] = facts["decision"]
            case "exported":
                self.exported.add(facts["disclosure"])
            case "listen":
                self.heard[facts["protocol"]] = facts["recording"]
            case "protocol-filled" if facts["complete"]:
                self.complete.add(facts["protocol"])
            case "restriction" | "objection":
                self.restricted |= set(facts["recordings"])
            case "unrestricted" | "erase-plan":
                self.restricted -= set(facts["recordings"])


async def disagreements(index: Index, entries: Iterable[Entry]) -> list[str]:
    """Return where the index has it otherwise than the journal, a line each."""
    told = Told.by(entries)
    asked: dict[int, set[str]] = {}
    for number, name in await index.rows("SELECT disclosure, id FROM disclosed"):
        asked.setdefault(number, set()).add(name)
    return [
        *_persons(told, await index.rows("SELECT number, role, valid_until, revoked_ns FROM persons")),
        *_requests(told, asked),
        *_disclosures(told, await index.rows("SELECT number, decision, exported_ns FROM disclosures")),
        *_protocols(told, await index.rows("SELECT number, recording, completed_ns FROM protocols")),
        *_restricted(told, {row[0] for row in await index.rows("SELECT id FROM restricted")}),
    ]


def _persons(told: Told, rows: list[tuple[Any, ...]]) -> Iterator[str]:
    for number, role, until, revoked_ns in rows:
        said = told.persons.pop(number, None)
        if said is None:
            yield f"person {number} is in the register, and the journal knows of no such entry"
            continue
        was_role, was_until, was_revoked = said
        if role != was_role:
            yield f"person {number} is {role} in the register, {was_role} by the journal"
        if until != was_until:
            yield (
                f"person {number} is valid until {until or 'revoked'} in the register, "
                f"{was_until or 'revoked'} by the journal"
            )
        if revoked_ns is not None and not was_revoked:
            yield f"person {number} is revoked in the register, and not by the journal"
        if revoked_ns is None and was_revoked:
            yield f"person {number} is revoked by the journal, and not in the register"
    for number in told.persons:
        yield f"person {number} is missing in the register, and was entered by the journal"


def _requests(told: Told, asked: dict[int, set[str]]) -> Iterator[str]:
    for number in sorted(asked.keys() | told.requested.keys()):
        if asked.get(number) != told.requested.get(number):
            yield f"request {number}: index and journal disagree which recordings it is for"


def _disclosures(told: Told, rows: list[tuple[Any, ...]]) -> Iterator[str]:
    for number, decision, exported_ns in rows:
        if decision != (said := told.decisions.get(number)):
            yield f"request {number}: the decision is {decision} in the index, {said} by the journal"
        if (exported_ns is not None) != (number in told.exported):
            yield f"request {number}: index and journal disagree whether it was handed over"


def _protocols(told: Told, rows: list[tuple[Any, ...]]) -> Iterator[str]:
    for number, recording, completed_ns in rows:
        if told.heard.pop(number, None) != recording:
            yield f"protocol {number}: the journal has no such listening to {recording}"
        elif (completed_ns is not None) != (number in told.complete):
            yield f"protocol {number}: index and journal disagree whether it is complete"
    for number in told.heard:
        yield f"protocol {number} is missing, and was opened by the journal"


def _restricted(told: Told, rows: set[str]) -> Iterator[str]:
    for name in sorted(rows ^ told.restricted):
        if name in rows:
            yield f"{name}: is restricted in the index, and not by the journal"
        else:
            yield f"{name}: is not restricted in the index, and is by the journal"
