"""What the rows of other calls say of calls that are erased: transferred from one, replaced by another (C8).

A call's Call-ID and the parties of a transfer stand in the rows of all calls of its case. Metadata is
destroyed with a recording (R10), so these rows are rewritten, within the transaction that deletes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import aiosqlite

from bystander.storage.digest import refresh

#: Calls of one case begin within a day of one another.
_DAY_NS: Final = 86_400_000_000_000
_GOING = "SELECT call, started_ns FROM calls JOIN erasing ON erasing.id = calls.id WHERE plan = ?"
_OTHERS = (
    "SELECT id, call FROM calls WHERE started_ns BETWEEN ? AND ? AND id NOT IN (SELECT id FROM erasing) "
    "AND (json_array_length(call, '$.related') > 0 OR json_array_length(call, '$.transfers') > 0)"
)


async def forget_references(connection: aiosqlite.Connection, plan: str) -> int:
    """Take what they say of the recordings of a plan out of other rows; return how many were rewritten."""
    going = list(await connection.execute_fetchall(_GOING, [plan]))
    if not going:
        return 0
    names = {name for text, _ in going for name in _call_ids(json.loads(text))}
    starts = [row[1] for row in going]
    around = [min(starts) - _DAY_NS, max(starts) + _DAY_NS]
    rewritten = 0
    for recording, text in await connection.execute_fetchall(_OTHERS, around):
        call = json.loads(text)
        if forget_in(call, names):
            changed = json.dumps(call, ensure_ascii=False, separators=(",", ":"))
            await connection.execute("UPDATE calls SET call = ? WHERE id = ?", [changed, recording])
            await connection.execute(refresh("calls", "id = ?"), [recording])
            rewritten += 1
    return rewritten


def forget_in(call: dict[str, Any], names: Iterable[str]) -> bool:
    """Take out of a call object, in place, what it says of the calls of some Call-IDs; tell if it did."""
    gone = set(names)
    related = [one for one in call.get("related", ()) if one["call_id"] not in gone]
    transfers = [
        told
        for told in call.get("transfers", ())
        if gone.isdisjoint((told["of"], told["consulted"], told["into"]))
    ]
    changed = len(related) < len(call.get("related", ())) or len(transfers) < len(call.get("transfers", ()))
    if changed:
        call["related"], call["transfers"] = related, transfers
    return changed


def _call_ids(call: dict[str, Any]) -> list[str]:
    return [call["call_id"], *call.get("linked_call_ids", ())]
