"""A second opinion: a call's kept signalling, read by us and by TShark, message by message."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bystander.errors import UserError
from bystander.output import one_line
from bystander.sniffer.address import format_endpoint
from bystander.sniffer.capturefile import open_captures
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.sip import Arrival, Message, parse_message
from bystander.sniffer.tcp import SipOverTcp

#: A call's signalling is a few dozen messages; TShark's start takes most of the time.
_PATIENCE_S = 120


def evidence_messages(path: Path) -> list[Arrival]:
    """Return the SIP messages of an evidence file, in the order of the file. Raises CaptureError."""
    found: list[Arrival] = []
    parser, tcp = FrameParser(), SipOverTcp()
    with open_captures([path]) as source:
        for frames in source.blocks():
            parsed = parser.parse(frames)
            for datagrams in parsed.datagrams:
                for number in range(len(datagrams)):
                    src, dst = datagrams.endpoints(number)
                    time_ns = int(datagrams.time_ns[number])
                    found += _arrival(time_ns, src, dst, "udp", datagrams.payload(number))
            for segment in parsed.segments:
                for message in tcp.feed(segment):
                    found += _arrival(*message)
        for message in tcp.flush():
            found += _arrival(*message)
    return sorted(found, key=lambda arrival: arrival.time_ns)


def _arrival(
    time_ns: int, src: tuple[str, int], dst: tuple[str, int], transport: str, raw: bytes
) -> list[Arrival]:
    message = parse_message(raw)
    return [] if isinstance(message, str) else [Arrival(time_ns, src, dst, transport, message, raw)]


def inspect_evidence(path: Path) -> dict[str, Any]:
    """Compare both readings of an evidence file.

    Returns `agrees`, `tshark_version`, and `messages`: for each `at_ns`, `offset_s`, `src`, `dst`, our
    reading (`bystander`), TShark's (`tshark`, None where it saw no message) and their `differences`. Raises
    UserError if TShark is not installed or fails, CaptureError if the file cannot be read.
    """
    program = shutil.which("tshark")
    if program is None:
        raise UserError("tshark is not installed; `apt install tshark`, or open the evidence elsewhere")
    ours = evidence_messages(path)
    # TShark goes by the port; SIP is spoken on any.
    ports = {(arrival.transport, port) for arrival in ours for port in (arrival.src[1], arrival.dst[1])}
    theirs = tshark_messages(program, path, ports)
    messages = []
    for number in range(max(len(ours), len(theirs))):
        mine = ours[number] if number < len(ours) else None
        other = theirs[number] if number < len(theirs) else None
        messages.append(_compared(mine, other, ours[0].time_ns if ours else 0))
    return {
        "agrees": not any(message["differences"] for message in messages),
        "tshark_version": tshark_version(program),
        "messages": messages,
    }


def tshark_version(program: str) -> str:
    """Return how TShark names itself and its version."""
    asked = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=False, timeout=_PATIENCE_S
    )
    return one_line(asked.stdout.split("\n", 1)[0].split("(Git", 1)[0]).rstrip(". ") or "TShark"


def tshark_messages(program: str, path: Path, ports: set[tuple[str, int]]) -> list[dict[str, Any]]:
    """Return what TShark says of each SIP message of a capture. Raises UserError if it fails.

    ``ports`` are (transport, port) on which SIP is spoken. A message has ``method``, ``status``, ``call_id``,
    ``cseq``, ``cseq_method`` and the ports of its ``media``.
    """
    # pyshark's own capture objects are left out: they install a child watcher of their own in asyncio, and
    # take the exit of a process that it missed for a crash. Its reading of TShark's output is what is wanted
    # here.
    from pyshark.tshark.output_parser.tshark_xml import packet_from_xml_packet

    command = [program, "-n", "-r", str(path), "-Y", "sip", "-T", "pdml"]
    for transport, port in sorted(ports):
        if port:
            command += ["-d", f"{transport}.port=={port},sip"]
    asked = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE_S)
    if asked.returncode:
        said = asked.stderr.decode(errors="replace").strip().split("\n")[-1]
        raise UserError(f"{path}: tshark could not read it: {said}")
    packets = re.findall(rb"<packet>.*?</packet>", asked.stdout, re.DOTALL)
    return [reading for packet in packets for reading in _readings(packet_from_xml_packet(packet))]


def _readings(packet: Any) -> Iterator[dict[str, Any]]:
    """Yield the messages of one packet; a TCP segment may hold several, each with its own SIP and SDP
    layer."""
    reading: dict[str, Any] = {}
    for layer in packet.layers:
        if layer.layer_name == "sip":
            if reading:
                yield reading
            reading = {
                "method": _value(layer, "method"),
                "status": int(_value(layer, "status_code") or 0),
                "call_id": _value(layer, "call_id"),
                "cseq": int(_value(layer, "cseq_seq") or 0),
                "cseq_method": _value(layer, "cseq_method"),
                "media": [],
            }
            reading["media"] += _media(layer)
        elif layer.layer_name == "sdp" and reading:
            reading["media"] += _media(layer)
    if reading:
        yield reading


def _media(layer: Any) -> list[int]:
    field = layer.get_field("sdp_media_port") or layer.get_field("media_port")
    return [] if field is None else [int(one.get_default_value()) for one in field.all_fields]


def _value(layer: Any, name: str) -> str:
    value = layer.get_field_value(name)
    return "" if value is None else str(value)


def _reading(message: Message) -> dict[str, Any]:
    """Our reading in the same terms."""
    sdp = message.sdp
    return {
        "method": message.method or "",
        "status": message.status,
        "call_id": message.call_id,
        "cseq": message.cseq,
        "cseq_method": message.cseq_method,
        "media": [media.port for media in sdp.media] if sdp else [],
    }


def _label(reading: dict[str, Any]) -> str:
    label = reading["method"] or f"{reading['status']} ({reading['cseq_method']})"
    media = f", media on port {' '.join(map(str, reading['media']))}" if reading["media"] else ""
    return f"{label}, CSeq {reading['cseq']}{media}"


_NAMES = {"call_id": "Call-ID", "cseq": "CSeq", "cseq_method": "CSeq method", "media": "media ports"}


def _compared(mine: Arrival | None, other: dict[str, Any] | None, first_ns: int) -> dict[str, Any]:
    ours = _reading(mine.message) if mine else None
    differences = []
    if ours is None or other is None:
        differences.append("not seen by TShark" if other is None else "not seen by Bystander")
    else:
        differences = [
            f"{_NAMES.get(name, name)}: Bystander {ours[name]!r}, TShark {other[name]!r}"
            for name in ours
            if ours[name] != other[name]
        ]
    return {
        "at_ns": mine.time_ns if mine else None,
        "offset_s": (mine.time_ns - first_ns) / 1e9 if mine else 0.0,
        "src": format_endpoint(mine.src) if mine else "",
        "dst": format_endpoint(mine.dst) if mine else "",
        "bystander": _label(ours) if ours else None,
        "tshark": _label(other) if other else None,
        "differences": differences,
    }
