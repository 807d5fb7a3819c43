"""The commands `listen` and `protocol ...` (R2, R12, R14)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bystander.acts import load, say
from bystander.commands_record import ConfigFile, Json
from bystander.desks import office_of, with_desk, write_new
from bystander.errors import UserError
from bystander.lang import Lang, t, use
from bystander.output import console, plain, print_json
from bystander.unlocking import Identities, PassphraseFiles, Proof, unlocking, with_care

if TYPE_CHECKING:
    from bystander.config import Config
    from bystander.custody.desk import Desk
    from bystander.custody.listening import Hearing
    from bystander.custody.protocols import Protocol

protocol = typer.Typer(name="protocol", help="Protocols of listening (annex 2).")
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The protocol's number.")]
# Not choices of the framework: whoever asks without a reason is refused, and that is journalled (R12).
Case = Annotated[str, typer.Option(metavar="CASE", help="The number of the case it is for.")]
Purpose = Annotated[str, typer.Option(metavar="PURPOSE", help="security, quality or data-protection.")]
Justification = Annotated[str, typer.Option(metavar="TEXT", help="Why it is necessary.")]


def listen(
    recording: Annotated[
        str, typer.Argument(metavar="RECORDING", help="Its id, its beginning, or a SIP Call-ID.")
    ],
    case: Case = "",
    purpose: Purpose = "",
    justification: Justification = "",
    identity: Identities = None,
    passphrase_file: PassphraseFiles = None,
    two_persons: Annotated[bool, typer.Option("--two-persons", help="Two must listen together.")] = False,
    from_s: Annotated[float, typer.Option("--from", metavar="SECONDS", min=0, help="From there on.")] = 0.0,
    to_s: Annotated[float | None, typer.Option("--to", metavar="SECONDS", min=0, help="Up to there.")] = None,
    player: Annotated[
        str | None, typer.Option(metavar="CMD", help="A shell command that gets the WAV on standard input.")
    ] = None,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Listen to a recording; it opens a protocol.

    Only for a case, with a purpose of the ordinance and a justification.
    """
    from bystander.custody import listening
    from bystander.moments import from_ns
    from bystander.player import Player

    use(lang)
    settings = load(config)
    with_care()
    ask = listening.Ask(
        recording,
        case,
        purpose,
        justification,
        unlocking(identity, passphrase_file),
        from_s,
        to_s,
        two_persons,
    )
    # Without a player nothing is heard, and no protocol need be written.
    played = Player(player)
    hearing = with_desk(settings, lambda desk: listening.begin(desk, ask))
    wav = hearing.audio.wav(hearing.from_s, hearing.to_s)
    try:
        # Midnight may have come since it was opened.
        today = from_ns(time.time_ns()).astimezone(settings.zone()).date()
        if any(who.state(today) != "valid" for who in hearing.persons):
            with_desk(settings, lambda desk: _withdraw(desk, hearing))
        # Nobody else waits while somebody listens: the index is open before and after, not meanwhile.
        played.play(wav, hearing.audio.rate_hz * hearing.audio.channels * 2)
    except UserError as error:
        raise UserError(f"{error}; protocol {hearing.protocol} is open all the same") from None
    finally:
        with_desk(settings, lambda desk: _end(desk, hearing, played.heard_s), begins=False)
    to = min(hearing.to_s, hearing.from_s + played.heard_s)
    facts = {
        "protocol": hearing.protocol,
        "recording": hearing.entry.id,
        "persons": [who.name for who in hearing.persons],
        "from_s": round(hearing.from_s, 3),
        "to_s": round(to, 3),
        "duration_s": round(hearing.audio.duration_s, 3),
    }
    text = (
        f"{t('listened')}: {hearing.from_s:.1f}–{to:.1f} s; {t('protocol')} {hearing.protocol}, "
        f"{t('fill it with')} `bystander protocol fill {hearing.protocol}`"
    )
    say(facts, text, json=json)
    return 0


async def _withdraw(desk: Desk, hearing: Hearing) -> None:
    from bystander.custody import listening

    listening.withdraw(desk, hearing)


async def _end(desk: Desk, hearing: Hearing, heard_s: float) -> None:
    from bystander.custody import listening

    await listening.end(desk, hearing, hearing.from_s + heard_s, time.time_ns())


def protocol_list(
    unfinished: Annotated[bool, typer.Option("--open", help="Only those that are not complete.")] = False,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """List the protocols."""
    from bystander.custody import protocols as room

    use(lang)
    settings = load(config)
    found = with_desk(settings, lambda desk: room.protocols(desk.index))
    found = [one for one in found if not unfinished or one.completed_ns is None]
    if json:
        print_json([_described(one) for one in found])
        return 0
    for one in found:
        console().print(_line(one, settings), soft_wrap=True)
    if not found:
        console().print(t("no protocols"))
    return 0


def protocol_show(number: Number, lang: Lang = None, json: Json = False, config: ConfigFile = None) -> int:
    """Show a protocol: what it is of, what is filled, what is missing."""
    from bystander.custody import protocols as room

    use(lang)
    settings = load(config)
    found = with_desk(settings, lambda desk: room.protocol(desk.index, number))
    if json:
        print_json(_described(found))
        return 0
    screen = console()
    screen.print(_line(found, settings), soft_wrap=True)
    for name, value in found.fields.items():
        for at, line in enumerate(value.split("\n")):
            screen.print(f"  {'' if at else t(name):<24} {plain(line)}".rstrip(), soft_wrap=True)
    screen.print(f"  {t('missing')}: {_fields(found.missing) or t('nothing')}")
    return 0


def protocol_fill(
    number: Number,
    parties: Annotated[
        str | None, typer.Option(metavar="TEXT", help="2. Who spoke, or the kind of matter.")
    ] = None,
    location: Annotated[str | None, typer.Option(metavar="TEXT", help="3. Where it happened.")] = None,
    breach: Annotated[str | None, typer.Option(metavar="TEXT", help="4. The kind of breach.")] = None,
    causes: Annotated[str | None, typer.Option(metavar="TEXT", help="5. Its causes.")] = None,
    actions: Annotated[str | None, typer.Option(metavar="TEXT", help="6. What was done.")] = None,
    inquiry: Annotated[str | None, typer.Option(metavar="TEXT", help="7. The inquiry.")] = None,
    position: Annotated[str | None, typer.Option(metavar="TEXT", help="The mayor's position.")] = None,
    position_on: Annotated[str | None, typer.Option(metavar="DATE", help="Its date; else today.")] = None,
    identity: Proof = None,
    passphrase_file: PassphraseFiles = None,
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Fill fields of a protocol; it is complete when 2 to 7 are filled."""
    from bystander.custody import protocols as room

    use(lang)
    said = {
        "parties": parties,
        "location": location,
        "breach": breach,
        "causes": causes,
        "actions": actions,
        "inquiry": inquiry,
        "position": position,
        "position_on": position_on,
    }
    given = {name: value for name, value in said.items() if value is not None}
    settings = load(config)
    if identity:
        with_care()
    unlock = unlocking(identity, passphrase_file)
    done = with_desk(settings, lambda desk: room.fill(desk, number, given, unlock))
    state = t("complete") if done.completed_ns is not None else f"{t('missing')}: {_fields(done.missing)}"
    say(_described(done), f"{t('protocol')} {number}: {state}", json=json)
    return 0


def protocol_print(
    number: Number,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.pdf", help="Where the PDF goes.")],
    lang: Lang = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """Print a protocol as PDF: annex 2, in Polish."""
    from bystander.custody import printing
    from bystander.custody import protocols as room

    use(lang)
    settings = load(config)

    async def work(desk: Desk) -> bytes:
        content = printing.listening(office_of(settings), await room.form(desk, number))
        desk.note("printed", form="protocol", protocol=number)
        return content

    write_new(output, with_desk(settings, work))
    say({"file": str(output)}, f"{t('written to')} {output}", json=json)
    return 0


def _fields(names: Sequence[str]) -> str:
    """Name fields of the form, and the options that fill them."""
    return ", ".join(name if t(name) == name else f"{t(name)} (--{name})" for name in names)


def _line(one: Protocol, settings: Config) -> str:
    from bystander.moments import from_ns

    when = from_ns(one.opened_ns).astimezone(settings.zone())
    state = t("complete") if one.completed_ns is not None else t("open")
    return (
        f"{one.number:>4}  {when:%Y-%m-%d %H:%M}  {one.recording}  {plain(one.case):<16} "
        f"{t(one.purpose):<16} {state}"
    )


def _described(one: Protocol) -> dict[str, Any]:
    from bystander.retention.erasure import as_text

    return {
        "protocol": one.number,
        "recording": one.recording,
        "case": one.case,
        "purpose": one.purpose,
        "justification": one.justification,
        "persons": [number for number in (one.person, one.second_person) if number is not None],
        "opened_at": as_text(one.opened_ns),
        "ended_at": None if one.ended_ns is None else as_text(one.ended_ns),
        "from_s": one.from_s,
        "to_s": one.to_s,
        "fields": one.fields,
        "missing": one.missing,
        "state": "open" if one.completed_ns is None else "complete",
    }
