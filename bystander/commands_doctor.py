"""The command `doctor`: what is wrong with a mirror, and whether TShark sees the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bystander.commands_record import Json
from bystander.lang import said, shown, t, told
from bystander.output import console, paragraph, plain, print_json, progress

if TYPE_CHECKING:
    from rich.console import Console

    from bystander.config import Config
    from bystander.doctor import Facts
    from bystander.finding import Finding

_MARKS = {
    "fault": ("✘", "bold red"),
    "warning": ("!", "yellow"),
    "note": ("·", "cyan"),
    "good": ("✔", "green"),
}
_CODECS = {"encrypted": said("encrypted"), "unknown": said("unknown")}
_WHAT = {"call": "call", "stream": "stream"}


def doctor(
    captures: Annotated[
        list[Path] | None,
        typer.Argument(metavar="CAPTURE", help="Look at capture files instead of a live mirror."),
    ] = None,
    interface: Annotated[
        str | None, typer.Option(metavar="IF", help="The mirror port; outweighs the configuration.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, max=86_400, help="How long to look at a live mirror.")
    ] = 60.0,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare what is seen in capture files with TShark's view.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option("-c", "--config", metavar="FILE", help="Configuration; none is needed.")
    ] = None,
    json: Json = False,
) -> int:
    """Say in plain words what is wrong with a mirror. Nothing of what is said on it is kept."""
    from bystander.config import Config, load

    settings = load(config) if config else Config()
    interface = interface or (None if captures else settings.capture.interface)
    if compare:
        if not captures or interface:
            raise typer.BadParameter("--compare takes capture files, and no interface")
        return _compare(captures, settings, as_json=json)
    if bool(captures) == bool(interface):
        raise typer.BadParameter("name the mirror port with --interface, or capture files")
    facts = _look(captures or [], interface, seconds, settings, hidden=json)
    from bystander.diagnosis import diagnose
    from bystander.suggest import suggested_lines

    findings, lines = diagnose(facts), suggested_lines(facts)
    if json:
        print_json(
            {
                "facts": facts.as_json(),
                "findings": [
                    {"level": one.level, "code": one.code, "text": one.text, "advice": one.advice}
                    for one in findings
                ],
                "configuration": lines,
            }
        )
    else:
        _tell(console(), facts, findings, lines)
    return 1 if any(one.level == "fault" for one in findings) else 0


def _look(
    captures: list[Path], interface: str | None, seconds: float, settings: Config, *, hidden: bool
) -> Facts:
    from bystander.doctor import look_at_files, look_at_wire

    what = t("looking at {source}", source=interface) if interface else t("reading")
    with progress(what, hidden=hidden, of_bytes=not interface) as bar:
        if interface:
            return look_at_wire(interface, seconds, settings, bar)
        return look_at_files(captures, settings, bar)


def _tell(screen: Console, facts: Facts, findings: list[Finding], lines: list[str]) -> None:
    from rich.text import Text

    for line in _seen(facts):
        screen.print(line)
    screen.print()
    for finding in findings:
        mark, colour = _MARKS[finding.level]
        text = Text(paragraph(screen, plain(shown(finding.text)), f"{mark} ", "  "))
        text.stylize(colour, 0, len(mark))
        screen.print(text)
        if finding.advice:
            screen.print(Text(paragraph(screen, plain(shown(finding.advice)), "  → ", "    "), "dim"))
    for problem in facts.problems:
        screen.print(Text.assemble(("! ", "yellow"), plain(told(problem))))
    screen.print()
    screen.print(
        t("Lines for the configuration (look at each: what was seen in a while is not all there is):")
    )
    for line in lines:
        screen.print(f"  {plain(line)}" if line else "")


def _seen(facts: Facts) -> list[str]:
    """Return what was seen, a line each."""
    from bystander.suggest import agents

    seen, heard, talk = facts.survey, facts.signalling, facts.talk
    rate = seen.frames / facts.seconds if facts.seconds else 0.0
    rtcp = t("{packets:,} RTCP {packets:packet|packets}", packets=facts.counters["rtcp"])
    lines = [
        (
            "SIP",
            t("{messages:,} {messages:message|messages}", messages=heard.messages)
            + _listed(heard.transports),
        ),
        (
            t("calls"),
            t(
                "{answered} answered: {whole} with both sides, {one_way} with one, {silent} with none",
                answered=talk.answered,
                whole=talk.whole,
                one_way=talk.one_way,
                silent=talk.silent,
            ),
        ),
        (
            t("media"),
            t("{streams} RTP {streams:stream|streams}", streams=talk.streams)
            + f"{_listed(talk.codecs)}, {rtcp}",
        ),
    ]
    hosts = list(heard.hosts.values())
    kinds = [f"{count} × {plain(shown(name))}" for name, count in agents(hosts).most_common(8)]
    if kinds:
        lines.append((t("hosts"), f"{len(hosts)}: {'; '.join(kinds)}"))
    width = max(len(name) for name, _ in lines) + 2
    return [
        t(
            "{source}: {frames:,} {frames:frame|frames}, {megabytes:,.1f} MB in {seconds:,.1f} s "
            "({rate:,.0f} frames/s)",
            source=facts.source,
            frames=seen.frames,
            megabytes=seen.bytes / 1e6,
            seconds=facts.seconds,
            rate=rate,
        ),
        *(f"{name:<{width}}{value}" for name, value in lines),
    ]


def _listed(counted: Any) -> str:
    # "encrypted" and "unknown" are no names of codecs.
    parts = [f"{plain(shown(_CODECS.get(name, name)))} {count}" for name, count in counted.most_common(8)]
    return f" ({', '.join(parts)})" if parts else ""


def _compare(captures: list[Path], settings: Config, *, as_json: bool) -> int:
    from bystander.crosscheck import crosscheck

    found = crosscheck(captures, settings)
    if as_json:
        print_json(found)
        return 0
    screen = console()
    ours, theirs = found["bystander"], found["tshark"]
    for name, view in (("Bystander", ours), (plain(found["tshark_version"]), theirs)):
        many = t(
            "{calls} {calls:call|calls}, {streams} RTP {streams:stream|streams}",
            calls=len(view["calls"]),
            streams=len(view["streams"]),
        )
        screen.print(f"{name}  {many}")
    if not found["differences"]:
        screen.print(t("No difference."))
    for difference in found["differences"]:
        screen.print(
            f"{t(_WHAT[difference['what']]):8} {plain(difference['key'])}: Bystander "
            f"{_value(difference['bystander'])}, TShark {_value(difference['tshark'])}"
        )
        if difference["why"]:
            screen.print(f"         {told(difference['why'])}")
    return 0


def _value(value: Any) -> str:
    """Return how a call ended, how many packets a stream has, or that it was not seen."""
    if value is None:
        return t("none")
    return t(value) if isinstance(value, str) else str(value)
