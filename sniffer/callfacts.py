"""A call as it is handed out, and how it is composed of its legs."""

from __future__ import annotations

from dataclasses import dataclass, field

from bystander.sniffer.dialogs import other
from bystander.sniffer.direction import Office, direction
from bystander.sniffer.infodigits import InfoPress
from bystander.sniffer.leg import ClaimedStream, Leg
from bystander.sniffer.linking import Linker
from bystander.sniffer.offers import Hold
from bystander.sniffer.realm import realm_of
from bystander.sniffer.sip import Arrival
from bystander.sniffer.siprec import RecordingSession
from bystander.sniffer.transfers import Transfer
from bystander.sniffer.twosides import tell_apart


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Times in seconds, and the bounds of the table.

    ``linger_s``         from the end of a call until it is handed out
    ``retry_s``          how long a challenged or redirected caller may take to try again: it may have to ask
                         for a password
    ``setup_timeout_s``  without a final response and without a sign of life
    ``media_timeout_s``  an answered call whose claimed streams are all silent, without BYE, and not on hold
    ``idle_limit_s``     the same on hold, or when none of its media was ever seen
    ``early_s``          how long before its description a stream may have begun
    ``unclaimed_s``      how long a stream waits for a claim
    ``link_window_s``    within which legs of one call begin (C7)
    ``link_wait_s``      how long a finished leg waits for the legs it is linked with
    """

    linger_s: float = 2.0
    retry_s: float = 90.0
    setup_timeout_s: float = 240.0
    media_timeout_s: float = 120.0
    idle_limit_s: float = 86_400.0
    early_s: float = 5.0
    unclaimed_s: float = 60.0
    link_window_s: float = 30.0
    link_wait_s: float = 5.0
    max_calls: int = 20_000
    max_unclaimed: int = 50_000
    office: Office = field(default_factory=Office)


@dataclass(slots=True)
class Call:
    """A call that is over, as it is handed out.

    ``state`` is answered, cancelled, busy, failed, unanswered or incomplete. ``final_status`` is 0 when no
    final response was seen. ``ended_by`` is caller, callee, timeout, capture-end, or None where a response
    ended it. ``streams`` are audio; ``other_streams`` are what else was negotiated (video, T.38).
    ``transfers`` and ``related`` (by Call-ID: what this call is to it) lead to the other calls of its case.
    ``media_expected``: audio was agreed on, so an answered call without streams has lost them.
    """

    call_id: str
    linked_call_ids: list[str]
    direction: str
    caller: str
    callee: str
    caller_name: str
    state: str
    final_status: int
    started_ns: int
    answered_ns: int | None
    ended_ns: int
    ended_by: str | None
    transport: str
    holds: list[Hold]
    info_digits: list[InfoPress]
    streams: list[ClaimedStream]
    other_streams: list[ClaimedStream]
    media_expected: bool
    messages: list[Arrival]
    evidence_truncated: bool
    transfers: list[Transfer] = field(default_factory=list)
    related: dict[str, str] = field(default_factory=dict)
    siprec: RecordingSession | None = None
    media: list[str] = field(default_factory=list)
    """What was agreed on: audio, video, image/t38 and so on (``mediakinds.py``)."""
    realm: str = ""
    """Where its first leg was seen, if networks are told apart (``realm.py``)."""

    @property
    def name(self) -> str:
        """The Call-ID, and the realm that it holds within."""
        return f"{self.call_id} {self.realm}" if self.realm else self.call_id


def compose(legs: list[Leg], linker: Linker, office: Office) -> Call:
    """Make one call of the legs of one, the first one leading."""
    first = legs[0]
    session = first.session
    answered = session.outcome == "answered"
    streams = [claimed for leg in legs for claimed in linker.roles(first, leg)]
    started_ns, answered_ns = first.started_ns, session.answered_ns
    if answered and answered_ns is None:
        # The 200 was missed, so media tells: in mid-call its beginning, else the caller's first word.
        heard = [c.stream.first_ns for c in streams if session.midcall or c.by == "caller"]
        answered_ns = min(heard, default=started_ns)
        if session.midcall:
            started_ns = min(started_ns, answered_ns)
    if answered_ns is not None:
        answered_ns = max(started_ns, answered_ns)  # capture clocks may run backwards (C18)
    ended_ns = session.decided_ns if session.decided_ns is not None else first.last_ns
    caller, callee, caller_name = first.caller, first.callee, first.caller_name
    if first.siprec is not None:
        caller, callee, caller_name = first.siprec.names() or (caller, callee, caller_name)
        for claimed in streams:
            claimed.by = first.siprec.party(claimed.stream.src, claimed.stream.dst) or claimed.by
    tell_apart(streams)
    messages = first.evidence
    if len(legs) > 1:
        messages = sorted((a for leg in legs for a in leg.evidence), key=lambda arrival: arrival.time_ns)
    # Legs in different realms may have one Call-ID.
    names = list(dict.fromkeys(str(leg.call_id) for leg in legs))
    return Call(
        call_id=names[0],
        linked_call_ids=[name for name in names if name != names[0]],
        direction=direction(office.has(caller, first.caller_host), office.has(callee, legs[-1].callee_host)),
        caller=caller,
        callee=callee,
        caller_name=caller_name,
        state=session.outcome,
        final_status=session.final_status,
        started_ns=started_ns,
        answered_ns=answered_ns if answered else None,
        ended_ns=max(ended_ns, answered_ns or started_ns),
        ended_by=session.ended_by,
        transport=first.transport,
        holds=first.media.holds,
        info_digits=_digits(legs, linker),
        streams=[claimed for claimed in streams if claimed.kind == "audio"],
        other_streams=[claimed for claimed in streams if claimed.kind != "audio"],
        media_expected=answered and any(leg.media.audio_agreed for leg in legs),
        messages=messages,
        media=list(dict.fromkeys(kind for leg in legs for kind in leg.media.kinds)),
        evidence_truncated=any(leg.evidence_dropped for leg in legs),
        siprec=first.siprec,
        realm=realm_of(first.call_id),
        transfers=list(dict.fromkeys(transfer for leg in legs for transfer in leg.transfers)),
        related={
            str(call_id): relation
            for leg in legs
            for call_id, relation in leg.related.items()
            if all(call_id != member.call_id for member in legs)
        },
    )


def _digits(legs: list[Leg], linker: Linker) -> list[InfoPress]:
    """Return the keys that INFO told of on all legs, by the parties of the first one."""
    return [
        press._replace(leg=number, by=other(press.by) if linker.turned(legs[0], leg) else press.by)
        for number, leg in enumerate(legs)
        for press in leg.digits
    ]
