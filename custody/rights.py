"""The rights of the persons recorded (R18): restriction, objection, and a copy of what is kept about them.

Restricted is: kept, by a hold of its own, so that no term ends it meanwhile, and neither listened to nor
handed over. Erasing is the one function of `retention/erasure.py`; it refuses what is held, and so what is
restricted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bystander.custody.desk import CustodyProblem, Desk, worded
from bystander.retention import holds
from bystander.storage.digest import refresh
from bystander.storage.index import Index

#: What the hold of a restriction is called.
CASES: Final = {
    "restriction": "ograniczenie przetwarzania (art. 18 RODO)",
    "objection": "sprzeciw (art. 21 RODO)",
}


@dataclass(frozen=True, slots=True)
class Restriction:
    """A recording whose processing is restricted, since when (ns UTC) and why."""

    recording: str
    hold: int
    cause: str
    reason: str
    placed_ns: int


async def restrictions(index: Index) -> list[Restriction]:
    """Return what is restricted, by recording."""
    rows = await index.rows("SELECT id, hold, cause, reason, placed_ns FROM restricted ORDER BY id")
    return [Restriction(*row) for row in rows]


async def restrict(desk: Desk, recordings: Sequence[str], cause: str, reason: str) -> list[str]:
    """Restrict recordings, those that are not yet; return them. Raises CustodyProblem, HeldProblem."""
    reason = worded(reason, "the reason")
    known = {one.recording for one in await restrictions(desk.index)}
    fresh = [name for name in dict.fromkeys(recordings) if name not in known]
    if not fresh:
        return []
    pairs = []
    for name in fresh:
        entry = await desk.recording("restrict", name)
        pairs.append((entry.id, str(entry.call["call_id"])))
    # The hold first: cut short in between, it is kept too long and not too short.
    hold = await holds.add(desk.index, pairs, CASES[cause], reason, desk.actor, desk.now_ns)
    async with desk.index.transaction() as connection:
        await connection.executemany(
            "INSERT OR IGNORE INTO restricted (id, hold, cause, reason, placed_ns) VALUES (?, ?, ?, ?, ?)",
            [(name, hold, cause, reason, desk.now_ns) for name in fresh],
        )
        await connection.execute(refresh("restricted", "hold = ?"), [hold])
        desk.note(cause, hold=hold, count=len(fresh), recordings=fresh)
    return fresh


async def unrestrict(desk: Desk, recordings: Sequence[str], reason: str) -> list[str]:
    """Lift the restriction of recordings; return those that had one. What is beyond its term goes at the
    next sweep.
    """
    found = [one for one in await restrictions(desk.index) if one.recording in set(recordings)]
    if not found:
        raise CustodyProblem("none of them is restricted; nothing was changed")
    reason = worded(reason, "the reason")
    # The hold first: cut short in between, it can be done again.
    for cause in sorted({one.cause for one in found}):
        # Somebody may have released it by hand.
        freed = [
            one.recording
            for one in found
            if one.cause == cause and one.recording in await holds.recordings_of(desk.index, one.hold)
        ]
        if freed:
            await holds.release(desk.index, CASES[cause], reason, desk.actor, desk.now_ns, freed)
    names = [one.recording for one in found]
    async with desk.index.transaction() as connection:
        await connection.executemany("DELETE FROM restricted WHERE id = ?", [(name,) for name in names])
        desk.note("unrestricted", count=len(names), recordings=names)
    return names
