"""The commands about what is beyond its term, and about erasing: `retention`, `erase`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bystander.acts import Yes, confirm, journal_of, load, need_text, say, who, with_eraser
from bystander.commands_record import ConfigFile, Json
from bystander.errors import UserError
from bystander.lang import DAYS, t, told
from bystander.naming import LastingGround, LastingReason, refuse_naming
from bystander.output import console, plain, print_json, warn

if TYPE_CHECKING:
    from bystander.retention import reconcile
    from bystander.retention.erasure import Eraser
    from bystander.retention.sweep import Due

retention = typer.Typer(name="retention", help="What is beyond its term, and erasing it.")


def retention_plan(
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="What will be beyond its term then; else now.")
    ] = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Show what the next sweep would erase, and why.

    Also what is held back. Erases nothing.
    """
    from bystander.moments import from_ns, moment, to_ns
    from bystander.retention import sweep

    settings = load(config)
    zone = settings.zone()
    at_ns = to_ns(moment(at, zone, datetime.now(UTC))) if at else time.time_ns()

    async def work(eraser: Eraser) -> tuple[list[Due], int]:
        under_way = await eraser.index.rows("SELECT count(*) FROM erasing")
        return await sweep.due(eraser.index, at_ns), under_way[0][0]

    found, under_way = with_eraser(settings, work, writes=False)
    if json:
        print_json([sweep.described(one) for one in found])
        return 0
    screen = console()
    for one in found:
        end = f"{datetime.fromisoformat(one.delete_after).astimezone(zone):%Y-%m-%d}"
        began = f"{from_ns(one.started_ns).astimezone(zone):%Y-%m-%d %H:%M}"
        kept = f"  {t('held for')} {', '.join(map(plain, one.held_by))}" if one.held_by else ""
        until = t("of {began}, kept until {end}", began=began, end=end)
        screen.print(f"{one.id}  {until} ({plain(one.rule)}){kept}", soft_wrap=True)
    held = sum(bool(one.held_by) for one in found)
    begun = (
        f"; {t('{number} under way, the next sweep finishes them', number=under_way)}" if under_way else ""
    )
    number = len(found) - held
    due = t("{number} {number:recording|recordings} to be erased", number=number)
    screen.print(f"{due}, {t('{number} held back', number=held)}{begun}")
    return 0


def retention_sweep(
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most so many; else sweep_max.")
    ] = None,
    yes: Yes = False,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Erase what is beyond its term and not held.

    Keys, audio, signalling and index rows.
    """
    from bystander.output import progress
    from bystander.retention import sweep
    from bystander.sweeping import run_sweep

    settings = load(config)
    wanted = limit or settings.retention.sweep_max
    now_ns = time.time_ns()
    if not yes:
        names = with_eraser(
            settings, lambda eraser: sweep.due_to_erase(eraser.index, now_ns, wanted), writes=False
        )
        if names:
            confirm(t("Erase {number} {number:recording|recordings} for good?", number=len(names)))
    with progress(t("erasing"), hidden=json) as shown:
        done = with_eraser(
            settings, lambda eraser: run_sweep(eraser, settings, who(), wanted, shown or _unseen)
        )
    erased = done.erased + done.resumed
    facts = {
        "erased": erased, "held": done.held, "left": done.left,
        "refused": done.refused or None, "problem": done.problem or None,
    }  # fmt: skip
    text = t(
        "{number} {number:recording|recordings} erased, {held} held back, {left} left",
        number=erased,
        held=done.held,
        left=done.left,
    )
    say(facts, text, json=json)
    for trouble in filter(None, (done.problem, done.refused)):
        warn(told(trouble))
    return 1 if done.refused or done.problem else 0


def retention_confirm_clock(yes: Yes = False, json: Json = False, config: ConfigFile = None) -> int:
    """Say that the machine's clock is right.

    For a sweep that refused to erase because the clock had leapt.
    """
    from bystander.retention import clock
    from bystander.retention.erasure import as_text

    settings = load(config)
    here = datetime.now(UTC).astimezone(settings.zone())
    if not yes:
        confirm(t("Is it {day}, {time}?", day=t(DAYS[here.weekday()]), time=f"{here:%Y-%m-%d %H:%M}"))
    now = clock.Reading.now()

    async def work(eraser: Eraser) -> None:
        before = await clock.trusted_time(eraser.index)
        await clock.confirm(eraser.index, now)
        known = None if before is None else before.wall_ns // 1_000_000_000
        eraser.record.append("clock-confirmed", who(), {"trusted_before_s": known})

    with_eraser(settings, work)
    say(
        {"trusted": as_text(now.wall_ns)},
        t("the clock is taken to be right: {time}", time=f"{here:%Y-%m-%d %H:%M}"),
        json=json,
    )
    return 0


def retention_reconcile(yes: Yes = False, json: Json = False, config: ConfigFile = None) -> int:
    """Put right what `verify` finds without its counterpart.

    Files, rows and keys. Asks first.
    """
    from bystander.inprogress import calls_in_progress
    from bystander.retention import reconcile

    settings = load(config)
    going = {call.id for call in calls_in_progress(settings)}
    root, now_ns = settings.recording.directory, time.time_ns()

    async def look(eraser: Eraser) -> list[reconcile.Finding]:
        return await reconcile.find(eraser.index, eraser.keyring, root, now_ns, going)

    found = with_eraser(settings, look, writes=False)
    if not json:
        for finding in found:
            held = f"  {t('(held: not touched)')}" if finding.held else ""
            console().print(f"{plain(told(str(finding)))}{held}", soft_wrap=True)
    mendable = [one for one in found if one.mendable]
    done: dict[str, int] = {}
    if mendable:
        if not yes:
            confirm(
                t(
                    "Destroy stray files and keys, and note lost recordings: {number} in all?",
                    number=len(mendable),
                )
            )
        done = with_eraser(settings, lambda eraser: reconcile.mend(eraser, mendable, who(), now_ns))
    left = len(found) - len(mendable)
    text = t("{number} put right", number=sum(done.values())) if done else t("nothing to put right")
    if left:
        text += t(", {number} left to people", number=left)
    facts = {"found": [_finding(one) for one in found], "mended": done, "left": left}
    say(facts, text, json=json)
    return 1 if left else 0


def erase(
    recordings: Annotated[
        list[str], typer.Argument(metavar="RECORDING", help="Ids, their beginnings, or SIP Call-IDs.")
    ],
    reason: LastingReason,
    ground: LastingGround,
    yes: Yes = False,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Erase recordings before their term.

    As a person may demand (R18). Held ones are refused.
    """
    from bystander.inprogress import calls_in_progress
    from bystander.output import progress
    from bystander.retention.erasure import Cause
    from bystander.retention.holds import HeldProblem
    from bystander.selection import Wanted, find

    settings = load(config)
    need_text(reason=reason, ground=ground)

    async def names_of(eraser: Eraser) -> list[str]:
        wanted = Wanted(tuple(recordings), None, in_progress=False)
        found = [name for name, _ in await find(eraser.index, calls_in_progress(settings), wanted)]
        calls = [call for name in found if (call := await eraser.index.call(name)) is not None]
        refuse_naming(calls, reason=reason, ground=ground)
        return found

    names = with_eraser(settings, names_of, writes=False)
    if not yes:
        some = f"{', '.join(names[:5])}{', ...' * (len(names) > 5)}"
        confirm(
            t(
                "Erase {number} {number:recording|recordings} for good ({names})?",
                number=len(names),
                names=some,
            )
        )

    async def work(eraser: Eraser) -> int:
        cause = Cause("request", who(), reason, ground)
        try:
            return await eraser.erase(
                names, cause, time.time_ns(), progress=lambda done: (shown or _unseen)(done, len(names))
            )
        except HeldProblem as problem:
            facts = {"why": "held", "reason": reason, "ground": ground}
            journal_of(eraser, "erase-refused", names, facts)
            raise UserError(str(problem)) from None

    with progress(t("erasing"), hidden=json) as shown:
        erased = with_eraser(settings, work)
    text = t("{number} {number:recording|recordings} erased", number=erased)
    say({"erased": names}, text, json=json)
    return 0


def _finding(found: reconcile.Finding) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "id": found.id,
        "files": found.files,
        "held": found.held,
        "mendable": found.mendable,
    }


def _unseen(_done: int, _all: int) -> None:
    """Show no progress."""
