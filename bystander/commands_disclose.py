"""The commands `disclose ...`, `export` and `verify-export` (R15)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bystander.acts import load, say
from bystander.commands_listen import Case, Purpose
from bystander.commands_record import ConfigFile, Json
from bystander.desks import office_of, with_desk, write_new
from bystander.errors import UserError
from bystander.lang import Lang, t, told, use
from bystander.output import console, plain, print_json, warn
from bystander.unlocking import Identities, PassphraseFiles, Proof, unlocking, with_care

if TYPE_CHECKING:
    from bystander.custody.desk import Desk
    from bystander.custody.disclosure import Disclosure

disclose = typer.Typer(name="disclose", help="Handing over: request, decision, export (annexes 3 and 4).")
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The request's number.")]


def disclose_request(
    recordings: Annotated[
        list[str] | None, typer.Argument(metavar="RECORDING", help="The calls, by id.")
    ] = None,
    *,
    applicant: Annotated[str, typer.Option(metavar="NAME", help="Who applies.")] = "",
    ground: Annotated[str, typer.Option(metavar="TEXT", help="The justification in the request.")] = "",
    case: Case = "",
    purpose: Purpose = "",
    applied_on: Annotated[
        str | None, typer.Option(metavar="DATE", help="The request's date; else today.")
    ] = None,
    number: Annotated[str | None, typer.Option(metavar="NUMBER", help="Calls of this number ...")] = None,
    date: Annotated[str | None, typer.Option(metavar="DATE", help="... of this day.")] = None,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Enter a written request for recordings (annex 3)."""
    from bystander.custody import disclosure
    from bystander.moments import moment, to_ns
    from bystander.storage.query import Query

    use(lang)
    settings = load(config)
    zone, now = settings.zone(), datetime.now(UTC)
    if (number is None) != (date is None):
        raise UserError("a call is named by number and day: give --number and --date, or ids")
    query = None
    if number is not None and date is not None:
        since, until = (to_ns(moment(date, zone, now, end=end)) for end in (False, True))
        if until == since:
            raise UserError(f"--date {date}: not a day; write it as 2026-11-23")
        query = Query(number=number, since_ns=since, until_ns=until)

    async def work(desk: Desk) -> Disclosure:
        names = list(recordings or ())
        if query is not None:
            names += [call["id"] for call in reversed(await desk.index.calls(query))]
        on = applied_on or desk.today.isoformat()
        return await disclosure.request(desk, disclosure.Request(applicant, on, ground, case, purpose, names))

    done = with_desk(settings, work)
    say(
        _described(done), f"{t('request')} {done.number}: {t('recordings')} {len(done.recordings)}", json=json
    )
    return 0


def disclose_decide(
    number: Number,
    by: Annotated[str, typer.Option(metavar="NAME", help="Who decided.")],
    consent: Annotated[bool, typer.Option("--consent", help="They consent.")] = False,
    refuse: Annotated[bool, typer.Option("--refuse", help="They refuse.")] = False,
    on: Annotated[str | None, typer.Option(metavar="DATE", help="The decision's date; else today.")] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why.")] = None,
    identity: Proof = None,
    passphrase_file: PassphraseFiles = None,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Enter the mayor's decision on a request."""
    from bystander.custody import disclosure

    use(lang)
    if consent == refuse:
        raise UserError("give --consent or --refuse, one of them")
    decision = "consent" if consent else "refusal"
    settings = load(config)
    if identity:
        with_care()
    unlock = unlocking(identity, passphrase_file)
    done = with_desk(settings, lambda desk: disclosure.decide(desk, number, decision, by, on, reason, unlock))
    say(_described(done), f"{t('request')} {number}: {t(done.state)}", json=json)
    return 0


def disclose_list(lang: Lang = None, json: Json = False, config: ConfigFile = None) -> int:
    """List the requests, also those that were refused."""
    from bystander.custody import disclosure

    use(lang)
    found = with_desk(load(config), lambda desk: disclosure.disclosures(desk.index))
    if json:
        print_json([_described(one) for one in found])
        return 0
    for one in found:
        console().print(
            f"{one.number:>4}  {one.applied_on}  {plain(one.applicant):<28} {plain(one.case):<16} "
            f"{t('recordings')} {len(one.recordings):<4} {t(one.state)}",
            soft_wrap=True,
        )
    if not found:
        console().print(t("no requests"))
    return 0


def disclose_print(
    number: Annotated[
        int | None, typer.Argument(metavar="[NUMBER]", help="The request's number; else an empty form.")
    ] = None,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.pdf", help="Where the PDF goes.")],
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Print a request and its decision as PDF: annex 3, in Polish.

    Without a number it is the empty form, to be filled by hand.
    """
    from bystander.custody import disclosure, printing

    use(lang)
    settings = load(config)

    async def work(desk: Desk) -> bytes:
        assert number is not None
        content = printing.request(office_of(settings), await disclosure.form(desk, number))
        desk.note("printed", form="request", disclosure=number)
        return content

    if number is None:
        write_new(output, printing.request(office_of(settings), printing.RequestForm()))
    else:
        write_new(output, with_desk(settings, work))
    say({"file": str(output)}, f"{t('written to')} {output}", json=json)
    return 0


def disclose_export(
    number: Number,
    recordings: Annotated[
        list[str] | None, typer.Argument(metavar="RECORDING", help="Only these of the request.")
    ] = None,
    *,
    to: Annotated[Path, typer.Option(metavar="DIR", help="A new folder, on the medium to hand over.")],
    identity: Identities = None,
    passphrase_file: PassphraseFiles = None,
    receiver: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who receives it; else the applicant.")
    ] = None,
    seal_to: Annotated[
        str | None, typer.Option(metavar="AGE1...", help="Seal the recordings to this key.")
    ] = None,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Copy what was consented to, onto a medium.

    With checksums, the recorder's signature and the handover protocol (annex 4).
    """
    from bystander import __version__
    from bystander.custody import handover
    from bystander.custody.handover import Parcel
    from bystander.storage.signing import RecorderKey

    use(lang)
    settings = load(config)
    with_care()
    if settings.vault is None:
        raise UserError("this configuration has no [vault]; nothing is handed over from it")
    parcel = Parcel(to, office_of(settings), RecorderKey.load(settings.vault.keys), __version__, seal_to)

    async def work(desk: Desk) -> dict[str, Any]:
        unlock = unlocking(identity, passphrase_file)
        return await handover.hand_over(desk, number, recordings or (), unlock, receiver, parcel)

    done = with_desk(settings, work)
    say(done, f"{t('written to')} {to}: {t('recordings')} {len(done['recordings'])}", json=json)
    return 0


def verify_export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What was handed over.")],
    key: Annotated[
        str | None, typer.Option(metavar="HEX", help="The recorder's public key, as the office gave it.")
    ] = None,
    lang: Lang = None,
    json: Json = False,
) -> int:
    """Check what was handed over; needs no vault.

    Every file is held against its checksum, and the checksums against the recorder's signature.
    """
    from bystander.custody.export import verify_export as look

    use(lang)
    faults = look(folder, key)
    if json:
        print_json({"faults": faults, "key_compared": key is not None})
    else:
        for fault in faults:
            warn(told(fault))
        if not faults:
            console().print(t("everything is as it was handed over"))
        if key is None:
            warn(
                t(
                    "the signature was checked with the key in the folder; give --key HEX, which the "
                    "office tells you"
                )
            )
    return 1 if faults else 0


def _described(one: Disclosure) -> dict[str, Any]:
    from bystander.retention.erasure import as_text

    return {
        "disclosure": one.number,
        "applicant": one.applicant,
        "applied_on": one.applied_on,
        "ground": one.ground,
        "case": one.case,
        "purpose": one.purpose,
        "recordings": list(one.recordings),
        "state": one.state,
        "decision": one.decision,
        "decided_by": one.decided_by,
        "decided_on": one.decided_on,
        "reason": one.decision_reason,
        "exported_at": None if one.exported_ns is None else as_text(one.exported_ns),
        "receiver": one.receiver,
        "manifest_sha256": one.manifest_sha256,
    }
