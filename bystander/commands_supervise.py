"""The command `supervise`: the supervisor's report (R16)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bystander.acts import load
from bystander.commands_record import ConfigFile, Json
from bystander.desks import office_of, with_desk, write_new
from bystander.errors import UserError
from bystander.lang import Lang, t, told, use
from bystander.output import console, plain, print_json, progress

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
    sample: Annotated[int, typer.Option(metavar="N", min=0, help="How many spot checks.")] = 5,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Report on a period to whoever supervises the recording.

    Calls, coverage, announcements, listening, handing over, holds, erasures, persons and integrity.
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
    with progress(t("verifying"), hidden=json, of_bytes=True) as shown:
        faults = faults_of(settings, config, shown)

    async def work(desk: Desk) -> dict[str, Any]:
        return await supervision.report(desk, since_ns, until_ns, faults, seed=seed, sample=sample)

    made = with_desk(settings, work)
    if output is not None:
        # The form is Polish, whatever the terminal speaks.
        found = {"faults": [told(fault, "pl") for fault in made["verify"]["faults"]]}
        write_new(output, printing.supervision(office_of(settings), made | {"verify": found}, zone))
    if json:
        print_json(made)
    elif output is not None:
        console().print(f"{t('written to')} {output}", soft_wrap=True)
    else:
        _show(made)
    return 0


def _show(made: dict[str, Any]) -> None:
    from bystander.moments import length

    screen = console()
    calls, coverage, late = made["calls"], made["coverage"], made["overdue"]
    share = "–"
    if coverage["share"] is not None:
        # Never rounded up to all of the time.
        share = t("{percent:g} %", percent=int(coverage["share"] * 10_000) / 100)
    checks = made["spot_checks"]
    drawn = ", ".join(checks["recordings"]) or "–"
    lines = [
        (t("calls"), f"{calls['total']}" + _parts(calls["by_direction"]) + _parts(calls["by_verdict"])),
        (t("erased since"), f"{calls['erased_since']}"),
        (t("recorded of the time"), share),
        (
            t("not recorded for"),
            f"{length(coverage['missing_s'])}, {len(coverage['gaps'])}x"
            + _parts({cause: length(seconds) for cause, seconds in coverage["by_cause"].items()}),
        ),
        (t("without the announcement"), f"{len(made['announcements']['without'])}"),
        (t("to be checked"), f"{drawn} ({t('seed')} {checks['seed']})"),
        (
            t("listenings"),
            f"{len(made['listenings'])}; {t('unfinished protocols')}: {made['open_protocols']}",
        ),
        (t("disclosures"), _many(t(one["state"]) for one in made["disclosures"])),
        (t("copies made"), f"{len(made['copies'])}"),
        (
            t("holds"),
            f"{len(made['holds'])}"
            + _parts({h["case"]: t("{days} {days:day|days}", days=h["days"]) for h in made["holds"]}),
        ),
        (t("restricted"), f"{made['restricted']}"),
        (t("erasures"), f"{sum(made['erasures'].values())}" + _parts(made["erasures"])),
        (
            t("overdue"),
            f"{t('recordings')} {late['recordings']}, {t('protocols')} "
            f"{', '.join(map(str, late['protocols'])) or 0}",
        ),
        (t("refusals"), f"{sum(made['refusals'].values())}" + _parts(made["refusals"])),
        (t("persons"), _many(t(one["state"]) for one in made["persons"])),
        (t("faults"), f"{len(made['verify']['faults'])}"),
    ]
    screen.print(f"{made['from']} – {made['to']}")
    for name, value in lines:
        screen.print(f"{name:<28} {plain(value)}".rstrip(), soft_wrap=True)
    for fault in made["verify"]["faults"]:
        screen.print(f"  {plain(told(fault))}", soft_wrap=True)


def _parts(counts: Mapping[str, Any], unit: str = "") -> str:
    return (
        f"  ({', '.join(f'{t(name)} {number}{unit}' for name, number in counts.items())})" if counts else ""
    )


def _many(names: Iterable[str]) -> str:
    counts = Counter(names)
    return f"{counts.total()}" + _parts(counts)
