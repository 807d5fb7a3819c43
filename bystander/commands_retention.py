"""The commands about how long recordings are kept: `hold`, `retention`, `erase`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bystander.commands_calls import Direction, State, Verdict
from bystander.commands_record import ConfigFile, Json
from bystander.errors import UserError
from bystander.output import console, plain, print_json, warn

if TYPE_CHECKING:
    from bystander.config import Config
    from bystander.retention.erasure import Eraser
    from bystander.vault import OpenVault

_T = TypeVar("_T")
hold = typer.Typer(name="hold", help="Keep recordings that are evidence, whatever their term.")
retention = typer.Typer(name="retention", help="What is beyond its term, and erasing it.")

Recordings = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RECORDING...]", help="Ids, their beginnings, or SIP Call-IDs."),
]
Case = Annotated[str, typer.Option(metavar="CASE", help="The number of the case.")]
Reason = Annotated[str, typer.Option(metavar="REASON", help="Why; it is written down.")]
By = Annotated[str | None, typer.Option(metavar="WHO", help="On whose order; else who runs this.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


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
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Hold recordings for a case: those named, or all that a query finds; calls in progress, too."""
    from bystander.holding import Wanted, find
    from bystander.moments import moment, to_ns
    from bystander.retention import holds
    from bystander.storage.query import Query

    settings = _load(config)
    _need_text(case=case, reason=reason)
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
        found = await find(eraser.index, settings, wanted)
        if not found:
            raise UserError("no such calls; `bystander calls` lists them")
        who = by or _actor()
        placed = await holds.add(eraser.index, found, case, reason, who, time.time_ns())
        names = [name for name, _ in found]
        facts = {"hold": placed, "case": case, "count": len(names), "recordings": names}
        eraser.record.append("hold", _actor(), facts)
        return {"hold": placed, "case": case, "recordings": names}

    done = _with_eraser(settings, work)
    _say(done, f"hold {done['hold']} for {case}: {_count(len(done['recordings']))}", json=json)
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
    from bystander.holding import Wanted, find
    from bystander.retention import holds

    settings = _load(config)
    _need_text(reason=reason)

    async def work(eraser: Eraser) -> list[dict[str, Any]]:
        names = None
        if recordings:
            names = [name for name, _ in await find(eraser.index, settings, Wanted(tuple(recordings), None))]
        now_ns = time.time_ns()
        released = await holds.release(eraser.index, which, reason, by or _actor(), now_ns, names)
        for number, case, freed in released:
            facts = {"hold": number, "case": case, "count": len(freed), "recordings": freed}
            eraser.record.append("release", _actor(), facts)
        return [{"hold": number, "case": case, "recordings": freed} for number, case, freed in released]

    done = _with_eraser(settings, work)
    freed = sum(len(one["recordings"]) for one in done)
    _say(done, f"{_count(freed)} released; what is beyond its term goes at the next sweep", json=json)
    return 0


def hold_list(
    everything: Annotated[bool, typer.Option("--all", help="Released holds, too.")] = False,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """List the holds: case, reason, recordings, age."""
    from bystander.moments import from_ns
    from bystander.retention import holds
    from bystander.retention.erasure import as_text

    settings = _load(config)

    async def work(eraser: Eraser) -> list[holds.Hold]:
        return await holds.holds(eraser.index, everything=everything)

    found = _with_eraser(settings, work, writes=False)
    if json:
        print_json(
            [
                {
                    "hold": one.number,
                    "case": one.case,
                    "reason": one.reason,
                    "by": one.placed_by,
                    "placed_at": as_text(one.placed_ns),
                    "released_at": None if one.released_ns is None else as_text(one.released_ns),
                    "released_by": one.released_by,
                    "release_reason": one.release_reason,
                    "recordings": one.recordings,
                    "active": one.active,
                }
                for one in found
            ]
        )
        return 0
    screen = console()
    for one in found:
        days = (time.time_ns() - one.placed_ns) // 86_400_000_000_000
        placed = f"{from_ns(one.placed_ns).astimezone(settings.zone()):%Y-%m-%d}"
        state = f"{one.active} of {one.recordings}" if one.released_ns is None else "released"
        screen.print(
            f"{one.number:>4}  {plain(one.case):<20} {state:<12} since {placed} ({days} days), "
            f"{plain(one.placed_by)}: {plain(one.reason)}",
            soft_wrap=True,
        )
    if not found:
        screen.print("nothing is held")
    return 0


def retention_plan(
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="What will be beyond its term then; else now.")
    ] = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Show what the next sweep would erase, why, and what is held back. Erases nothing."""
    from bystander.moments import from_ns, moment, to_ns
    from bystander.retention import sweep

    settings = _load(config)
    zone = settings.zone()
    at_ns = to_ns(moment(at, zone, datetime.now(UTC))) if at else time.time_ns()
    found = _with_eraser(settings, lambda eraser: sweep.due(eraser.index, at_ns), writes=False)
    if json:
        print_json([sweep.described(one) for one in found])
        return 0
    screen = console()
    for one in found:
        end = f"{datetime.fromisoformat(one.delete_after).astimezone(zone):%Y-%m-%d}"
        began = f"{from_ns(one.started_ns).astimezone(zone):%Y-%m-%d %H:%M}"
        kept = f"  held for {', '.join(map(plain, one.held_by))}" if one.held_by else ""
        screen.print(f"{one.id}  of {began}, kept until {end} ({plain(one.rule)}){kept}", soft_wrap=True)
    held = sum(bool(one.held_by) for one in found)
    screen.print(f"{_count(len(found) - held)} to be erased, {held} held back")
    return 0


def retention_sweep(
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most so many; else sweep_max.")
    ] = None,
    yes: Yes = False,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Erase what is beyond its term and not held: keys, audio, signalling and index rows."""
    from bystander.output import progress
    from bystander.retention import sweep
    from bystander.sweeping import run_sweep

    settings = _load(config)
    wanted = limit or settings.retention.sweep_max
    now_ns = time.time_ns()
    if not yes:
        names = _with_eraser(
            settings, lambda eraser: sweep.due_to_erase(eraser.index, now_ns, wanted), writes=False
        )
        if names:
            _confirm(f"Erase {_count(len(names))} for good?")
    with progress("erasing", hidden=json) as shown:
        done = _with_eraser(
            settings, lambda eraser: run_sweep(eraser, settings, _actor(), wanted, shown or _unseen)
        )
    facts = {
        "erased": done.erased + done.resumed, "held": done.held, "left": done.left,
        "refused": done.refused or None,
    }  # fmt: skip
    text = f"{_count(done.erased + done.resumed)} erased, {done.held} held back, {done.left} left"
    if done.refused:
        if json:
            print_json(facts)
        warn(done.refused)
        return 1
    _say(facts, text, json=json)
    return 0


def retention_confirm_clock(yes: Yes = False, config: ConfigFile = None) -> int:
    """Say that the machine's clock is right, after it was refused."""
    from bystander.retention import clock

    settings = _load(config)
    now = clock.Reading.now()
    here = datetime.now(UTC).astimezone(settings.zone())
    if not yes:
        _confirm(f"Is it {here:%A, %Y-%m-%d %H:%M}?")

    async def work(eraser: Eraser) -> None:
        before = await clock.trusted_time(eraser.index)
        await clock.confirm(eraser.index, now)
        known = None if before is None else before.wall_ns // 1_000_000_000
        eraser.record.append("clock-confirmed", _actor(), {"trusted_before_s": known})

    _with_eraser(settings, work)
    console().print(f"the clock is taken to be right: {here:%Y-%m-%d %H:%M}")
    return 0


def retention_reconcile(yes: Yes = False, json: Json = False, config: ConfigFile = None) -> int:
    """Put right what `verify` finds without its counterpart: files, rows, keys. Asks first."""
    from bystander.inprogress import calls_in_progress
    from bystander.retention import reconcile

    settings = _load(config)
    going = {call.id for call in calls_in_progress(settings)}
    root, now_ns = settings.recording.directory, time.time_ns()

    async def look(eraser: Eraser) -> list[reconcile.Finding]:
        return await reconcile.find(eraser.index, eraser.keyring, root, now_ns, going)

    found = _with_eraser(settings, look)
    if not json:
        for finding in found:
            console().print(plain(str(finding)), soft_wrap=True)
    mendable = [one for one in found if one.kind != "row-without-key" and not one.held]
    if mendable and not yes:
        _confirm(f"Destroy stray files and keys, and note lost recordings: {len(mendable)} in all?")
    done = _with_eraser(settings, lambda eraser: reconcile.mend(eraser, mendable, _actor(), now_ns))
    left = len(found) - len(mendable)
    text = f"{sum(done.values())} put right" if done else "nothing to put right"
    _say({"mended": done, "left": left}, f"{text}, {left} left" if left else text, json=json)
    return 1 if left else 0


def erase(
    recordings: Annotated[
        list[str], typer.Argument(metavar="RECORDING...", help="Ids, their beginnings, or SIP Call-IDs.")
    ],
    reason: Reason,
    ground: Annotated[
        str, typer.Option(metavar="GROUND", help='The legal ground, as "art. 17 ust. 1 RODO".')
    ],
    yes: Yes = False,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Erase recordings before their term, as a person may demand (R18). Held ones are refused."""
    from bystander.holding import Wanted, find
    from bystander.retention.erasure import Cause
    from bystander.retention.holds import HeldProblem

    settings = _load(config)
    _need_text(reason=reason, ground=ground)

    async def names_of(eraser: Eraser) -> list[str]:
        wanted = Wanted(tuple(recordings), None, in_progress=False)
        return [name for name, _ in await find(eraser.index, settings, wanted)]

    names = _with_eraser(settings, names_of, writes=False)
    if not yes:
        _confirm(f"Erase {_count(len(names))} for good?")

    async def work(eraser: Eraser) -> int:
        cause = Cause("request", _actor(), reason, ground)
        try:
            return await eraser.erase(names, cause, time.time_ns())
        except HeldProblem as problem:
            facts = {"recordings": names, "reason": reason, "ground": ground, "why": "held"}
            eraser.record.append("erase-refused", _actor(), facts)
            raise UserError(str(problem)) from None

    count = _with_eraser(settings, work)
    _say({"erased": names}, f"{_count(count)} erased", json=json)
    return 0


def _with_eraser(settings: Config, work: Callable[[Eraser], Awaitable[_T]], *, writes: bool = True) -> _T:
    """Do some work with the index, the keyring and the journal open. Raises UserError."""
    from bystander.retention.erasure import Eraser
    from bystander.storage.index import Index
    from bystander.sweeping import NoJournal
    from bystander.vault import opened, tidy

    async def go(vault: OpenVault | None) -> _T:
        async with await Index.open(settings.recording.index, read_only=not writes) as index:
            eraser = Eraser(
                index,
                None if vault is None else vault.keyring,
                settings.recording.directory,
                NoJournal() if vault is None else vault.journal,
            )
            return await work(eraser)

    if not settings.recording.index.exists():
        raise UserError(f"{settings.recording.index}: there is no index yet; `bystander run` makes it")
    try:
        with opened(settings) as vault:
            return asyncio.run(go(vault))
    finally:
        if writes:
            tidy(settings)


def _load(config: Any) -> Config:
    from bystander.config import load

    return load(config)


def _actor() -> str:
    from bystander.actor import actor

    return actor()


def _need_text(**options: str) -> None:
    for name, value in options.items():
        if not value.strip():
            raise UserError(f"--{name} is empty; say it in words")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise UserError("this cannot be undone, and there is no terminal to ask at; give --yes")
    if not typer.confirm(question, err=True):
        raise typer.Abort


def _say(facts: Any, text: str, *, json: bool) -> None:
    if json:
        print_json(facts)
    else:
        console().print(text)


def _count(number: int) -> str:
    return f"{number} recording{'' if number == 1 else 's'}"


def _unseen(_done: int, _all: int) -> None:
    """Show no progress."""
