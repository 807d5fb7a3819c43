"""The commands that look at what was recorded: `calls`, `show`, `inspect`, `status`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bystander.commands_record import ConfigFile, Json
from bystander.errors import UserError
from bystander.lang import t, told
from bystander.output import console, plain, print_json

if TYPE_CHECKING:
    from bystander.config import Config
    from bystander.storage.index import Entry, Index

_T = TypeVar("_T")
#: How many calls a person is shown when not told otherwise; JSON is for programs, which get them all.
SHOWN = 50


class State(StrEnum):
    answered = "answered"
    cancelled = "cancelled"
    busy = "busy"
    failed = "failed"
    unanswered = "unanswered"
    incomplete = "incomplete"


class Verdict(StrEnum):
    recorded = "recorded"
    one_way = "one-way"
    no_media = "no-media"
    encrypted = "encrypted"
    unsupported_codec = "unsupported-codec"
    partial = "partial"
    excluded = "excluded"


class Direction(StrEnum):
    incoming = "incoming"
    outgoing = "outgoing"
    internal = "internal"
    unknown = "unknown"


RecordingId = Annotated[
    str, typer.Argument(metavar="ID", help="The recording's id, its beginning, or the call's SIP Call-ID.")
]


def calls(
    number: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Caller or callee; *5678 finds numbers that end so.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="2026-11-23, '2026-11-23 20:46', yesterday, 2h, 3d."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Before; a date includes its whole day.")
    ] = None,
    state: Annotated[State | None, typer.Option(help="How the call ended up.")] = None,
    verdict: Annotated[Verdict | None, typer.Option(help="What became of the recording.")] = None,
    direction: Annotated[Direction | None, typer.Option(help="Seen from the office.")] = None,
    case: Annotated[
        str | None, typer.Option(metavar="CASE", help="What is or was held for that case.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help=f"The newest N; else {SHOWN}, with --json all."),
    ] = None,
    json: Json = False,
    config: ConfigFile = None,
) -> int:
    """List the calls recorded, the newest first."""
    settings = _load(config)
    from bystander.moments import moment, to_ns
    from bystander.storage.index import Query

    now, zone = datetime.now(UTC), settings.zone()
    shown = limit if limit is not None else (None if json else SHOWN)
    query = Query(
        number=number,
        since_ns=to_ns(moment(since, zone, now)) if since else None,
        until_ns=to_ns(moment(until, zone, now, end=True)) if until else None,
        state=state.value if state else None,
        verdict=verdict.value if verdict else None,
        direction=direction.value if direction else None,
        case=case,
        # One more than is shown tells whether there are more.
        limit=None if shown is None else shown + 1,
    )
    found = _ask(settings, lambda index: index.calls(query))
    more = shown is not None and len(found) > shown
    found = found[:shown]
    if json:
        print_json(found)
        return 0
    from bystander.render import calls_table, legend

    screen = console()
    for line in calls_table(found, settings.recording.directory, screen.width, zone, ids=True):
        screen.print(line)
    if not found:
        screen.print(t("no such calls"))
    elif any(call["recording"] and not call["sealed"] for call in found):
        screen.print(legend(found))
    if more:
        more_text = t("the newest {number}; there are more: --limit N, or --since and --until", number=shown)
        screen.print(more_text, style="dim")
    return 0


def show(recording: RecordingId, json: Json = False, config: ConfigFile = None) -> int:
    """Show one call: facts, streams, waveform, signalling.

    The signalling is drawn as a ladder.
    """
    from bystander.cases import case_of

    settings = _load(config)
    entry, call = _find(settings, recording)
    call["case"] = _ask(settings, lambda index: case_of(index, call))
    evidence = settings.recording.directory / entry.evidence_path if entry.evidence_path else None
    if entry.sealed:
        evidence = None
    if json:
        print_json(call)
        return 0
    from bystander.render import CALLEE, CALLER, call_facts, ladder_table, picture_lines, streams_table

    screen, root = console(), settings.recording.directory
    for line in call_facts(call, root, settings.zone(), evidence):
        screen.print(line)
    if streams := [*call["streams"], *call.get("other_streams", ())]:
        screen.print()
        for line in streams_table(streams, screen.width):
            screen.print(line)
    if entry.sealed:
        screen.print()
        sealed = t("sealed: only an authorised person's key opens the audio and the signalling")
        screen.print(f"  {sealed}", style="dim")
    elif call["recording"]:
        rows = 2
        lines = picture_lines(root / call["recording"]["path"], min(screen.width - 4, 160), rows)
        screen.print()
        for place, drawn in enumerate(lines):
            screen.print(f"  {drawn}", style=CALLER if place < rows else CALLEE)
        if not lines:
            gone = t("the recording's file is not there, or cannot be read here")
            screen.print(f"  {gone}")
    if evidence is not None:
        from bystander.inspect import evidence_messages
        from bystander.sniffer.ladder import ladder

        screen.print()
        for line in ladder_table(ladder(evidence_messages(evidence)), screen.width):
            screen.print(line)
    return 0


def inspect(recording: RecordingId, json: Json = False, config: ConfigFile = None) -> int:
    """Compare a call's SIP as TShark reads it with our view.

    TShark gets the SIP messages that are kept with the call.
    """
    settings = _load(config)
    entry, call = _find(settings, recording)
    if not entry.evidence_path:
        raise UserError(f"{entry.id}: no signalling was kept of this call")
    if entry.sealed:
        raise UserError(f"{entry.id}: its signalling is sealed; only an authorised person's key opens it")
    from bystander.inspect import inspect_evidence

    report = inspect_evidence(settings.recording.directory / entry.evidence_path)
    if json:
        print_json({"id": call["id"], **report})
        return 0
    from rich.text import Text

    screen = console()
    many = t("{messages} {messages:message|messages}", messages=len(report["messages"]))
    screen.print(Text(f"{call['id']}: {many}, {report['tshark_version']}", "bold"))
    for message in report["messages"]:
        line = Text(f"{message['offset_s']:9.3f}  ", "dim")
        line.append(f"{plain(message['src'])} → {plain(message['dst'])}  ", "dim")
        line.append(plain(told(message["tshark"]) if message["tshark"] else t("(nothing)")))
        if message["differences"]:
            line.append(f"   {'; '.join(plain(told(one)) for one in message['differences'])}", "red")
        screen.print(line)
    screen.print(t("TShark agrees" if report["agrees"] else "TShark sees it differently, see above"))
    return 0


def status(json: Json = False, config: ConfigFile = None) -> int:
    """Tell whether the recorder records, and when it did not.

    Also what it has recorded, and how much room there is.
    """
    settings = _load(config)
    from bystander.status import gather, lines

    now = datetime.now(UTC)
    import asyncio

    facts = asyncio.run(gather(settings, now - timedelta(days=1), now))
    if json:
        print_json(facts)
        return 0
    screen = console()
    for line in lines(facts, settings.zone()):
        screen.print(line)
    return 0


def _load(config: Path | None) -> Config:
    from bystander.config import load

    return load(config)


def _ask(settings: Config, question: Callable[[Index], Awaitable[_T]]) -> _T:
    from bystander.storage.index import Index

    async def ask() -> _T:
        async with await Index.open(settings.recording.index, read_only=True) as index:
            return await question(index)

    import asyncio

    return asyncio.run(ask())


def _find(settings: Config, name: str) -> tuple[Entry, dict[str, Any]]:
    async def find(index: Index) -> tuple[Entry | None, dict[str, Any] | None]:
        return await index.entry(name), await index.call(name)

    entry, call = _ask(settings, find)
    if entry is None or call is None:
        raise UserError(f"{name}: there is no such recording; `bystander calls` lists them")
    return entry, call
