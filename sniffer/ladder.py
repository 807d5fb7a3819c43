"""A call's signalling as a ladder: one column for each endpoint, one arrow for each message.

Only what is drawn is worked out here; colours and the width of the screen belong to who draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bystander.sniffer.address import Endpoint, format_endpoint
from bystander.sniffer.sip import Arrival, Message


@dataclass(slots=True)
class Arrow:
    """One message: from column ``source`` to column ``target``, ``offset_ms`` after the first one.

    ``label`` is the method, or status and reason; ``note`` what its session description offers, such as
    ``"audio 10.0.0.1:4000 PCMA, TELEPHONE-EVENT"``; ``repeats`` counts retransmissions drawn as one.
    ``kind`` is request, provisional, success or failure.
    """

    time_ns: int
    offset_ms: float
    source: int
    target: int
    label: str
    note: str
    kind: str
    repeats: int = 0


@dataclass(slots=True)
class Ladder:
    """Columns from left to right, in order of appearance, and arrows from top to bottom."""

    columns: list[str]
    arrows: list[Arrow]


def ladder(arrivals: Sequence[Arrival]) -> Ladder:
    """Return the ladder of the messages, in the order given.

    The sides of a connection over TCP whose port changes are one column: a host that appears with several
    ports is one column unless two of its ports talk to each other.
    """
    names = _columns(arrivals)
    columns: list[str] = []
    arrows: list[Arrow] = []
    last: bytes = b""
    for arrival in arrivals:
        places = []
        for endpoint in (arrival.src, arrival.dst):
            name = names[endpoint]
            if name not in columns:
                columns.append(name)
            places.append(columns.index(name))
        source, target = places
        raw = bytes(arrival.raw)
        if arrows and raw == last and (arrows[-1].source, arrows[-1].target) == (source, target):
            arrows[-1].repeats += 1
            continue
        last = raw
        message = arrival.message
        arrows.append(
            Arrow(
                time_ns=arrival.time_ns,
                offset_ms=(arrival.time_ns - arrivals[0].time_ns) / 1e6,
                source=source,
                target=target,
                label=_label(message),
                note=_note(message),
                kind=_kind(message),
            )
        )
    return Ladder(columns, arrows)


def _columns(arrivals: Sequence[Arrival]) -> dict[Endpoint, str]:
    """Name the column of each endpoint: its host, with the port where hosts alone would be ambiguous."""
    ports: dict[str, set[int]] = {}
    for arrival in arrivals:
        for host, port in (arrival.src, arrival.dst):
            ports.setdefault(host, set()).add(port)
    loops = {arrival.src[0] for arrival in arrivals if arrival.src[0] == arrival.dst[0]}
    names = {}
    for host, seen in ports.items():
        for port in seen:
            alone = len(seen) > 1 and host not in loops
            names[host, port] = host if alone else format_endpoint((host, port))
    return names


def _label(message: Message) -> str:
    if message.method is not None:
        return message.method
    return f"{message.status} {message.reason}".strip()


def _kind(message: Message) -> str:
    if message.method is not None:
        return "request"
    if message.status < 200:
        return "provisional"
    return "success" if message.status < 300 else "failure"


def _note(message: Message) -> str:
    sdp = message.sdp
    if sdp is None:
        return ""
    parts = []
    for media in sdp.media:
        where = format_endpoint((media.address, media.port)) if media.port else "refused"
        codecs = ", ".join(
            media.formats[number].encoding if number in media.formats else str(number)
            for number in media.payload_types
        )
        parts.append(
            " ".join(word for word in (media.kind, where, codecs, _direction(media.direction)) if word)
        )
    return "; ".join(parts)


def _direction(direction: str) -> str:
    return "" if direction == "sendrecv" else direction
