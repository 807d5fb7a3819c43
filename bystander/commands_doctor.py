"""The command `doctor`: what is wrong with a mirror, and whether TShark sees the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bystander.commands_record import Json
from bystander.output import console, plain, print_json, progress

if TYPE_CHECKING:
    from rich.console import Console

    from bystander.config import Config
    from bystander.diagnosis import Finding
    from bystander.doctor import Facts

_MARKS = {
    "fault": ("✘", "bold red"),
    "warning": ("!", "yellow"),
    "note": ("·", "cyan"),
    "good": ("✔", "green"),
}


def doctor(
    captures: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[CAPTURE...]", help="Look at capture files instead of a live mirror."),
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

    what = f"looking at {interface}" if interface else "reading"
    with progress(what, hidden=hidden, of_bytes=not interface) as shown:
        if interface:
            return look_at_wire(interface, seconds, settings, shown)
        return look_at_files(captures, settings, shown)


def _tell(screen: Console, facts: Facts, findings: list[Finding], lines: list[str]) -> None:
    from rich.text import Text

    for line in _seen(facts):
        screen.print(line)
    screen.print()
    for finding in findings:
        mark, colour = _MARKS[finding.level]
        screen.print(Text.assemble((f"{mark} ", colour), plain(finding.text)))
        if finding.advice:
            screen.print(Text(f"  → {plain(finding.advice)}", "dim"))
    for problem in facts.problems:
        screen.print(Text.assemble(("! ", "yellow"), plain(problem)))
    screen.print()
    screen.print("Lines for the configuration (look at each: what was seen in a while is not all there is):")
    for line in lines:
        screen.print(f"  {plain(line)}" if line else "")


def _seen(facts: Facts) -> list[str]:
    """Return what was seen, a line each."""
    from bystander.suggest import agents

    seen, heard, talk = facts.survey, facts.signalling, facts.talk
    rate = seen.frames / facts.seconds if facts.seconds else 0.0
    found = [
        f"{facts.source}: {seen.frames:,} frames, {seen.bytes / 1e6:,.1f} MB in {facts.seconds:,.1f} s "
        f"({rate:,.0f} frames/s)",
        f"SIP    {heard.messages:,} messages" + _listed(heard.transports),
        f"calls  {talk.answered} answered: {talk.whole} with both sides, {talk.one_way} with one, "
        f"{talk.silent} with none",
        f"media  {talk.streams} RTP streams"
        + _listed(talk.codecs)
        + f", {facts.counters['rtcp']:,} RTCP packets",
    ]
    hosts = list(heard.hosts.values())
    kinds = [f"{count} × {name}" for name, count in agents(hosts).most_common(8)]
    if kinds:
        found.append(f"hosts  {len(hosts)}: " + "; ".join(map(plain, kinds)))
    return found


def _listed(counted: Any) -> str:
    parts = [f"{plain(name)} {count}" for name, count in counted.most_common(8)]
    return f" ({', '.join(parts)})" if parts else ""


def _compare(captures: list[Path], settings: Config, *, as_json: bool) -> int:
    from bystander.crosscheck import crosscheck

    found = crosscheck(captures, settings)
    if as_json:
        print_json(found)
        return 0
    screen = console()
    ours, theirs = found["bystander"], found["tshark"]
    screen.print(f"Bystander  {len(ours['calls'])} calls, {len(ours['streams'])} RTP streams")
    screen.print(
        f"{plain(found['tshark_version'])}  {len(theirs['calls'])} calls, {len(theirs['streams'])} RTP "
        "streams"
    )
    if not found["differences"]:
        screen.print("No difference.")
    for difference in found["differences"]:
        screen.print(
            f"{difference['what']:8} {plain(difference['key'])}: Bystander {plain(difference['bystander'])}, "
            f"TShark {plain(difference['tshark'])}"
        )
        if difference["why"]:
            screen.print(f"         {plain(difference['why'])}")
    return 0
