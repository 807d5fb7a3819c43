"""Protocols of listening, annex 2 of the ordinance (R14): each act of listening opens one, which must be
filled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bystander.custody.desk import MOST_NUMBER, CustodyProblem, Desk, day, worded
from bystander.custody.persons import Person, Unlock, proven
from bystander.custody.printing import ListeningForm
from bystander.custody.printing import Person as Signatory
from bystander.storage.digest import refresh
from bystander.storage.entry import time_ns
from bystander.storage.index import Index

#: What the form asks for, beside what is known already. The mayor's position comes later, and is not
# waited for.
REQUIRED: Final = ("parties", "location", "breach", "causes", "actions", "inquiry")
FIELDS: Final = (*REQUIRED, "position", "position_on")
_MAYORS: Final = {"position", "position_on"}
_COLUMNS: Final = (
    "number, recording, case_no, purpose, justification, person, second_person, opened_ns, ended_ns, "
    "from_s, to_s, fields, completed_ns"
)


@dataclass(frozen=True, slots=True)
class Protocol:
    """One protocol; ``fields`` are those of FIELDS that are filled. Times are ns UTC, of the audio in
    seconds.
    """

    number: int
    recording: str
    case: str
    purpose: str
    justification: str
    person: int
    second_person: int | None
    opened_ns: int
    ended_ns: int | None
    from_s: float
    to_s: float | None
    fields: dict[str, str]
    completed_ns: int | None

    @property
    def missing(self) -> list[str]:
        """The fields that must be filled and are not."""
        return [name for name in REQUIRED if not self.fields.get(name)]


async def protocols(
    index: Index, *, since_ns: int | None = None, until_ns: int | None = None
) -> list[Protocol]:
    """Return the protocols opened in a period, oldest first."""
    rows = await index.rows(
        f"SELECT {_COLUMNS} FROM protocols WHERE opened_ns >= ? AND opened_ns < ? ORDER BY number",
        [since_ns or 0, until_ns if until_ns is not None else 2**62],
    )
    return [_of(row) for row in rows]


async def protocol(index: Index, number: int) -> Protocol:
    """Return one protocol. Raises CustodyProblem."""
    known = 0 < number <= MOST_NUMBER
    rows = await index.rows(f"SELECT {_COLUMNS} FROM protocols WHERE number = ?", [number]) if known else []
    if not rows:
        raise CustodyProblem(f"{number}: no such protocol; `bystander protocol list` shows them")
    return _of(rows[0])


async def overdue(desk: Desk, who: Person) -> list[int]:
    """Return the protocols that a person should have finished by now, also under an earlier entry of the
    same key in the register.
    """
    due_ns = desk.now_ns - int(desk.rules.protocol_days * 86_400) * 1_000_000_000
    rows = await desk.index.rows(
        "WITH same AS (SELECT number FROM persons WHERE number = ? OR recipient = ?) "
        "SELECT number FROM protocols WHERE (person IN same OR second_person IN same) "
        "AND completed_ns IS NULL AND opened_ns <= ? ORDER BY number",
        [who.number, who.recipient, due_ns],
    )
    return [row[0] for row in rows]


async def fill(desk: Desk, number: int, said: Mapping[str, str], unlock: Sequence[Unlock] = ()) -> Protocol:
    """Fill fields of a protocol; it is complete when none is missing any more. Raises CustodyProblem.

    A complete protocol takes nothing more but the mayor's position, and its date (else today's): what was
    signed does not change. Whoever gives a key proves who fills it: the journal has that, too. Raises
    Refused.
    """
    await protocol(desk.index, number)
    who = await proven(desk, unlock, "protocol fill", protocol=number)
    if strange := [name for name in said if name not in FIELDS]:
        raise CustodyProblem(f"{strange[0]!r}: the form has no such field; it has {', '.join(FIELDS)}")
    said = {name: worded(value, name) for name, value in said.items()}
    if "position_on" in said:
        said["position_on"] = day(said["position_on"], "date of the position")
    elif "position" in said:
        said["position_on"] = desk.today.isoformat()
    async with desk.index.transaction() as connection:
        # Read within the transaction: two may fill it at once.
        ((text, opened_ns, completed_ns),) = await connection.execute_fetchall(
            "SELECT fields, opened_ns, completed_ns FROM protocols WHERE number = ?", [number]
        )
        listened_on = desk.local(opened_ns).date().isoformat()
        if said.get("position_on", listened_on) < listened_on:
            line = f"date of the position {said['position_on']}: the listening was on {listened_on}"
            raise CustodyProblem(line)
        fields = json.loads(text) | said
        missing = [name for name in REQUIRED if not fields.get(name)]
        if not said:
            raise CustodyProblem(f"nothing to fill; missing: {', '.join(missing) or 'nothing'}")
        if completed_ns is not None and set(said) - _MAYORS:
            raise CustodyProblem(f"protocol {number} is complete; only the position can still be added")
        await connection.execute(
            "UPDATE protocols SET fields = ?, completed_ns = coalesce(completed_ns, ?) WHERE number = ?",
            [json.dumps(fields, ensure_ascii=False), None if missing else desk.now_ns, number],
        )
        await connection.execute(refresh("protocols", "number = ?"), [number])
        desk.note("protocol-filled", protocol=number, fields=sorted(said), complete=not missing, proven=who)
    return await protocol(desk.index, number)


async def form(desk: Desk, number: int) -> ListeningForm:
    """Return a protocol as it is printed. Of a recording that was erased the form says no more than the
    protocol.
    """
    found = await protocol(desk.index, number)
    persons = []
    for one in (found.person, found.second_person):
        if one is not None:
            rows = await desk.index.rows("SELECT name, post FROM persons WHERE number = ?", [one])
            persons += [Signatory(*row) for row in rows]
    entry = await desk.index.entry(found.recording)
    began = desk.local(time_ns(entry.call["started_at"])) if entry is not None else None
    return ListeningForm(
        number=found.number,
        on=f"{desk.local(found.opened_ns):%Y-%m-%d}",
        persons=tuple(persons),
        call_date=f"{began:%Y-%m-%d}" if began else "",
        call_time=f"{began:%H:%M:%S}" if began else "",
        **{name: found.fields.get(name, "") for name in FIELDS},
        completed_on=f"{desk.local(found.completed_ns):%Y-%m-%d}" if found.completed_ns is not None else "",
        case=found.case,
        purpose=found.purpose,
        justification=found.justification,
    )


def _of(row: tuple[Any, ...]) -> Protocol:
    *begin, fields, completed_ns = row
    return Protocol(*(*begin, json.loads(fields), completed_ns))
