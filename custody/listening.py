"""Listening (R2, R12, R13, R14): for a case, a purpose of the ordinance and a justification, by an
authorised person.

The entry in the journal and the protocol are on disk before the first sample leaves this room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aiosqlite

from bystander.custody import protocols
from bystander.custody.audio import Audio, open_audio
from bystander.custody.desk import PURPOSES, CustodyProblem, Desk, is_worded
from bystander.custody.persons import Person, Unlock, refuse_ended, together
from bystander.storage.digest import refresh
from bystander.storage.index import Entry


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody wants to hear, and why. ``unlock`` gives the keys of those who listen, one or two."""

    recording: str
    case: str
    purpose: str
    justification: str
    unlock: Sequence[Unlock]
    from_s: float = 0.0
    to_s: float | None = None
    two_persons: bool = False


@dataclass(frozen=True, slots=True)
class Hearing:
    """An act of listening under way; :func:`end` it when it is over."""

    protocol: int
    entry: Entry
    persons: tuple[Person, ...]
    audio: Audio
    from_s: float
    to_s: float


def refuse_unreasoned(
    desk: Desk, what: str, case: str, purpose: str, justification: str, **facts: object
) -> None:
    """Refuse an act without case, purpose and justification (R2, R12)."""
    if not is_worded(case, line=True):
        desk.refuse(what, "no-case", "no case: give --case, the number of the case it is for (R12)", **facts)
    if not purpose.strip():
        line = f"no purpose: give --purpose, one of {', '.join(PURPOSES)} (R2)"
        desk.refuse(what, "no-purpose", line, **facts)
    if purpose not in PURPOSES:
        line = f"{purpose!r}: not a purpose of the ordinance; it knows {', '.join(PURPOSES)} (R2)"
        desk.refuse(what, "wrong-purpose", line, **facts)
    if not is_worded(justification):
        line = "no justification: say with --justification why it is needed (R12)"
        desk.refuse(what, "no-justification", line, **facts)


async def begin(desk: Desk, ask: Ask) -> Hearing:
    """Open a recording to those who may hear it. Raises Refused, journalled, and CustodyProblem."""
    refuse_unreasoned(desk, "listen", ask.case, ask.purpose, ask.justification)
    entry = await desk.recording("listen", ask.recording)
    facts = {"recording": entry.id, "case": ask.case.strip()}
    await desk.refuse_restricted("listen", [entry.id], case=facts["case"])
    persons, vault = await together(desk, ask.unlock, "listen", two=ask.two_persons, **facts)
    for who in persons:
        if late := await protocols.overdue(desk, who):
            line = (
                f"{who.name}: protocol {late[0]} of an earlier listening is not finished; fill it first (R14)"
            )
            desk.refuse("listen", "unfinished-protocol", line, person=who.number, protocol=late[0], **facts)
    try:
        audio = open_audio(desk, entry, vault)
    except CustodyProblem as problem:
        desk.refuse("listen", "unreadable", str(problem), person=persons[0].number, **facts)
    to_s = audio.duration_s if ask.to_s is None else min(ask.to_s, audio.duration_s)
    if not 0 <= ask.from_s < to_s:
        raise CustodyProblem(
            f"{entry.id}: lasts {audio.duration_s:.1f} s; nothing lies from {ask.from_s:g} s to {to_s:g} s"
        )
    number = await _open_protocol(desk, ask, entry, persons, to_s)
    return Hearing(number, entry, tuple(persons), audio, ask.from_s, to_s)


def withdraw(desk: Desk, hearing: Hearing) -> None:
    """Refuse what was opened, and not heard yet, to those whose authorisation has ended since. Raises
    Refused.
    """
    facts = {"recording": hearing.entry.id, "protocol": hearing.protocol}
    refuse_ended(desk, hearing.persons, "listen", **facts)


async def end(desk: Desk, hearing: Hearing, heard_to_s: float, ended_ns: int) -> None:
    """Note up to which second somebody listened."""
    to_s = round(min(hearing.to_s, max(hearing.from_s, heard_to_s)), 3)
    async with desk.index.transaction() as connection:
        await connection.execute(
            "UPDATE protocols SET ended_ns = ?, to_s = ? WHERE number = ?", [ended_ns, to_s, hearing.protocol]
        )
        await connection.execute(refresh("protocols", "number = ?"), [hearing.protocol])
    desk.note(
        "listened",
        protocol=hearing.protocol,
        recording=hearing.entry.id,
        from_s=round(hearing.from_s, 3),
        to_s=to_s,
    )


async def _open_protocol(desk: Desk, ask: Ask, entry: Entry, persons: list[Person], to_s: float) -> int:
    """Open the protocol and journal the listening, both or neither, if nothing has changed meanwhile.

    Opening took its time; a day may have ended, a person been revoked, the recording restricted or erased.
    """
    refuse_ended(desk, persons, "listen", recording=entry.id, case=ask.case.strip())
    facts = {"recording": entry.id, "case": ask.case.strip()}
    async with desk.index.transaction() as connection:
        for who in persons:
            if not await _any(connection, "persons WHERE revoked_ns IS NULL AND number = ?", who.number):
                line = f"{who.name}: the authorisation {who.authorisation} is revoked"
                desk.refuse("listen", "revoked", line, person=who.number, **facts)
        if await _any(connection, "restricted WHERE id = ?", entry.id):
            line = f"{entry.id}: its processing has just been restricted"
            desk.refuse("listen", "restricted", line, **facts)
        erasing = await _any(connection, "erasing WHERE id = ?", entry.id)
        if erasing or not await _any(connection, "calls WHERE id = ?", entry.id):
            desk.refuse("listen", "erased", f"{entry.id}: has just been erased", **facts)
        cursor = await connection.execute(
            "INSERT INTO protocols (recording, case_no, purpose, justification, person, second_person, "
            "opened_ns, from_s, fields) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '{}')",
            [
                *(entry.id, facts["case"], ask.purpose, ask.justification.strip(), persons[0].number),
                *(persons[1].number if len(persons) > 1 else None, desk.now_ns, ask.from_s),
            ],
        )
        number = cursor.lastrowid
        assert number is not None
        await connection.execute(refresh("protocols", "number = ?"), [number])
        desk.note(
            "listen",
            protocol=number,
            persons=[who.number for who in persons],
            purpose=ask.purpose,
            from_s=round(ask.from_s, 3),
            to_s=round(to_s, 3),
            **facts,
        )
    return number


async def _any(connection: aiosqlite.Connection, condition: str, value: object) -> bool:
    return bool(list(await connection.execute_fetchall(f"SELECT 1 FROM {condition}", [value])))
