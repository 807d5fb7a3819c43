"""Calls of one case: transferred, picked up, taken over (C8). What leads from one to the others, both ways.

A call is written when it is over, and the others may be over before or after it, so that each names only what
was known by then. Here what one says of another counts for both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from bystander.sniffer.transfers import INVERSE
from bystander.storage.entry import time_ns

if TYPE_CHECKING:
    # `extract` knows no index, and is not to wait for the loading of one.
    from bystander.storage.index import Index

#: Recordings of one case that are looked for; the calls of a case begin within a day of one another.
MAX_OF_CASE: Final = 64
#: Of more recordings than these, those that say nothing of others are taken at their word: each look is at
#: all calls of two days.
_LOOKED_AT: Final = 16


def close_both_ways(calls: Sequence[dict[str, Any]]) -> None:
    """Complete, in place, what call objects say of one another: a relation is noted on both of its calls.

    What a call knew of a transfer when it ended is replaced by what the last of them knew.
    """
    by_id = {name: call for call in calls for name in call_ids(call)}
    latest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for call in calls:
        for one in list(call["related"]):
            partner = by_id.get(one["call_id"])
            if partner is None or partner is call:
                continue
            one["call_id"] = partner["call_id"]
            back = {"call_id": call["call_id"], "relation": INVERSE[one["relation"]]}
            if all(by_id.get(known["call_id"]) is not call for known in partner["related"]):
                partner["related"].append(back)
        for told in call["transfers"]:
            known = latest.setdefault(_key(told), told)
            if _knowledge(told) > _knowledge(known):
                latest[_key(told)] = told
    for call in calls:
        if call["transfers"]:
            call["transfers"] = [dict(latest[_key(told)]) for told in call["transfers"]]


def _key(told: dict[str, Any]) -> tuple[Any, ...]:
    return told["at"], told["of"], told["consulted"], told["to"]


def _knowledge(told: dict[str, Any]) -> tuple[bool, int]:
    return told["into"] is not None, told["status"] or 0


def call_ids(call: dict[str, Any]) -> list[str]:
    """Return the Call-IDs of all legs of a call."""
    return [call["call_id"], *call.get("linked_call_ids", ())]


def named_by(call: dict[str, Any]) -> list[str]:
    """Return the Call-IDs of the calls that a call says it is related to."""
    return [one["call_id"] for one in call.get("related", ())]


def tells_of_others(call: dict[str, Any]) -> bool:
    """Tell whether a call says that it belongs to a case with others, known or not when it ended."""
    return bool(call.get("related") or call.get("transfers"))


async def of_case(index: Index, ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return the calls in the index that belong to the same cases as some recordings, without these.

    Each comes with ``why``: what the call that led to it is to it. The oldest first, at most MAX_OF_CASE.
    """
    known = dict.fromkeys(ids)
    begun = [call for name in known if (call := await index.call(name)) is not None]
    todo = deque(call for call in begun if len(begun) <= _LOOKED_AT or tells_of_others(call))
    found: dict[str, dict[str, Any]] = {}
    while todo and len(found) < MAX_OF_CASE:
        call = todo.popleft()
        partners = await index.related(time_ns(call["started_at"]), call_ids(call), named_by(call))
        for partner, why in related_among(call, partners):
            if partner["id"] not in known and partner["id"] not in found:
                found[partner["id"]] = partner | {"why": why}
                todo.append(partner)
    return sorted(found.values(), key=lambda call: str(call["started_at"]))[:MAX_OF_CASE]


def related_among(
    call: dict[str, Any], candidates: Iterable[dict[str, Any]]
) -> list[tuple[dict[str, Any], str]]:
    """Return which calls are related to a call, by what either says, and what the call is to each."""
    own = set(call_ids(call))
    said = {one["call_id"]: one["relation"] for one in call.get("related", ())}
    found = []
    for partner in candidates:
        told = [one["relation"] for one in partner.get("related", ()) if one["call_id"] in own]
        theirs = [INVERSE.get(relation, "") for relation in told]
        ours = [said[name] for name in call_ids(partner) if name in said]
        if (theirs or ours) and not own.intersection(call_ids(partner)):
            found.append((partner, str([*ours, *theirs][0])))
    return found


async def case_of(index: Index, call: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the other calls of a call's case, as `show` lists them: what this call is to each.

    Those that only a further call leads to have that one's relation. What has no row has only its Call-ID.
    """
    found = await of_case(index, [call["id"]])
    listed = [
        {"id": one["id"], "call_id": one["call_id"], "relation": one["why"]}
        | {name: one[name] for name in ("caller", "callee", "started_at")}
        for one in found
    ]
    known = {name for one in found for name in call_ids(one)}
    return listed + [dict(one) for one in call.get("related", ()) if one["call_id"] not in known]
