"""Which recordings a person means: by name, by query, in the index or still in progress."""

from __future__ import annotations

from dataclasses import dataclass

from bystander.config import Config
from bystander.errors import UserError
from bystander.inprogress import InProgress, calls_in_progress
from bystander.storage.entry import number_key
from bystander.storage.index import Index
from bystander.storage.query import Query


@dataclass(frozen=True, slots=True)
class Wanted:
    """Recordings by id, its beginning or SIP Call-ID, and those that a query finds."""

    names: tuple[str, ...]
    query: Query | None
    in_progress: bool = True


async def find(index: Index, config: Config, wanted: Wanted) -> list[tuple[str, str]]:
    """Return (id, SIP Call-ID) of what is wanted, each once. Raises UserError for a name unknown."""
    going = calls_in_progress(config) if wanted.in_progress else []
    found: dict[str, str] = {}
    for name in wanted.names:
        call = await index.call(name)
        if call is not None:
            found[call["id"]] = call["call_id"]
            continue
        fit = [one for one in going if name in (one.id, one.call_id)] or [
            one for one in going if one.id.startswith(name)
        ]
        if len(fit) != 1:
            why = "there is no such recording" if not fit else "several calls in progress fit"
            raise UserError(f"{name}: {why}; `bystander calls` lists them")
        found[fit[0].id] = fit[0].call_id
    if wanted.query is not None:
        found |= {call["id"]: call["call_id"] for call in await index.calls(wanted.query)}
        found |= {one.id: one.call_id for one in going if _fits(wanted.query, one)}
    return list(found.items())


def _fits(query: Query, call: InProgress) -> bool:
    """Tell whether a call in progress fits a query: it has no state and no verdict yet."""
    if query.state is not None or query.verdict is not None or query.case is not None:
        return False
    if query.since_ns is not None and call.started_ns < query.since_ns:
        return False
    if query.until_ns is not None and call.started_ns >= query.until_ns:
        return False
    if query.direction is not None and call.direction != query.direction:
        return False
    if query.number is None:
        return True
    key = number_key(query.number.removeprefix("*"))
    parties = (number_key(call.caller), number_key(call.callee))
    if query.number.startswith("*"):
        return any(party.startswith(key) for party in parties)
    return key in parties
