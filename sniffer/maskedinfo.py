"""Keys in signalling, hidden: the message is as long as before and says the same but for the keys.

They stand in the bodies of INFO (application/dtmf-relay, application/dtmf, and makers' own types) and of
NOTIFY with key presses (KPML, RFC 4730). What is hidden is written ``x``; how long a key was held stays.
"""

from __future__ import annotations

import re
from typing import Final

from bystander.sniffer.sip import Arrival, Message, parse_message

_KEYS: Final = rb"[0-9a-d*#](?:[ \t]?[0-9a-d*#])*"
#: ``Signal=5``, ``d=Digits=5``, ``<kpml-response digits="123"``
_NAMED: Final = re.compile(rb"((?:signal|digits?)[ \t]*=[ \t]*[\"']?)(" + _KEYS + rb")", re.IGNORECASE)
#: A line that is nothing but keys, as application/dtmf has it.
_BARE: Final = re.compile(rb"^[ \t]*" + _KEYS + rb"[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
_KEY: Final = re.compile(rb"[0-9a-d*#]", re.IGNORECASE)
_END_OF_HEADERS: Final = re.compile(rb"[^\r\n\t ][^\n]*\n\r?\n")


def hidden(body: bytes) -> bytes:
    """Return a body with its keys hidden, of the same length."""
    body = _NAMED.sub(lambda found: found[1] + _KEY.sub(b"x", found[2]), body)
    return _BARE.sub(lambda found: _KEY.sub(b"x", found[0]), body)


def _of_key_presses(raw: bytes) -> bool:
    message = parse_message(raw)
    return isinstance(message, Message) and "kpml" in message.header("content-type").lower()


def masked(arrival: Arrival) -> Arrival:
    """Return a message with the keys in it hidden; the same object where there are none."""
    method, raw = arrival.message.method, bytes(arrival.raw)
    # Of INFO whatever its body is called: makers have types of their own.
    told = method == "INFO" or (method == "NOTIFY" and _of_key_presses(raw))
    # What stands behind the headers, also where Content-Length denies it.
    end = _END_OF_HEADERS.search(raw) if told else None
    if end is None:
        return arrival
    shown = raw[: end.end()] + hidden(raw[end.end() :])
    read = parse_message(shown) if shown != raw else None
    if not isinstance(read, Message):
        return arrival
    return Arrival(arrival.time_ns, arrival.src, arrival.dst, arrival.transport, read, shown)
