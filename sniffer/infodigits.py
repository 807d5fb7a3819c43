"""Digits sent as SIP INFO: application/dtmf-relay and application/dtmf, as telephones do it (no RFC does)."""

from __future__ import annotations

import re
from typing import Final

from bystander.codecs.events import DIGITS

_SIGNAL: Final = re.compile(
    rb"^[ \t]*signal[ \t]*=[ \t]*([0-9a-d*#]{1,2})[ \t\r]*$", re.IGNORECASE | re.MULTILINE
)
_BARE: Final = re.compile(rb"^\s*([0-9a-d*#]{1,2})\s*$", re.IGNORECASE)


def info_digit(content_type: str, body: bytes) -> str | None:
    """Return the digit (``0-9 * # A-D``) that an INFO request carries, or None if it carries none."""
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
    if len(text) == 1:
        return text
    # Some telephones send the event code of RFC 4733 section 3.2 as a decimal number.
    if text.isdecimal() and int(text) < len(DIGITS):
        return DIGITS[int(text)]
    return None
