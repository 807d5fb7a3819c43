"""The command `supervise`: the supervisor's report (R16)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bystander.acts import load
from bystander.commands_record import ConfigFile, Json
from bystander.desks import office_of, with_desk, write_new
from bystander.errors import UserError
from bystander.lang import Lang, t, use
from bystander.output import console, plain, print_json

if TYPE_CHECKING:
    from bystander.custody.desk import Desk


def supervise(
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="The first day; else this month's.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="The last day; else today.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.pdf", help="As PDF, with charts.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Draw the spot checks of an earlier report.")
    ] = None,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Report on calls, coverage, announcements, listening, handing over, holds, erasures, persons and
    integrity.
    """
    from bystander.commands_verify import faults_of
    from bystander.custody import printing, supervision
    from bystander.moments import moment, to_ns

    use(lang)
    settings = load(config)
    zone, now = settings.zone(), datetime.now(UTC)
    since_ns = to_ns(moment(since or f"{now.astimezone(zone):%Y-%m}-01", zone, now))
    until_ns = to_ns(moment(until or "today", zone, now, end=True))
    if until_ns <= since_ns:
        raise UserError(f"--from {since} --to {until}: that ends before it begins")
    faults = faults_of(settings, config)

    async def work(desk: Desk) -> dict[str, Any]:
        return await supervision.report(desk, since_ns, until_ns, faults, seed=seed)

    made = with_desk(settings, work)
    if output is not None:
        write_new(output, printing.supervision(office_of(settings), made))
    if json:
        print_json(made)
    elif output is not None:
        console().print(f"{t('written to')} {output}", soft_wrap=True)
    else:
        _show(made)
    return 0


def _show(made: dict[str, Any]) -> None:
    screen = console()
    coverage, announced = made["coverage"], made["announcements"]
    states = ", ".join(f"{plain(name)} {number}" for name, number in made["calls"]["by_verdict"].items())
    ways = ", ".join(f"{plain(name)} {number}" for name, number in made["calls"]["by_direction"].items())
    lines = [
        (f"{made['from']} – {made['to']}", ""),
        (t("calls"), f"{made['calls']['total']}  ({ways}; {states})" if made["calls"]["total"] else "0"),
        (t("not recorded for"), f"{coverage['missing_s']:.0f} s, {len(coverage['gaps'])}x"),
        (t("without the announcement"), f"{len(announced['without'])}"),
        (t("to be checked"), ", ".join(made["spot_checks"]["recordings"]) or "–"),
        (
            t("listenings"),
            f"{len(made['listenings'])}; {t('protocol')}: {made['open_protocols']} {t('open')}",
        ),
        (t("disclosures"), f"{len(made['disclosures'])}"),
        (t("holds"), f"{len(made['holds'])}"),
        (t("erasures"), ", ".join(f"{name} {number}" for name, number in made["erasures"].items())),
        (t("overdue"), f"{made['overdue']}"),
        (t("refusals"), ", ".join(f"{name} {number}" for name, number in made["refusals"].items()) or "0"),
        (t("persons"), f"{sum(one['state'] == 'valid' for one in made['persons'])}"),
        (t("faults"), f"{len(made['verify']['faults'])}"),
    ]
    for name, value in lines:
        screen.print(f"{name:<26} {value}".rstrip(), soft_wrap=True)
    for fault in made["verify"]["faults"]:
        screen.print(f"  {plain(fault)}", soft_wrap=True)
