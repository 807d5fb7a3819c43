"""Session timers (RFC 4028): until when a dialog lives unless it is refreshed.

A 2xx to INVITE or UPDATE says in Session-Expires for how long the session is good; each further one begins
the interval anew, and one without the header ends the timer. Who refreshes does not matter to an onlooker. A
dialog whose interval has passed, with neither a refresh nor anything else heard of it, is dead, though nobody
said BYE. A 422 (interval too small) is answered by the same INVITE with a longer one: see `dialogs.py`.
"""

from __future__ import annotations

import re
from typing import Final

from bystander.sniffer.sip import Message

_S: Final = 1_000_000_000
#: The smallest interval (section 5), and one that is beyond all reason.
LEAST_S: Final = 90
_MOST_S: Final = 10_000_000
#: A refresh may be on its way, or be tried again, when the interval ends (RFC 3261 timer B).
GRACE_NS: Final = 32 * _S
_SECONDS = re.compile(r"\s*(\d{1,10})\s*(?:;|\Z)")


class SessionTimer:
    """The timer of one Call-ID; ``deadline_ns`` is None while none runs."""

    __slots__ = ("deadline_ns",)

    def __init__(self) -> None:
        self.deadline_ns: int | None = None

    def observe(self, message: Message, time_ns: int) -> None:
        """Take a message of the dialog."""
        if message.cseq_method not in ("INVITE", "UPDATE"):
            return
        if message.method is None:
            if not 200 <= message.status < 300:
                return
        elif self.deadline_ns is None:
            return  # a request asks; the answer decides, unless it goes unseen
        seconds = interval_s(message)
        if seconds is None:
            if message.method is None:
                # Nobody refreshes from here on, and nobody need.
                self.deadline_ns = None
            return
        self.deadline_ns = max(self.deadline_ns or 0, time_ns + seconds * _S)

    def expired_ns(self, now_ns: int, last_heard_ns: int) -> int | None:
        """Return when the session ran out, if it has, and nothing was heard since; else None."""
        deadline_ns = self.deadline_ns
        if deadline_ns is None or now_ns <= deadline_ns + GRACE_NS or last_heard_ns > deadline_ns:
            return None
        return deadline_ns


def interval_s(message: Message) -> int | None:
    """Return the interval that Session-Expires names, in seconds; None without one."""
    named = message.header("session-expires")
    found = _SECONDS.match(named) if named else None
    return None if found is None else min(max(int(found[1]), LEAST_S), _MOST_S)
