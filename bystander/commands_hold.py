"""The commands `hold add`, `hold release` and `hold list` (R11)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bystander.acts import By, Reason, Recordings, journal_of, load, need_text, say, who, with_eraser
from bystander.commands_calls import Direction, State, Verdict
from bystander.commands_record import ConfigFile, Json
from bystander.errors import UserError
from bystander.lang import t
from bystander.output import console, plain, print_json

if TYPE_CHECKING:
    from bystander.retention.erasure import Eraser
    from bystander.retention.holds import Hold
    from bystander.storage.index import Index

hold = typer.Typer(name="hold", help="Keep recordings that are evidence beyond their term.")

_DAY_NS = 86_400 * 1_000_000_000
Case = Annotated[str, typer.Option(metavar="CASE", help="The number of the case.")]


def hold_add(
    recordings: Recordings = None,
    *,
    case: Case,
    reason: Reason,
    by: By = None,
    number: Annotated[str | None, typer.Option(metavar="NUMBER", help="All calls of this number.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="All calls since then.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="All calls before then.")] = None,
    state: Annotated[State | None, typer.Option(help="All calls that ended up so.")] = None,
    verdict: Annotated[Verdict | None, typer.Option(help="All calls with this verdict.")] = None,
    direction: Annotated[Direction | None, typer.Option(help="All calls of this direction.")] = None,
    only_these: Annotated[
        bool,
        typer.Option("--only-these", help="Not the calls they were transferred from or to, as well."),
    ] = False,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Hold recordings, or calls in progress, for a case.

    Those named, or all that a query finds.
    """
    from bystander.inprogress import calls_in_progress
    from bystander.moments import moment, to_ns
    from bystander.retention import holds
    from bystander.roomtoact import need_room
    from bystander.selection import Wanted, find, with_case
    from bystander.storage.query import Query

    settings = load(config)
    need_text(case=case, reason=reason)
    case = case.strip()
    queried = any(value is not None for value in (number, since, until, state, verdict, direction))
    if not recordings and not queried:
        raise UserError("nothing to hold; name recordings, or give --number, --since and the like")
    now, zone = datetime.now(UTC), settings.zone()
    query = Query(
        number=number,
        since_ns=to_ns(moment(since, zone, now)) if since else None,
        until_ns=to_ns(moment(until, zone, now, end=True)) if until else None,
        state=state.value if state else None,
        verdict=verdict.value if verdict else None,
        direction=direction.value if direction else None,
    )
    wanted = Wanted(tuple(recordings or ()), query if queried else None)

    async def work(eraser: Eraser) -> dict[str, Any]:
        going = calls_in_progress(settings)
        found = await find(eraser.index, going, wanted)
        if not found:
            raise UserError("no such calls; `bystander calls` lists them")
        others = [] if only_these else await with_case(eraser.index, going, found)
        found += others
        ids = [call.id for call in going]
        placed = await holds.add(eraser.index, found, case, reason, by or who(), time.time_ns(), ids)
        names = await holds.recordings_of(eraser.index, placed)
        journal_of(eraser, "hold", names, {"hold": placed, "case": case})
        more = [name for name, _ in others]
        return {"hold": placed, "case": case, "recordings": names, "of_the_same_case": more}

    need_room(settings)
    done = with_eraser(settings, work)
    also = done["of_the_same_case"]
    text = t(
        "hold {hold} for {case}: {number} {number:recording|recordings}",
        hold=done["hold"],
        case=plain(case),
        number=len(done["recordings"]),
    )
    if also:
        text += t(", {number} of them of the same case: {names}", number=len(also), names=", ".join(also))
    say(done, text, json=json)
    return 0


def hold_release(
    which: Annotated[str, typer.Argument(metavar="CASE|HOLD", help="The case, or the number of one hold.")],
    recordings: Recordings = None,
    *,
    reason: Reason,
    by: By = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Release what is held for a case, or only some recordings of it."""
    from bystander.inprogress import calls_in_progress
    from bystander.retention import holds
    from bystander.roomtoact import need_room
    from bystander.selection import Wanted, find

    settings = load(config)
    need_text(reason=reason)

    async def work(eraser: Eraser) -> list[dict[str, Any]]:
        names = None
        if recordings:
            wanted = Wanted(tuple(recordings), None)
            names = [name for name, _ in await find(eraser.index, calls_in_progress(settings), wanted)]
        now_ns = time.time_ns()
        if await _restricts(eraser.index, which.strip()):
            raise UserError(
                f"{which.strip()}: keeps what is restricted (R18); see `bystander rights unrestrict`"
            )
        released = await holds.release(eraser.index, which.strip(), reason, by or who(), now_ns, names)
        for number, case, freed in released:
            journal_of(eraser, "release", freed, {"hold": number, "case": case})
        return [{"hold": number, "case": case, "recordings": freed} for number, case, freed in released]

    need_room(settings)
    done = with_eraser(settings, work)
    freed = len({name for one in done for name in one["recordings"]})
    text = t(
        "{number} {number:recording|recordings} released; what is beyond its term goes at the next sweep",
        number=freed,
    )
    say(done, text, json=json)
    return 0


async def _restricts(index: Index, which: str) -> bool:
    """Tell whether a hold, by case or number, is that of a restriction: it ends with it, or the term would
    end what is to be kept.
    """
    rows = await index.rows(
        "SELECT 1 FROM restricted JOIN holds ON holds.number = restricted.hold "
        "WHERE case_no = ? OR (CAST(number AS TEXT) = ? AND NOT EXISTS "
        "(SELECT 1 FROM holds WHERE case_no = ? AND released_ns IS NULL)) LIMIT 1",
        [which, which, which],
    )
    return bool(rows)


def hold_list(
    everything: Annotated[bool, typer.Option("--all", help="Released holds, too.")] = False,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """List the holds: case, reason, recordings, age."""
    from bystander.moments import from_ns
    from bystander.retention import holds

    settings = load(config)
    now_ns = time.time_ns()

    async def work(eraser: Eraser) -> list[Hold]:
        return await holds.holds(eraser.index, everything=everything)

    found = with_eraser(settings, work, writes=False)
    if json:
        print_json([_described(one, now_ns) for one in found])
        return 0
    screen = console()
    for one in found:
        placed = f"{from_ns(one.placed_ns).astimezone(settings.zone()):%Y-%m-%d}"
        state = t("released")
        if one.released_ns is None:
            state = t("{active} of {number}", active=one.active, number=one.recordings)
        why = f" ({plain(one.release_reason)})" if one.release_reason else ""
        screen.print(
            f"{one.number:>4}  {plain(one.case):<20} {state:<12} "
            f"{t('since {day} ({days} days)', day=placed, days=_days(one, now_ns))}, "
            f"{plain(one.placed_by)}: {plain(one.reason)}{why}",
            soft_wrap=True,
        )
    if not found:
        screen.print(t("nothing is held"))
    return 0


def _days(found: Hold, now_ns: int) -> int:
    """Return for how many days something has been held, or was."""
    end_ns = now_ns if found.released_ns is None else found.released_ns
    return max(0, end_ns - found.placed_ns) // _DAY_NS


def _described(found: Hold, now_ns: int) -> dict[str, Any]:
    from bystander.retention.erasure import as_text

    return {
        "hold": found.number,
        "case": found.case,
        "reason": found.reason,
        "by": found.placed_by,
        "placed_at": as_text(found.placed_ns),
        "days": _days(found, now_ns),
        "released_at": None if found.released_ns is None else as_text(found.released_ns),
        "released_by": found.released_by,
        "release_reason": found.release_reason,
        "recordings": found.recordings,
        "active": found.active,
    }
