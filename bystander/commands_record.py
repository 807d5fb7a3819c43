"""The commands that record: `extract` from capture files to a folder, `run` as the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bystander.lang import t, told
from bystander.output import console, print_json, progress, warn

if TYPE_CHECKING:
    from bystander.config import Config

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", metavar="FILE", help="Configuration; else BYSTANDER_CONFIG, else /etc/bystander."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def extract(
    captures: Annotated[
        list[Path], typer.Argument(metavar="CAPTURE", help="pcap or pcapng files, also .gz.")
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for the WAVs and calls.json.")
    ],
    show: Annotated[
        bool, typer.Option("--show", help="Show the calls as a table with their waveforms.")
    ] = False,
    json: Json = False,
    office_number: Annotated[
        list[str] | None,
        typer.Option(metavar="PREFIX", help="The office's numbers, or /regex/; repeatable."),
    ] = None,
    office_network: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", help="The network of the office's telephones; repeatable."),
    ] = None,
    keep_unclaimed: Annotated[
        bool, typer.Option("--keep-unclaimed", help="Keep audio that belongs to no call seen.")
    ] = False,
    tls_keylog: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keys of TLS connections (NSS key log), to read SIP over TLS."),
    ] = None,
    separate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Tell networks with one address plan apart: vlan, vni, gre, erspan; repeatable.",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("-c", "--config", metavar="FILE", help="Configuration; none is needed.")
    ] = None,
) -> int:
    """Write the calls of captures as WAVs and calls.json."""
    settings = _settings(config, office_number or [], office_network or [], tls_keylog, separate or [])
    from bystander.extract import extract as extract_calls
    from bystander.process import prepare_process

    prepare_process()
    with progress(t("reading"), hidden=json, of_bytes=True) as shown:
        result = extract_calls(
            captures,
            out,
            settings,
            keep_unclaimed=keep_unclaimed,
            progress=shown,
        )
    if json:
        print_json(result)
    else:
        _tell(result, out, settings, table=show)
    # What could be read is there; that something could not be is still a failure.
    for line in [*result.get("notes", []), *result.get("problems", [])]:
        warn(told(line))
    return 1 if result.get("problems") else 0


def run(
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="CAPTURE", help="More files for --read.")
    ] = None,
    config: ConfigFile = None,
    interface: Annotated[
        str | None,
        typer.Option(metavar="IF", help="The mirror port; outweighs the configuration."),
    ] = None,
    read: Annotated[
        list[Path] | None,
        typer.Option(metavar="CAPTURE", help="Feed capture files the same way, then end."),
    ] = None,
) -> int:
    """Record the calls of the mirror port until told to stop.

    By SIGTERM or SIGINT; with --read, until the files end.
    """
    if more and not read:
        raise typer.BadParameter(f"unexpected argument {more[0]}; capture files follow --read")
    if read and interface:
        raise typer.BadParameter("--interface and --read exclude each other")
    from bystander.config import load, path_of

    settings = load(config)
    from bystander.daemon import run as run_daemon

    return run_daemon(
        settings, interface=interface, read=[*read, *(more or [])] if read else None, file=path_of(config)
    )


def _settings(
    config: Path | None,
    numbers: list[str],
    networks: list[str],
    tls_keylog: Path | None,
    separate: list[str],
) -> Config | None:
    """Return what files and options say; None where nothing was said, and then none of it is loaded."""
    if config is None and tls_keylog is None and not numbers and not networks and not separate:
        return None
    from bystander.config import Config, load, settings

    known = load(config) if config else Config()
    given = settings(office={"numbers": numbers, "networks": networks}, capture={"separate": separate})
    office = known.office.model_copy(
        update={
            "numbers": known.office.numbers + given.office.numbers,
            "networks": known.office.networks + given.office.networks,
        }
    )
    update: dict[str, Any] = {"separate": known.capture.separate + given.capture.separate}
    if tls_keylog is not None:
        update["tls_keylog"] = tls_keylog
    capture = known.capture.model_copy(update=update)
    return known.model_copy(update={"office": office, "capture": capture})


def _tell(result: dict[str, Any], out: Path, settings: Config | None, *, table: bool) -> None:
    found = result["calls"]
    if table:
        screen = console()
        from bystander.render import calls_table, legend

        for line in calls_table(found, out, screen.width, settings.zone() if settings else None):
            screen.print(line)
        if any(call["recording"] for call in found):
            screen.print(legend(found))
    recordings = sum(call["recording"] is not None for call in found)
    unclaimed = len(result["unclaimed_streams"])
    text = t(
        "{calls} {calls:call|calls}, {recordings} {recordings:recording|recordings} in {out}",
        calls=len(found),
        recordings=recordings,
        out=out,
    )
    if unclaimed:
        text += t("; {streams} {streams:stream|streams} belonged to no call seen", streams=unclaimed)
    # Not by rich: loading it for one line takes as long as reading 50,000 packets.
    typer.echo(text)
