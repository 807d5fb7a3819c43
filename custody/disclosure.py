"""Disclosure (R15, annexes 3 and 4): a written request, the mayor's decision, and only then a copy to hand
over.

What is exported is exactly what was consented to. The request, the decision and the handing over stay in the
index, also of what was refused; who called whom is not written there, and is read from the recordings while
they exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bystander.custody.desk import MOST_NUMBER, CustodyProblem, Desk, day, worded
from bystander.custody.listening import refuse_unreasoned
from bystander.custody.persons import Unlock, proven
from bystander.custody.printing import RequestForm
from bystander.storage.digest import refresh
from bystander.storage.entry import time_ns
from bystander.storage.index import Index

DECISIONS: Final = ("consent", "refusal")
_COLUMNS: Final = (
    "number, applicant, applied_on, ground, case_no, purpose, requested_ns, requested_by, decision, "
    "decided_by, decided_on, decision_reason, decided_ns, exported_ns, exported_by, receiver, "
    "manifest_sha256"
)


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One request and what came of it. ``recordings`` are the ids it is for; dates are YYYY-MM-DD."""

    number: int
    applicant: str
    applied_on: str
    ground: str
    case: str
    purpose: str
    requested_ns: int
    requested_by: str
    decision: str | None
    decided_by: str | None
    decided_on: str | None
    decision_reason: str | None
    decided_ns: int | None
    exported_ns: int | None
    exported_by: int | None
    receiver: str | None
    manifest_sha256: str | None
    recordings: tuple[str, ...]

    @property
    def state(self) -> str:
        """Where it stands: requested, refused, consented or handed over."""
        if self.exported_ns is not None:
            return "handed over"
        return {None: "requested", "consent": "consented", "refusal": "refused"}[self.decision]


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody applies for, on paper."""

    applicant: str
    applied_on: str
    ground: str
    case: str
    purpose: str
    recordings: Sequence[str]


async def disclosures(index: Index, *, since_ns: int = 0, until_ns: int = 2**62) -> list[Disclosure]:
    """Return the requests of a period, oldest first."""
    rows = await index.rows(
        f"SELECT {_COLUMNS} FROM disclosures WHERE requested_ns >= ? AND requested_ns < ? ORDER BY number",
        [since_ns, until_ns],
    )
    return [await _of(index, row) for row in rows]


async def disclosure(index: Index, number: int) -> Disclosure:
    """Return one request. Raises CustodyProblem."""
    known = 0 < number <= MOST_NUMBER
    rows = await index.rows(f"SELECT {_COLUMNS} FROM disclosures WHERE number = ?", [number]) if known else []
    if not rows:
        raise CustodyProblem(f"{number}: no such request; `bystander disclose list` shows them")
    return await _of(index, rows[0])


async def request(desk: Desk, asked: Request) -> Disclosure:
    """Enter a written request (annex 3). Raises Refused, CustodyProblem."""
    refuse_unreasoned(desk, "disclose", asked.case, asked.purpose, asked.ground)
    applicant = worded(asked.applicant, "the applicant, whom the written request names (R15),", line=True)
    if not asked.recordings:
        raise CustodyProblem("there are no such recordings; `bystander calls` lists what there is")
    applied_on = day(asked.applied_on, "date of the request")
    if applied_on > desk.today.isoformat():
        raise CustodyProblem(f"date of the request {applied_on}: that day is yet to come")
    names = []
    for name in asked.recordings:
        entry = await desk.recording("disclose", name)
        if entry.wav_path is None:
            raise CustodyProblem(f"{entry.id}: this call has no audio that could be handed over")
        if entry.id not in names:
            names.append(entry.id)
    async with desk.index.transaction() as connection:
        cursor = await connection.execute(
            "INSERT INTO disclosures (applicant, applied_on, ground, case_no, purpose, requested_ns, "
            "requested_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                *(applicant, applied_on, asked.ground.strip(), asked.case.strip(), asked.purpose),
                *(desk.now_ns, desk.actor),
            ],
        )
        number = cursor.lastrowid
        assert number is not None
        await connection.execute(refresh("disclosures", "number = ?"), [number])
        await connection.executemany(
            "INSERT INTO disclosed (disclosure, id) VALUES (?, ?)", [(number, name) for name in names]
        )
        await connection.execute(refresh("disclosed", "disclosure = ?"), [number])
        case = asked.case.strip()
        desk.note(
            "disclosure-requested", disclosure=number, case=case, purpose=asked.purpose, recordings=names
        )
    return await disclosure(desk.index, number)


async def decide(
    desk: Desk,
    number: int,
    decision: str,
    by: str,
    on: str | None = None,
    reason: str | None = None,
    unlock: Sequence[Unlock] = (),
) -> Disclosure:
    """Enter the mayor's decision, once. Whoever gives a key proves who enters it: the journal has that, too.
    Raises Refused, CustodyProblem.
    """
    applied_on = (await disclosure(desk.index, number)).applied_on
    if decision not in DECISIONS:
        raise CustodyProblem(f"{decision!r}: no decision; it is {' or '.join(DECISIONS)}")
    by = worded(by, "the name of who decided (R15)", line=True)
    reason = worded(reason, "the reason") if reason is not None else None
    decided_on = day(on, "date of the decision") if on else desk.today.isoformat()
    if not applied_on <= decided_on <= desk.today.isoformat():
        raise CustodyProblem(
            f"date of the decision {decided_on}: it lies between that of the request, {applied_on}, and today"
        )
    who = await proven(desk, unlock, "disclose decide", disclosure=number)
    async with desk.index.transaction() as connection:
        # Within the transaction: two may decide at once, and the first decision stands.
        rows = await connection.execute_fetchall(
            "SELECT decision, decided_on FROM disclosures WHERE number = ? AND decision IS NOT NULL", [number]
        )
        for earlier, earlier_on in rows:
            raise CustodyProblem(f"request {number}: decided already ({earlier} on {earlier_on})")
        await connection.execute(
            "UPDATE disclosures SET decision = ?, decided_by = ?, decided_on = ?, decision_reason = ?, "
            "decided_ns = ? WHERE number = ?",
            [decision, by, decided_on, reason, desk.now_ns, number],
        )
        await connection.execute(refresh("disclosures", "number = ?"), [number])
        desk.note("disclosure-decided", disclosure=number, decision=decision, proven=who)
    return await disclosure(desk.index, number)


async def permitted(desk: Desk, number: int, only: Sequence[str] = ()) -> tuple[Disclosure, list[str]]:
    """Return a request that was consented to and which recordings of it to export: all, or ``only`` some.

    Raises Refused without consent, and for a recording that the consent does not name.
    """
    found = await disclosure(desk.index, number)
    facts = {"disclosure": number}
    told = await desk.told()
    if found.decision != "consent" or told.decisions.get(number) != "consent":
        state = "was refused" if found.decision == "refusal" else "has no decision yet"
        if found.decision == "consent":
            state = "has no consent by the journal (see `bystander verify`)"
        line = f"request {number} {state}; nothing is handed over without consent (R15)"
        desk.refuse("export", "no-consent", line, **facts)
    names = []
    for name in only or found.recordings:
        entry = await desk.recording("export", name)
        if entry.id not in found.recordings or entry.id not in told.requested.get(number, ()):
            line = f"{entry.id}: the consent to request {number} is not for this call (R15)"
            desk.refuse("export", "not-consented", line, recording=entry.id, **facts)
        names.append(entry.id)
    await desk.refuse_restricted("export", names, **facts)
    return found, names


async def note_export(
    desk: Desk, number: int, person: int, receiver: str, names: Sequence[str], manifest: str
) -> None:
    """Note that copies were made to be handed over."""
    async with desk.index.transaction() as connection:
        await connection.execute(
            "UPDATE disclosures SET exported_ns = ?, exported_by = ?, receiver = ?, manifest_sha256 = ? "
            "WHERE number = ?",
            [desk.now_ns, person, receiver, manifest, number],
        )
        await connection.execute(refresh("disclosures", "number = ?"), [number])
        facts = {"recordings": list(names), "manifest_sha256": manifest}
        desk.note("exported", disclosure=number, person=person, **facts)


async def form(desk: Desk, number: int) -> RequestForm:
    """Return a request as it is printed (annex 3). Of what was erased meanwhile only the day is known, by
    its id.
    """
    found = await disclosure(desk.index, number)
    calls = []
    for name in found.recordings:
        entry = await desk.index.entry(name)
        if entry is not None:
            began = desk.local(time_ns(entry.call["started_at"]))
            calls.append((f"{began:%Y-%m-%d}", outside_number(entry.call)))
        else:
            calls.append((f"{name[:4]}-{name[4:6]}-{name[6:8]}", ""))
    return RequestForm(
        number=found.number,
        applicant=found.applicant,
        on=found.applied_on,
        calls=tuple(calls),
        ground=found.ground,
        decision=found.decision or "",
        decided_by=found.decided_by or "",
        decided_on=found.decided_on or "",
        reason=found.decision_reason or "",
    )


def outside_number(call: dict[str, Any]) -> str:
    """Return the number that a call is known by on the forms: the one that is not the office's."""
    caller, callee = str(call.get("caller") or ""), str(call.get("callee") or "")
    return callee if call.get("direction") == "outgoing" else caller


async def _of(index: Index, row: tuple[Any, ...]) -> Disclosure:
    names = await index.rows("SELECT id FROM disclosed WHERE disclosure = ? ORDER BY id", [row[0]])
    return Disclosure(*(*row, tuple(name for (name,) in names)))
