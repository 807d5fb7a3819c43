"""Which recordings a person means: by name, by query, in the index or still in progress."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bystander.cases import named_by, of_case
from bystander.errors import UserError
from bystander.inprogress import InProgress
from bystander.storage.entry import number_key
from bystander.storage.index import Index
from bystander.storage.query import Query


@dataclass(frozen=True, slots=True)
class Wanted:
    """Recordings by id, its beginning or SIP Call-ID, and those that a query finds."""

    names: tuple[str, ...]
    query: Query | None
    in_progress: bool = True


async def find(index: Index, going: Sequence[InProgress], wanted: Wanted) -> list[tuple[str, str]]:
    """Return (id, SIP Call-ID) of what is wanted, each once. ``going`` are the calls in progress.

    Raises UserError for a name that nothing has, or that several have, and for a call in progress where none
    is wanted.
    """
    found: dict[str, str] = {}
    for name in wanted.names:
        call = await index.call(name)
        known = {} if call is None else {call["id"]: call["call_id"]}
        known |= {one.id: one.call_id for one in _of_name(name, going, known)}
        if not known:
            raise UserError(f"{name}: there is no such recording; `bystander calls` lists them")
        if call is None and not wanted.in_progress:
            raise UserError(f"{name}: still in progress; that can be done when the call is over")
        found |= known if wanted.in_progress or call is None else {call["id"]: call["call_id"]}
    if wanted.query is not None:
        found |= {call["id"]: call["call_id"] for call in await index.calls(wanted.query)}
        if wanted.in_progress:
            found |= {one.id: one.call_id for one in going if _fits(wanted.query, one)}
    return list(found.items())


async def with_case(
    index: Index, going: Sequence[InProgress], found: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return (id, SIP Call-ID) of the other calls of the same cases: transferred, taken over (C8)."""
    names = dict(found)
    over = await of_case(index, names)
    more = {call["id"]: call["call_id"] for call in over}
    known = {*names.values(), *more.values()}
    over += [call for name in names if (call := await index.call(name)) is not None]
    named = {name for call in over for name in named_by(call)}
    while fresh := [
        one for one in going if one.id not in names | more and _touches(one, known, named, going)
    ]:
        more |= {one.id: one.call_id for one in fresh}
        known |= {one.call_id for one in fresh}
    return [(name, call_id) for name, call_id in more.items() if name not in names]


def _touches(
    call: InProgress, known: Collection[str], named: Collection[str], going: Sequence[InProgress]
) -> bool:
    """Tell whether a call in progress is of the case: named by one of it, or naming one."""
    if call.call_id in named or any(name in known for name in call.related):
        return True
    return any(call.call_id in one.related for one in going if one.call_id in known)


def _of_name(name: str, going: Sequence[InProgress], known: Collection[str]) -> list[InProgress]:
    """Return the calls in progress of that id, of the only id that begins so, or of that Call-ID.

    ``known`` are the recordings that have the name; a name that more than one thing has is none.
    """
    exact = [one for one in going if name in (one.id, one.call_id)]
    if exact or name in known:
        return exact
    begin = [one for one in going if one.id.startswith(name) and one.id not in known]
    by_id = [one for one in known if one.startswith(name)]
    if len(begin) + len(by_id) > 1:
        fit = ", ".join([*by_id, *(one.id for one in begin)][:3])
        raise UserError(f"{name}: several calls fit ({fit}, in progress); give more of the id")
    return begin


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
