"""The life of one call's signalling (RFC 3261), as a table.

Theory of operation
===================

A *session* is everything that shares one Call-ID. RFC 3261 knows INVITE transactions (section 17) and
dialogs (section 12) and no calls; a person knows only calls. So a session keeps the transactions and the
dialogs it sees, and boils them down to one state, which `TRANSITIONS` moves. As much as possible goes into
that table. What is outside it (`session.py`) answers one question only: *which event, if any, is this
message?*

We are not a party to the call. We may see a message twice (retransmission, two mirrored ports), on two hops
(a proxy on the mirrored network), late, or never; and nothing we missed will be sent again for our sake.
Hence the rules:

1.  *Only transactions make events.* An INVITE whose branch and CSeq are known is a retransmission and makes
    no event; a response makes its event only while its transaction is open. Feeding a message twice is
    therefore the same as feeding it once.
2.  *The transaction nearest the caller decides.* A proxy on the mirror shows the same INVITE with one more
    Via, and forks show several. A failure ends the call only when no other transaction is open, or when all
    the others are further downstream (more Via values) than the one that failed. A success on any hop is a
    success: 2xx responses are not undone by 486s and 487s of branches that lost, nor by a CANCEL that
    crossed them on the way.
3.  *Failure is provisional, success is not.* A proxy may try the next phone after the first was busy, a
    phone answers a challenge with a second INVITE. So failed states still listen for a new transaction. The
    caller of this module waits a little (the linger time) before it believes a failure. A BYE that is
    challenged (401, 407) has ended nothing either, nor one whose tags are of no dialog that was seen, unless
    it is accepted.
4.  *A dialog that is spoken in exists.* A BYE, a re-INVITE, or an ACK that belongs to no INVITE transaction
    proves a 2xx that we did not see. A call already going on when the capture starts is found this way.
5.  *Transactions inside a dialog do not move the call.* A re-INVITE may be refused as often as it likes.
6.  *Roles are tags.* The caller is the party whose tag is in From of the INVITE that made the dialog;
    addresses and the order of arrival say nothing.

What is *not* here: session descriptions (`offers.py`), streams (`claims.py`), clocks (`calls.py`, which
tells the session of a time-out as an event like any other).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

Party = Literal["caller", "callee"]


def other(party: Party) -> Party:
    """Return the one at the other end."""
    return "callee" if party == "caller" else "caller"


class State(StrEnum):
    """Where the call is; `OUTCOMES` says what it amounts to if it goes no further."""

    CALLING = "calling"  # an INVITE is under way
    RINGING = "ringing"  # ... and somewhere a phone rings (180)
    CHALLENGED = "challenged"  # 401, 407, 422, 3xx: the caller is expected to try again
    CANCELLING = "cancelling"  # CANCEL seen, no final response yet
    ANSWERED = "answered"
    ABANDONED = "abandoned"  # BYE before any answer was seen: a 200 that we missed, or an early dialog left
    ENDED = "ended"  # answered, then BYE or silence
    CANCELLED = "cancelled"
    BUSY = "busy"
    UNANSWERED = "unanswered"
    FAILED = "failed"
    INCOMPLETE = "incomplete"


class Event(StrEnum):
    """What a message, or the clock, means for the call."""

    INVITE = "invite"  # a new INVITE transaction outside a dialog
    RINGING = "ringing"
    CHALLENGE = "challenge"
    BUSY = "busy"
    NO_ANSWER = "no-answer"  # 408 or 480 after ringing
    REJECTED = "rejected"  # any other failure
    TERMINATED = "terminated"  # 487
    SUCCESS = "success"  # 2xx
    IN_DIALOG = "in-dialog"  # proof of a 2xx we did not see
    CANCEL = "cancel"
    BYE = "bye"
    BYE_CHALLENGED = "bye-challenged"  # 401 or 407: it has ended nothing
    SETUP_TIMEOUT = "setup-timeout"
    MEDIA_TIMEOUT = "media-timeout"
    CAPTURE_END = "capture-end"


_FINALS: Final = {
    Event.CHALLENGE: State.CHALLENGED,
    Event.BUSY: State.BUSY,
    Event.NO_ANSWER: State.UNANSWERED,
    Event.REJECTED: State.FAILED,
    Event.TERMINATED: State.CANCELLED,
}
_SUCCESS: Final = {Event.SUCCESS: State.ANSWERED, Event.IN_DIALOG: State.ANSWERED}
_AGAIN: Final = {Event.INVITE: State.CALLING, **_SUCCESS}

#: state -> event -> next state. An event that is not listed changes nothing.
TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.CALLING: {
        Event.RINGING: State.RINGING,
        Event.CANCEL: State.CANCELLING,
        Event.BYE: State.ABANDONED,
        Event.SETUP_TIMEOUT: State.INCOMPLETE,
        Event.CAPTURE_END: State.INCOMPLETE,
        **_FINALS,
        **_SUCCESS,
    },
    State.RINGING: {
        Event.CANCEL: State.CANCELLING,
        Event.BYE: State.ABANDONED,
        Event.SETUP_TIMEOUT: State.UNANSWERED,
        Event.CAPTURE_END: State.INCOMPLETE,
        **_FINALS,
        **_SUCCESS,
    },
    State.CANCELLING: {
        Event.BYE: State.ABANDONED,
        Event.SETUP_TIMEOUT: State.CANCELLED,
        Event.CAPTURE_END: State.CANCELLED,
        **_FINALS,
        **_AGAIN,
    },
    State.CHALLENGED: {
        Event.BYE: State.ABANDONED,
        Event.CANCEL: State.CANCELLING,
        Event.SETUP_TIMEOUT: State.FAILED,
        Event.CAPTURE_END: State.FAILED,
        **_FINALS,
        **_AGAIN,
    },
    State.BUSY: _AGAIN,
    State.UNANSWERED: _AGAIN,
    State.FAILED: _AGAIN,
    State.CANCELLED: _AGAIN,
    State.ABANDONED: {
        Event.TERMINATED: State.CANCELLED,
        Event.SUCCESS: State.ENDED,
        Event.IN_DIALOG: State.ENDED,
    },
    State.ANSWERED: {Event.BYE: State.ENDED, Event.MEDIA_TIMEOUT: State.ENDED},
    State.ENDED: {Event.BYE_CHALLENGED: State.ANSWERED},
    State.INCOMPLETE: _AGAIN,
}

#: What the call amounts to if this is where it stops.
OUTCOMES: Final[dict[State, str]] = {
    State.CALLING: "incomplete",
    State.RINGING: "incomplete",
    State.CHALLENGED: "failed",
    State.CANCELLING: "cancelled",
    State.ANSWERED: "answered",
    State.ABANDONED: "answered",
    State.ENDED: "answered",
    State.CANCELLED: "cancelled",
    State.BUSY: "busy",
    State.UNANSWERED: "unanswered",
    State.FAILED: "failed",
    State.INCOMPLETE: "incomplete",
}

#: Nothing more is expected, apart from retransmissions and what `TRANSITIONS` still allows.
FINISHED: Final = frozenset(
    {
        State.ABANDONED,
        State.ENDED,
        State.CANCELLED,
        State.BUSY,
        State.UNANSWERED,
        State.FAILED,
        State.INCOMPLETE,
    }
)


def final_event(status: int, rang: bool) -> Event:
    """Return the event of a final response of 300 or more.

    408 and 480 are an unanswered call only if a phone rang: without that they mean a phone that is not there.
    """
    if status in (486, 600):
        return Event.BUSY
    if status == 487:
        return Event.TERMINATED
    if status in (401, 407, 422) or status < 400:
        return Event.CHALLENGE
    if rang and status in (408, 480):
        return Event.NO_ANSWER
    return Event.REJECTED
