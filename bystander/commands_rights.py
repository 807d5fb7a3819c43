"""The commands `rights ...`: what the persons recorded may demand (R18)."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bystander.acts import Reason, Yes, confirm, journal_of, load, need_text, say, who, with_eraser
from bystander.commands_listen import Case, Justification
from bystander.commands_record import ConfigFile, Json
from bystander.desks import office_of, with_desk, write_new
from bystander.errors import UserError
from bystander.lang import Lang, t, use
from bystander.naming import LastingGround, LastingReason, refuse_naming
from bystander.output import console, plain, print_json, warn
from bystander.unlocking import Identities, PassphraseFiles, unlocking, with_care

if TYPE_CHECKING:
    from bystander.config import Config
    from bystander.custody.desk import Desk
    from bystander.retention.erasure import Eraser
    from bystander.storage.query import Query

rights = typer.Typer(name="rights", help="The rights of whoever was recorded, by number and period.")
Telephone = Annotated[str, typer.Argument(metavar="NUMBER", help="The telephone number; *1234 for its end.")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Calls since then.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Calls before then.")]


def rights_find(
    number: Telephone, since: Since = None, until: Until = None, lang: Lang = None, json: Json = False,
    config: ConfigFile = None,
) -> int:  # fmt: skip
    """Find what is kept about somebody.

    It is the answer to a request of access.
    """
    use(lang)
    settings = load(config)
    query = _query(settings, number, since, until)

    ending = _ending(number)

    async def work(desk: Desk) -> tuple[list[dict[str, Any]], int]:
        from bystander.cases import case_of, tells_of_others
        from bystander.custody.rights import restrictions

        found = await desk.index.calls(query)
        known = {call["id"] for call in found}
        like = await desk.index.calls(replace(query, number=f"*{ending}")) if ending else []
        restricted = {one.recording for one in await restrictions(desk.index)}
        desk.note("rights-find", count=len(found))
        return [
            call
            | {"restricted": call["id"] in restricted}
            | {"case": await case_of(desk.index, call) if tells_of_others(call) else []}
            for call in found
        ], sum(call["id"] not in known for call in like)

    found, more = with_desk(settings, work)
    if more:
        warn(
            t(
                "{number} {number:call|calls} more of numbers that end in {ending}: they may be the same "
                'person\'s, with or without a prefix; `bystander rights find "*{ending}"` shows them',
                number=more,
                ending=ending,
            )
        )
    if json:
        print_json(found)
        return 0
    for call in found:
        began = datetime.fromisoformat(call["started_at"]).astimezone(settings.zone())
        notes = [t("restricted")] if call["restricted"] else []
        notes += [plain(case) for case in call["held_by"]]
        # Transferred from or to: the person may be heard there, under another number.
        notes += [f"+ {plain(one['id'])}" for one in call["case"] if "id" in one]
        console().print(
            f"{call['id']}  {began:%Y-%m-%d %H:%M}  {plain(call['caller'])} > {plain(call['callee'])}  "
            f"{t(call['verdict'] or call['state'])}  {', '.join(notes)}".rstrip(),
            soft_wrap=True,
        )
    if not found:
        console().print(t("no such calls"))
    return 0


def rights_copy(
    number: Telephone,
    to: Annotated[Path, typer.Option(metavar="DIR", help="A new folder for WAVs and JSON.")],
    case: Case = "",
    justification: Justification = "",
    since: Since = None,
    until: Until = None,
    identity: Identities = None,
    passphrase_file: PassphraseFiles = None,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Copy somebody's recordings for them, as WAV and JSON.

    With checksums and the recorder's signature. For data protection (R2).
    """
    from bystander import __version__
    from bystander.custody import handover
    from bystander.storage.signing import RecorderKey

    use(lang)
    settings = load(config)
    with_care()
    query = _query(settings, number, since, until)
    if settings.vault is None:
        raise UserError("this configuration has no [vault]; the recordings lie in its folder as they are")
    parcel = handover.Parcel(to, office_of(settings), RecorderKey.load(settings.vault.keys), __version__)
    unlock = unlocking(identity, passphrase_file)

    async def work(desk: Desk) -> list[str]:
        calls = list(reversed(await desk.index.calls(query)))
        if not calls:
            raise UserError("no such calls; `bystander rights find` shows what there is")
        return await handover.copy_to_person(desk, calls, case, justification, unlock, parcel)

    done = with_desk(settings, work)
    say({"directory": str(to), "recordings": done}, f"{t('copied')}: {len(done)}, {to}", json=json)
    return 0


def rights_restrict(
    number: Telephone, reason: Reason, since: Since = None, until: Until = None, lang: Lang = None,
    json: Json = False, config: ConfigFile = None,
) -> int:  # fmt: skip
    """Restrict processing: kept, but not used.

    The recordings are neither listened to nor handed over.
    """
    return _restrict(number, reason, since, until, lang, "restriction", json=json, config=config)


def rights_object(
    number: Telephone, reason: Reason, since: Since = None, until: Until = None, lang: Lang = None,
    json: Json = False, config: ConfigFile = None,
) -> int:  # fmt: skip
    """Note an objection; restricted until it is decided."""
    return _restrict(number, reason, since, until, lang, "objection", json=json, config=config)


def _restrict(
    number: str, reason: str, since: str | None, until: str | None, lang: str | None, cause: str, *, json:
    bool,
    config: Any,
) -> int:  # fmt: skip
    from bystander.custody import rights as room

    use(lang)
    settings = load(config)
    need_text(reason=reason)
    query = _query(settings, number, since, until)

    async def work(desk: Desk) -> list[str]:
        return await room.restrict(desk, await _names(desk, query), cause, reason)

    done = with_desk(settings, work)
    said = t("restricted") if cause == "restriction" else t("objection noted")
    say({"recordings": done, "cause": cause}, f"{said}: {len(done)}", json=json)
    return 0


def rights_unrestrict(
    number: Telephone, reason: Reason, since: Since = None, until: Until = None, lang: Lang = None,
    json: Json = False, config: ConfigFile = None,
) -> int:  # fmt: skip
    """Lift a restriction, or decide an objection.

    What is beyond its term goes at the next sweep.
    """
    from bystander.custody import rights as room

    use(lang)
    settings = load(config)
    need_text(reason=reason)
    query = _query(settings, number, since, until)

    async def work(desk: Desk) -> list[str]:
        return await room.unrestrict(desk, await _names(desk, query), reason)

    done = with_desk(settings, work)
    say({"recordings": done}, f"{t('no longer restricted')}: {len(done)}", json=json)
    return 0


def rights_erase(
    number: Telephone,
    reason: LastingReason,
    ground: LastingGround,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Erase somebody's recordings at once.

    Refused while one of them is held; the refusal says for which case.
    """
    from bystander.retention.erasure import Cause
    from bystander.retention.holds import HeldProblem

    use(lang)
    settings = load(config)
    need_text(reason=reason, ground=ground)
    query = _query(settings, number, since, until)

    async def find(eraser: Eraser) -> list[str]:
        calls = await eraser.index.calls(query)
        refuse_naming(calls, reason=reason, ground=ground)
        return [call["id"] for call in calls]

    names = with_eraser(settings, find, writes=False)
    if not names:
        raise UserError("no such calls; `bystander rights find` shows what there is")
    if not yes:
        confirm(t("Erase for good: {number}?", number=len(names)))

    async def work(eraser: Eraser) -> int:
        try:
            return await eraser.erase(names, Cause("request", who(), reason, ground), time.time_ns())
        except HeldProblem as problem:
            journal_of(eraser, "erase-refused", names, {"why": "held", "reason": reason, "ground": ground})
            raise UserError(f"{problem}; tell the person that it must be kept until then") from None

    erased = with_eraser(settings, work)
    say({"erased": names}, f"{t('erased')}: {erased}", json=json)
    return 0


def rights_clause(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.pdf", help="Where the PDF goes.")],
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Print the information clause as PDF: annex 1, in Polish."""
    from bystander.custody import printing

    use(lang)
    settings = load(config)
    write_new(output, printing.information(office_of(settings), settings.retention.months))
    say({"file": str(output)}, f"{t('written to')} {output}", json=json)
    return 0


async def _names(desk: Desk, query: Query) -> list[str]:
    names = [call["id"] for call in await desk.index.calls(query)]
    if not names:
        raise UserError("no such calls; `bystander rights find` shows what there is")
    return names


def _ending(number: str) -> str:
    """Return the end by which a whole number is known with and without a prefix, or nothing."""
    digits = "".join(filter(str.isdecimal, number))
    return digits[-9:] if len(digits) >= 9 and not number.strip().startswith("*") else ""


def _query(settings: Config, number: str, since: str | None, until: str | None) -> Query:
    from bystander.moments import moment, to_ns
    from bystander.storage.query import Query

    if not number.strip().removeprefix("*"):
        raise UserError("the telephone number is empty; rights are exercised by number")
    zone, now = settings.zone(), datetime.now(UTC)
    return Query(
        number=number.strip(),
        since_ns=to_ns(moment(since, zone, now)) if since else None,
        until_ns=to_ns(moment(until, zone, now, end=True)) if until else None,
    )
