"""Questions put to the index, as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from bystander.storage.entry import ADDED, number_key


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for; None means any. Times are ns UTC, `since_ns <= start < until_ns`.

    `number` is compared with caller and callee, separators and case aside; a leading `*` stands for any
    beginning (`*5678`: numbers that end in 5678). `case` finds what is or was held for that case.
    """

    number: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    state: str | None = None
    verdict: str | None = None
    direction: str | None = None
    case: str | None = None
    limit: int | None = None


#: All calls.
EVERYTHING: Final = Query()


#: Calls that began between two times and are one of those named (a list of Call-IDs in JSON), or whose
#: relations name one of some others.
RELATED: Final = (
    f"SELECT {ADDED} FROM calls WHERE started_ns BETWEEN :since AND :until AND ("
    "call_id IN (SELECT value FROM json_each(:named)) "
    "OR EXISTS (SELECT 1 FROM json_each(call, '$.linked_call_ids') AS leg "
    "WHERE leg.value IN (SELECT value FROM json_each(:named))) "
    "OR EXISTS (SELECT 1 FROM json_each(call, '$.related') AS one "
    "WHERE one.value ->> '$.call_id' IN (SELECT value FROM json_each(:own)))) "
    "ORDER BY started_ns, number"
)


def search(query: Query) -> tuple[str, list[Any]]:
    """The statement for a query. Caller and callee are searched apart, each in the order of its own index:
    the office's main number may be the callee of half of all calls, and its newest fifty must not cost a
    sort of them all."""
    conditions: list[str] = []
    values: list[Any] = []
    for column, relation, value in (
        ("started_ns", ">=", query.since_ns),
        ("started_ns", "<", query.until_ns),
        ("state", "=", query.state),
        ("verdict", "=", query.verdict),
        ("direction", "=", query.direction),
    ):
        if value is not None:
            conditions.append(f"{column} {relation} ?")
            values.append(value)
    if query.case is not None:
        conditions.append(
            "id IN (SELECT held.id FROM holds JOIN held ON held.hold = holds.number WHERE case_no = ?)"
        )
        values.append(query.case)
    limit = -1 if query.limit is None else query.limit
    tail = " ORDER BY started_ns DESC, number DESC LIMIT ?"
    if query.number is None:
        where = " WHERE " + " AND ".join(conditions) if conditions else ""
        return f"SELECT {ADDED} FROM calls{where}{tail}", [*values, limit]
    key = number_key(query.number.removeprefix("*"))
    relation, keys = ("{0} = ?", [key])
    if query.number.startswith("*"):
        relation, keys = "{0} >= ? AND {0} < ?", [key, key + "\U0010ffff"]
    parts = " UNION ".join(
        "SELECT * FROM (SELECT number FROM calls WHERE "
        + " AND ".join([relation.format(column), *conditions])
        + tail
        + ")"
        for column in ("caller_key", "callee_key")
    )
    part = [*keys, *values, limit]
    return f"SELECT {ADDED} FROM calls WHERE number IN ({parts}){tail}", [*part, *part, limit]
