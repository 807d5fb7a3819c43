"""One Call-ID while it lasts: its session, its media, its parties, its evidence."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

from bystander.sniffer.claims import Claims, StreamLike
from bystander.sniffer.crypto import SrtpKey
from bystander.sniffer.dialogs import Party, State
from bystander.sniffer.infodigits import InfoPress, info_digit, info_duration_ms
from bystander.sniffer.offers import Hop, Negotiation
from bystander.sniffer.protection import NOTHING, PROTECTED, Guard
from bystander.sniffer.sdp import Format
from bystander.sniffer.session import Session
from bystander.sniffer.sessiontimer import SessionTimer
from bystander.sniffer.sip import Arrival, Message
from bystander.sniffer.sipaddress import parse_address
from bystander.sniffer.siprec import RecordingSession, is_recording_session
from bystander.sniffer.transfers import Transfer

#: Evidence kept of one call; the last quarter is for messages that set up, change or end it.
MAX_EVIDENCE_MESSAGES: Final = 512
MAX_EVIDENCE_BYTES: Final = 1 << 20
#: Digits by SIP INFO listed in one call.
MAX_DIGITS: Final = 1024
#: The same bytes between the same endpoints within this time were mirrored twice (C13): telephones wait ten
#: times as long before they repeat themselves (RFC 3261 T1, 500 ms).
TWICE_NS: Final = 50_000_000
_TWICE_KEPT: Final = 8

_ESSENTIAL: Final = frozenset({"INVITE", "BYE", "CANCEL", "ACK"})


@dataclass(slots=True, eq=False)
class ClaimedStream:
    """A stream and who speaks in it.

    ``formats`` is what the payload types mean: as the receiver announced them, else as the sender did.
    ``encrypted`` says that the session descriptions protect it (SRTP), ``guard`` more exactly what they say
    of its ``hop``; ``keys`` are those with which its sender protects, as far as they were named.
    ``events`` says that the receiver takes telephone events, so that keys need not be sent as tones;
    ``from_announced`` that the stream comes from an address that its party named, and not only goes to one
    of the other's.
    """

    stream: StreamLike
    by: Party
    formats: dict[int, Format]
    encrypted: bool
    kind: str = "audio"
    hop: Hashable = None
    guard: Guard = NOTHING
    keys: list[SrtpKey] = field(default_factory=list)
    events: bool = False
    from_announced: bool = False
    mode: int | None = None
    """What the stream table was last told to do with its packets (`keeping.py`)."""


class Leg:
    """One Call-ID, from the message that opened it until the call table hands it out."""

    __slots__ = (
        "_digit_keys",
        "_evidence_bytes",
        "_latest",
        "_names_from_invite",
        "_vias",
        "call_id",
        "callee",
        "callee_host",
        "caller",
        "caller_host",
        "caller_name",
        "digits",
        "due_ns",
        "evidence",
        "evidence_dropped",
        "first_hop",
        "last_ns",
        "links",
        "media",
        "newest_cseq",
        "related",
        "released_ns",
        "session",
        "siprec",
        "started_ns",
        "streams",
        "timer",
        "transfers",
        "transport",
    )

    def __init__(self, arrival: Arrival, claims: Claims, slack_ns: int) -> None:
        message = arrival.message
        self.call_id = message.call_id
        self.session = Session(message)
        self.media = Negotiation(self, claims, slack_ns)
        self.started_ns = self.last_ns = arrival.time_ns
        self.transport = arrival.transport
        self.caller, self.callee, self.caller_name = _parties(message)
        self.first_hop = (arrival.src, arrival.dst) if message.method else (arrival.dst, arrival.src)
        self.caller_host = self.first_hop[0][0]
        self.callee_host = self.first_hop[1][0]
        self.digits: list[InfoPress] = []
        self.streams: dict[int, ClaimedStream] = {}
        self.evidence: list[Arrival] = []
        self.evidence_dropped = 0
        self.due_ns: int | None = None
        """When the call is handed out, if nothing brings it back to life."""
        self.released_ns: int | None = None
        """Until when it may wait for a leg it is linked with."""
        self.links: dict[Leg, bool] = {}
        """Other legs of the same call; whether caller and callee change places there."""
        self.timer = SessionTimer()
        self.siprec: RecordingSession | None = None
        """What is known of it where it is another recorder's session."""
        self.related: dict[str, str] = {}
        """Other calls of its case, by Call-ID: what this one is to them (`transfers.py`)."""
        self.transfers: list[Transfer] = []
        self.newest_cseq = message.cseq
        self._evidence_bytes = 0
        self._latest: OrderedDict[tuple[object, ...], int] = OrderedDict()
        self._digit_keys: set[tuple[str, int]] = set()
        self._names_from_invite = message.method == "INVITE" and not message.to_tag
        self._vias = (message.vias, message.vias)

    def seen_twice(self, arrival: Arrival) -> bool:
        """Return whether this is the same packet mirrored a second time (C13); remember it if not."""
        key = (hash(bytes(arrival.raw)), arrival.src, arrival.dst)
        before = self._latest.get(key)
        if before is not None and abs(arrival.time_ns - before) <= TWICE_NS:
            return True
        self._latest[key] = arrival.time_ns
        self._latest.move_to_end(key)
        if len(self._latest) > _TWICE_KEPT:
            self._latest.popitem(last=False)
        return False

    def observe(self, arrival: Arrival) -> list[tuple[str, int]]:
        """Take a message; return the endpoints whose claims changed."""
        message, time_ns = arrival.message, arrival.time_ns
        self.last_ns = max(self.last_ns, time_ns)
        self._keep(arrival)
        method = message.method
        if method == "INVITE":
            self._parties_of(arrival)
        elif method == "INFO":
            self._info(message, time_ns)
        self.timer.observe(message, time_ns)
        self._recorded_elsewhere(message)
        transaction = self.session.observe(message, time_ns)
        if self.session.finished and self.session.state is not State.ABANDONED:
            return []
        source, target = arrival.src[0], arrival.dst[0]
        hop = Hop((source, target) if source < target else (target, source), arrival.src)
        if self.session.midcall:
            hop.reach_ns = 0
        return self.media.observe(message, self.session, transaction, time_ns, hop)

    def _recorded_elsewhere(self, message: Message) -> None:
        """Follow a recording session: in it nobody is on hold, it only sends (RFC 7866 section 7.1.1)."""
        if self.siprec is None and message.body and is_recording_session(message):
            self.siprec = RecordingSession()
            self.media.never_held = True
        if self.siprec is not None and message.body:
            self.siprec.observe(message)

    def _parties_of(self, arrival: Arrival) -> None:
        message = arrival.message
        self.newest_cseq = max(self.newest_cseq, message.cseq)
        if message.to_tag:
            return
        if not self._names_from_invite:
            self._names_from_invite = True
            self.caller, self.callee, self.caller_name = _parties(message)
            self.caller_host, self.callee_host = arrival.src[0], arrival.dst[0]
            self.first_hop = (arrival.src, arrival.dst)
            self._vias = (message.vias, message.vias)
            return
        fewest, most = self._vias
        if message.vias < fewest:
            self.caller_host = arrival.src[0]
            self.first_hop = (arrival.src, arrival.dst)
        if message.vias > most:
            self.callee_host = arrival.dst[0]
        self._vias = (min(fewest, message.vias), max(most, message.vias))

    def _info(self, message: Message, time_ns: int) -> None:
        digit = info_digit(message.header("content-type"), bytes(message.body))
        key = (message.from_tag, message.cseq)
        if digit is None or key in self._digit_keys or len(self.digits) >= MAX_DIGITS:
            return
        self._digit_keys.add(key)
        held_ms = info_duration_ms(bytes(message.body))
        self.digits.append(InfoPress(time_ns, digit, self.session.sender(message), held_ms))

    def _keep(self, arrival: Arrival) -> None:
        message = arrival.message
        room = MAX_EVIDENCE_MESSAGES - len(self.evidence)
        spare = MAX_EVIDENCE_BYTES - self._evidence_bytes - len(arrival.raw)
        essential = (message.method or message.cseq_method) in _ESSENTIAL
        if not essential:
            room -= MAX_EVIDENCE_MESSAGES // 4
            spare -= MAX_EVIDENCE_BYTES // 4
        if room <= 0 or spare < 0:
            self.evidence_dropped += 1
            return
        self.evidence.append(arrival)
        self._evidence_bytes += len(arrival.raw)

    # -- streams ----------------------------------------------------------------------------------------

    def explain(self, claimed: ClaimedStream) -> None:
        """Fill in what the session descriptions say about a stream, in place."""
        receiver: Party = "callee" if claimed.by == "caller" else "caller"
        claimed.formats.update(self.media.formats[claimed.by])
        claimed.formats.update(self.media.formats[receiver])
        taken = self.media.formats[receiver].values()
        claimed.events = any(known.encoding == "TELEPHONE-EVENT" for known in taken)
        claimed.guard = self.media.protections.guard(claimed.hop)
        claimed.encrypted = claimed.guard.state == PROTECTED
        claimed.keys = self.media.protections.keys[claimed.by]

    def last_activity_ns(self) -> int:
        """Capture time of the last message or media packet."""
        return max((self.last_ns, *(claimed.stream.last_ns for claimed in self.streams.values())))


def _parties(message: Message) -> tuple[str, str, str]:
    """Return caller, callee and the caller's display name, as TShark and the users of telephones see them.

    From counts, not what the network asserts (RFC 3325), except that a withheld number is looked up there.
    """
    sender, target = message.from_, message.to
    caller = sender.user or sender.host
    if sender.host == "anonymous.invalid" or caller.lower() == "anonymous":
        asserted = parse_address(message.header("p-asserted-identity"))
        caller = asserted.user or asserted.host or caller
    return caller, target.user or target.host, sender.display
