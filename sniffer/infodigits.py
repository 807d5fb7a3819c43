"""Digits sent as SIP INFO: application/dtmf-relay and application/dtmf, as telephones do it (no RFC does)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from bystander.codecs.events import DIGITS
from bystander.sniffer.dialogs import Party

_SIGNAL: Final = re.compile(
    rb"^[ \t]*signal[ \t]*=[ \t]*([0-9a-d*#]{1,2}|xx?)[ \t\r]*$", re.IGNORECASE | re.MULTILINE
)
_BARE: Final = re.compile(rb"^\s*([0-9a-d*#]{1,2}|xx?)\s*$", re.IGNORECASE)
_DURATION: Final = re.compile(rb"^[ \t]*duration[ \t]*=[ \t]*(\d{1,6})", re.IGNORECASE | re.MULTILINE)


class InfoPress(NamedTuple):
    """A key that an INFO request told of: when it was seen, which, by whom, how long (None: not said).

    ``leg`` numbers the legs of a call: the same key on another leg is the same press.
    """

    at_ns: int
    digit: str
    by: Party
    duration_ms: int | None = None
    leg: int = 0


def info_duration_ms(body: bytes) -> int | None:
    """Return how long a key was held, as application/dtmf-relay says it, or None."""
    found = _DURATION.search(body)
    return int(found[1]) if found is not None else None


def info_digit(content_type: str, body: bytes) -> str | None:
    """Return the digit (``0-9 * # A-D``) that an INFO request carries, or None if it carries none.

    One that was hidden before it was kept (``maskedinfo.py``) is ``x``.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/dtmf-relay":
        found = _SIGNAL.search(body)
    elif kind == "application/dtmf":
        found = _BARE.match(body) or _SIGNAL.search(body)
    else:
        return None
    if found is None:
        return None
    text = found[1].decode("ascii").upper()
    if text.startswith("X"):
        return "x"
    if len(text) == 1:
        return text
    # Some telephones send the event code of RFC 4733 section 3.2 as a decimal number.
    if text.isdecimal() and int(text) < len(DIGITS):
        return DIGITS[int(text)]
    return None
