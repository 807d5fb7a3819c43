"""The supervisor's report (R16): how recording, listening, handing over and keeping went in a period.

It names persons of the register and recordings by id, and says nothing of who called whom.
"""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from bystander.custody import disclosure, persons, protocols
from bystander.custody.desk import Desk
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
    """Return the report on what began between two times, ns UTC. ``faults`` are what `verify` found.

    ``seed`` draws the spot checks again; without one a fresh seed is taken, and is in the report and the
    journal.
    """
    seed = secrets.randbits(32) if seed is None else seed
    until_seen = min(until_ns, desk.now_ns)
    gaps = await desk.index.coverage_gaps(since_ns, until_seen) if until_seen > since_ns else []
    register = await persons.register(desk.index)
    names = {one.number: one.name for one in register}
    every = await protocols.protocols(desk.index)
    heard = [one for one in every if since_ns <= one.opened_ns < until_ns]
    due = [one for one in await sweep.due(desk.index, desk.now_ns) if not one.held_by]
    erasures, refusals = _from_journal(desk, since_ns, until_ns)
    made = {
        "from": f"{desk.local(since_ns):%Y-%m-%d}",
        "to": f"{desk.local(until_ns - 1):%Y-%m-%d}",
        "made_at": as_text(desk.now_ns),
        "calls": await _calls(desk, since_ns, until_ns),
        "coverage": {
            "gaps": [
                {"from": as_text(gap.from_ns), "to": as_text(gap.to_ns), "cause": gap.cause,
                 "seconds": round((gap.to_ns - gap.from_ns) / _S, 3), "dropped": gap.dropped}
                for gap in gaps
            ],
            "missing_s": round(sum(gap.to_ns - gap.from_ns for gap in gaps) / _S, 3),
        },
        "announcements": await _announcements(desk, since_ns, until_ns),
        "spot_checks": {"seed": seed, "recordings": await _sample(desk, since_ns, until_ns, seed, sample)},
        "listenings": [
            {"protocol": one.number, "recording": one.recording, "purpose": one.purpose, "case": one.case,
             "person": ", ".join(names[who] for who in (one.person, one.second_person) if who in names),
             "at": as_text(one.opened_ns), "state": "open" if one.completed_ns is None else "complete"}
            for one in heard
        ],
        "open_protocols": sum(one.completed_ns is None for one in every),
        "disclosures": [
            {"disclosure": one.number, "applicant": one.applicant, "decision": one.decision,
             "state": one.state, "exported": one.exported_ns is not None, "calls": len(one.recordings)}
            for one in await disclosure.disclosures(desk.index, since_ns=since_ns, until_ns=until_ns)
        ],
        "holds": [
            {"hold": one.number, "case": one.case, "recordings": one.active,
             "days": max(0, desk.now_ns - one.placed_ns) // _DAY_NS}
            for one in await holds.holds(desk.index)
        ],
        "restricted": len(await restrictions(desk.index)),
        "erasures": erasures,
        "overdue": len(due),
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


async def _calls(desk: Desk, since_ns: int, until_ns: int) -> dict[str, Any]:
    rows = await desk.index.rows(
        "SELECT started_ns, direction, verdict, state FROM calls WHERE started_ns >= ? AND started_ns < ?",
        [since_ns, until_ns],
    )
    days = Counter(f"{desk.local(row[0]):%Y-%m-%d}" for row in rows)
    return {
        "total": len(rows),
        "by_direction": dict(sorted(Counter(row[1] for row in rows).items())),
        # A call that nobody answered has no verdict.
        "by_verdict": dict(sorted(Counter(row[2] or row[3] for row in rows).items())),
        "by_day": dict(sorted(days.items())),
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


def _from_journal(desk: Desk, since_ns: int, until_ns: int) -> tuple[dict[str, int], dict[str, int]]:
    """Count erased recordings by cause, and refusals by reason."""
    causes: dict[str, str] = {}
    erased = dict.fromkeys(("term", "request", "mend"), 0)
    refused: Counter[str] = Counter()
    first, last = as_text(since_ns), as_text(until_ns)
    for entry in desk.journal.entries():
        if entry.act == "erase-plan":
            causes[entry.facts.get("plan", "")] = entry.facts.get("cause", "")
        if not first <= entry.at < last:
            continue
        if entry.act == "erase-done":
            cause = causes.get(entry.facts.get("plan", ""), "")
            erased[cause] = erased.get(cause, 0) + int(entry.facts.get("count", 0))
        elif entry.act == "refused":
            refused[str(entry.facts.get("why", ""))] += 1
    return {cause: number for cause, number in erased.items() if cause}, dict(sorted(refused.items()))
