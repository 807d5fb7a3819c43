"""A capture as we see it and as TShark does: the calls and the RTP streams, and where the two differ."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from bystander.config import Config
from bystander.errors import UserError
from bystander.finished import Finished, FinishedCall
from bystander.inspect import tshark_messages, tshark_version
from bystander.nospool import NoSpool
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.settings import call_settings
from bystander.sniffer.capturefile import open_captures
from bystander.sniffer.sip import Arrival

#: TShark reads some 100,000 packets a second.
_PATIENCE_S: Final = 3600
#: A row of ``tshark -z rtp,streams``: begin, end, source, destination, SSRC, payload types, packets, lost.
_ROW: Final = re.compile(
    r"^\s*[\d.]+\s+[\d.]+\s+(?P<src>[\da-fA-F.:]+)\s+(?P<sport>\d+)\s+"
    r"(?P<dst>[\da-fA-F.:]+)\s+(?P<dport>\d+)\s+"
    r"(?P<ssrc>0x[\dA-Fa-f]+)\s+(?P<payload>.+?)\s+(?P<packets>\d+)\s+(?P<lost>-?\d+) \("
)


def crosscheck(captures: list[Path], settings: Config) -> dict[str, Any]:
    """Compare both views of capture files.

    Returns ``bystander`` and ``tshark``, each with ``calls`` (Call-ID: how it ended) and ``streams`` (name:
    packets, duplicates included), ``differences`` with ``what``, ``key``, both values (None: not seen) and
    ``why``, where that can be told, and ``tshark_version``. Raises UserError if TShark is not installed or
    fails, CaptureError.
    """
    program = shutil.which("tshark")
    if program is None:
        raise UserError("tshark is not installed; `apt install tshark`, or leave --compare out")
    ours, ports = _our_view(captures, settings)
    theirs = _their_view(program, captures, ports)
    differences = [
        *_differences("call", ours["calls"], theirs["calls"]),
        *_differences("stream", ours["streams"], theirs["streams"]),
    ]
    return {
        "bystander": ours,
        "tshark": theirs,
        "differences": differences,
        "tshark_version": tshark_version(program),
    }


def _our_view(captures: list[Path], settings: Config) -> tuple[dict[str, Any], set[tuple[str, int]]]:
    """Return what we see, and the ports on which SIP is spoken."""
    calls: dict[str, str] = {}
    streams: dict[str, int] = {}
    ports: set[tuple[str, int]] = set()

    def take_stream(stream: dict[str, Any]) -> None:
        streams[_name(stream["src"], stream["dst"], stream["ssrc"])] = (
            stream["packets"] + stream["duplicates"]
        )

    def take(finished: Finished) -> None:
        if isinstance(finished, FinishedCall):
            call = finished.call
            for name in (call.call_id, *call.linked_call_ids):
                calls[name] = str(call.state)
            for stream in (*finished.streams, *finished.other_streams):
                take_stream(stream)

    def arrived(arrival: Arrival) -> None:
        if arrival.transport in ("udp", "tcp"):
            ports.update((arrival.transport, port) for port in (arrival.src[1], arrival.dst[1]))

    pipeline = Pipeline(
        PipelineSettings(calls=call_settings(settings, patient=True), excluded=lambda _call: "compared"),
        NoSpool(),
        take,
        arrived,
    )
    with open_captures(captures) as source:
        for frames in source.blocks():
            pipeline.feed(frames)
    pipeline.close()
    for stream in pipeline.unclaimed:
        take_stream(stream)
    return {"calls": calls, "streams": streams}, ports


def _their_view(program: str, captures: list[Path], ports: set[tuple[str, int]]) -> dict[str, Any]:
    calls: dict[str, str] = {}
    streams: dict[str, int] = {}
    for capture in captures:
        for message in tshark_messages(program, capture, ports):
            _follow(calls, message)
        command = [
            program,
            "-n",
            "-q",
            "-r",
            str(capture),
            "--enable-heuristic",
            "rtp_udp",
            "-z",
            "rtp,streams",
        ]
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
        if asked.returncode:
            said = asked.stderr.strip().split("\n")[-1]
            raise UserError(f"{capture}: tshark could not read it: {said}")
        for line in asked.stdout.splitlines():
            if row := _ROW.match(line):
                src, dst = _end(row["src"], row["sport"]), _end(row["dst"], row["dport"])
                name = _name(src, dst, f"{int(row['ssrc'], 16):#010x}")
                streams[name] = streams.get(name, 0) + int(row["packets"])
    return {"calls": calls, "streams": streams}


def _follow(calls: dict[str, str], message: dict[str, Any]) -> None:
    """Tell how a call ended from TShark's reading of its messages, in order."""
    name, status = message["call_id"], message["status"]
    if not name or message["cseq_method"] != "INVITE":
        return
    before = calls.setdefault(name, "incomplete")
    if before == "answered" or status < 200:
        return
    if status < 300:
        calls[name] = "answered"
    elif status in (486, 600):
        calls[name] = "busy"
    elif status == 487:
        calls[name] = "cancelled"
    else:
        calls[name] = "failed"


def _differences(what: str, ours: dict[str, Any], theirs: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "what": what,
            "key": key,
            "bystander": ours.get(key),
            "tshark": theirs.get(key),
            "why": _why(what, ours.get(key), theirs.get(key)),
        }
        for key in sorted({*ours, *theirs})
        if ours.get(key) != theirs.get(key) and not _same(what, ours.get(key), theirs.get(key))
    ]


def _same(what: str, ours: Any, theirs: Any) -> bool:
    """TShark's messages say that a call failed; whether it rang first, and so was unanswered, only we ask."""
    return what == "call" and ours == "unanswered" and theirs in ("failed", "cancelled")


def _why(what: str, ours: Any, theirs: Any) -> str:
    if what == "stream" and ours is None and theirs == 1:
        return "one packet that looks like RTP and no second: TShark was told to guess"
    if what == "stream" and theirs is None:
        return "TShark takes RTP for another protocol here, or does not open what it is in"
    if what == "stream" and ours is not None and ours < theirs:
        return "packets of this name before or after the stream, or with broken headers"
    if what == "call" and theirs is None:
        return "TShark found no INVITE, nor an answer to one, under this Call-ID"
    return ""


def _name(src: str, dst: str, ssrc: str) -> str:
    return f"{src} > {dst} {ssrc}"


def _end(address: str, port: str) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
