"""The supervisor's report (R16): how recording, listening, handing over and keeping went in a period.

It names persons of the register and recordings by id, and says nothing of who called whom.
"""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bystander.custody import disclosure, persons, protocols
from bystander.custody.desk import Desk
from bystander.custody.disclosure import Disclosure
from bystander.custody.protocols import Protocol
from bystander.custody.rights import restrictions
from bystander.retention import holds, sweep
from bystander.retention.erasure import as_text

_S: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * _S
#: Outgoing calls drawn for spot checks (R4).
SAMPLE: Final = 5
_UNTOLD: Final = ("recipient", "added_ns", "revoked_ns")


async def report(
    desk: Desk,
    since_ns: int,
    until_ns: int,
    faults: Sequence[str],
    *,
    seed: int | None = None,
    sample: int = SAMPLE,
) -> dict[str, Any]:
    """Return the report on what happened between two times, ns UTC. ``faults`` are what `verify` found.

    Holds, persons, overdue items and faults are those of now. ``seed`` draws the spot checks again; without
    one a fresh seed is taken, and is in the report and the journal.
    """
    seed = secrets.randbits(32) if seed is None else seed
    until_seen = max(since_ns, min(until_ns, desk.now_ns))
    register = await persons.register(desk.index)
    names = {one.number: one.name for one in register}
    every = await protocols.protocols(desk.index)
    erasures, refusals, gone = _from_journal(desk, since_ns, until_ns)
    made = {
        "from": f"{desk.local(since_ns):%Y-%m-%d}",
        "to": f"{desk.local(until_ns - 1):%Y-%m-%d}",
        "made_at": as_text(desk.now_ns),
        "calls": await _calls(desk, since_ns, until_seen) | {"erased_since": gone},
        "coverage": await _coverage(desk, since_ns, until_seen),
        "announcements": await _announcements(desk, since_ns, until_ns),
        "spot_checks": {"seed": seed, "recordings": await _sample(desk, since_ns, until_ns, seed, sample)},
        "listenings": [
            {"protocol": one.number, "recording": one.recording, "purpose": one.purpose, "case": one.case,
             "person": ", ".join(names[who] for who in (one.person, one.second_person) if who in names),
             "at": as_text(one.opened_ns), "from_s": one.from_s, "to_s": one.to_s,
             "state": "open" if one.completed_ns is None else "complete"}
            for one in every if since_ns <= one.opened_ns < until_ns
        ],
        "open_protocols": sum(one.completed_ns is None for one in every),
        "disclosures": [
            {"disclosure": one.number, "applicant": one.applicant, "applied_on": one.applied_on,
             "decision": one.decision, "state": one.state, "exported": one.exported_ns is not None,
             "calls": len(one.recordings)}
            for one in await disclosure.disclosures(desk.index)
            if _touches(one, since_ns, until_ns)
        ],
        "copies": _copies(desk, names, since_ns, until_ns),
        "holds": [
            {"hold": one.number, "case": one.case, "recordings": one.active,
             "days": max(0, desk.now_ns - one.placed_ns) // _DAY_NS}
            for one in await holds.holds(desk.index)
        ],
        "restricted": len(await restrictions(desk.index)),
        "erasures": erasures,
        "overdue": await _overdue(desk, every),
        "refusals": refusals,
        "persons": [
            {key: value for key, value in asdict(one).items() if key not in _UNTOLD}
            | {"state": one.state(desk.today)}
            for one in register
        ],
        "verify": {"faults": list(faults)},
    }  # fmt: skip
    desk.note("supervised", since=made["from"], until=made["to"], seed=seed)
    return made


def _copies(desk: Desk, names: Mapping[int, str], since_ns: int, until_ns: int) -> list[dict[str, Any]]:
    """Return each time that recordings left the vault as copies: on a request, or for the person recorded.

    A request may be exported more than once, and a copy to a person needs no protocol: all are told here.
    """
    first, last = as_text(since_ns), as_text(until_ns)
    return [
        {
            "at": entry.at,
            "person": ", ".join(names[who] for who in entry.facts.get("persons", ()) if who in names),
            "disclosure": entry.facts.get("disclosure"),
            "case": entry.facts.get("case"),
            "recordings": len(entry.facts.get("recordings", ())),
        }
        for entry in desk.journal.entries("export", "rights-copy")
        if first <= entry.at < last
    ]


def _touches(one: Disclosure, since_ns: int, until_ns: int) -> bool:
    """Tell whether a request was made, decided or carried out in a period, or waits for its decision."""
    times = (one.requested_ns, one.decided_ns, one.exported_ns)
    waits = one.decision is None and one.requested_ns < until_ns
    return waits or any(at is not None and since_ns <= at < until_ns for at in times)


async def _overdue(desk: Desk, every: Sequence[Protocol]) -> dict[str, Any]:
    """Return what should have been done by now: recordings erased, protocols finished."""
    late = [one for one in await sweep.due(desk.index, desk.now_ns) if not one.held_by]
    finished_by_ns = desk.now_ns - int(desk.rules.protocol_days * _DAY_NS)
    return {
        "recordings": len(late),
        "protocols": [
            one.number for one in every if one.completed_ns is None and one.opened_ns <= finished_by_ns
        ],
    }


async def _coverage(desk: Desk, since_ns: int, until_ns: int) -> dict[str, Any]:
    """Return when there was no recording, and why (R5)."""
    gaps = await desk.index.coverage_gaps(since_ns, until_ns) if until_ns > since_ns else []
    by_cause: Counter[str] = Counter()
    for gap in gaps:
        by_cause[gap.cause] += gap.to_ns - gap.from_ns
    missing_ns, period_ns = sum(by_cause.values()), until_ns - since_ns
    return {
        "gaps": [
            {"from": as_text(gap.from_ns), "to": as_text(gap.to_ns), "cause": gap.cause,
             "seconds": round((gap.to_ns - gap.from_ns) / _S, 3), "dropped": gap.dropped}
            for gap in gaps
        ],
        "by_cause": {cause: round(ns / _S, 3) for cause, ns in sorted(by_cause.items())},
        "period_s": round(period_ns / _S, 3),
        "missing_s": round(missing_ns / _S, 3),
        "share": round(1 - missing_ns / period_ns, 6) if period_ns else None,
    }  # fmt: skip


async def _calls(desk: Desk, since_ns: int, until_ns: int) -> dict[str, Any]:
    rows = await desk.index.rows(
        "SELECT started_ns, direction, verdict, state FROM calls WHERE started_ns >= ? AND started_ns < ?",
        [since_ns, until_ns],
    )
    first, last = desk.local(since_ns).date(), desk.local(max(since_ns, until_ns - 1)).date()
    # Days without calls are days, too.
    days = {f"{first + timedelta(days=n)}": 0 for n in range((last - first).days + 1)}
    days |= Counter(f"{desk.local(row[0]):%Y-%m-%d}" for row in rows)
    return {
        "total": len(rows),
        "by_direction": dict(sorted(Counter(row[1] for row in rows).items())),
        # A call that nobody answered has no verdict.
        "by_verdict": dict(sorted(Counter(row[2] or row[3] for row in rows).items())),
        "by_day": dict(sorted(days.items())) if until_ns > since_ns else {},
    }


async def _announcements(desk: Desk, since_ns: int, until_ns: int) -> dict[str, Any]:
    """Count incoming calls by whether the announcement was heard (R3)."""
    rows = await desk.index.rows(
        "SELECT id, call ->> '$.announcement.state' FROM calls WHERE direction = 'incoming' "
        "AND state = 'answered' AND started_ns >= ? AND started_ns < ? ORDER BY id",
        [since_ns, until_ns],
    )
    counted = Counter(state or "unchecked" for _, state in rows)
    return {
        **{state: counted[state] for state in ("heard", "missing", "cut", "unchecked")},
        "without": [name for name, state in rows if state in ("missing", "cut")],
    }


async def _sample(desk: Desk, since_ns: int, until_ns: int, seed: int, size: int) -> list[str]:
    """Draw outgoing calls that can be listened to: the same seed draws the same ones of the same calls
    (R4).
    """
    rows = await desk.index.rows(
        "SELECT id FROM calls WHERE direction = 'outgoing' AND wav_path IS NOT NULL AND started_ns >= ? "
        "AND started_ns < ? ORDER BY id",
        [since_ns, until_ns],
    )
    names = [row[0] for row in rows]
    return sorted(random.Random(seed).sample(names, min(size, len(names))))


def _from_journal(desk: Desk, since_ns: int, until_ns: int) -> tuple[dict[str, int], dict[str, int], int]:
    """Count erased recordings by cause, refusals by reason, and the recordings made in the period that are
    erased since: no figure of this report has them any more.
    """
    causes: dict[str, str] = {}
    erased = dict.fromkeys(("term", "request", "mend"), 0)
    refused: Counter[str] = Counter()
    gone = 0
    first, last = as_text(since_ns), as_text(until_ns)
    # Ids begin with the second, in UTC, in which the call began.
    begin, end = (f"{datetime.fromtimestamp(at // _S, UTC):%Y%m%d-%H%M%S}" for at in (since_ns, until_ns))
    for entry in desk.journal.entries("erase-plan", "erase-done", "refused"):
        if entry.act == "erase-plan":
            causes[entry.facts.get("plan", "")] = entry.facts.get("cause", "")
        elif entry.act == "erase-done":
            gone += sum(begin <= str(name)[:15] < end for name in entry.facts.get("recordings", ()))
        if not first <= entry.at < last:
            continue
        if entry.act == "erase-done":
            cause = causes.get(entry.facts.get("plan", ""), "")
            erased[cause] = erased.get(cause, 0) + int(entry.facts.get("count", 0))
        elif entry.act == "refused":
            refused[str(entry.facts.get("why", ""))] += 1
    return {cause: number for cause, number in erased.items() if cause}, dict(sorted(refused.items())), gone
