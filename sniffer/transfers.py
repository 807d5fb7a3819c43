"""Calls that belong to one case (C8): transferred, picked up, taken over, joined, redirected.

A transfer makes of one call several, each with a Call-ID of its own, often between other parties. They stay
calls of their own, with their own recordings, but whoever looks at one must be led to the others. What tells:

- REFER (RFC 3515) says who is to be called instead, and by Replaces in its Refer-To (RFC 3891) in place of
  which call: an attended transfer; without it a blind one. The INVITE that it brings about names the call it
  replaces, or who referred it (Referred-By, RFC 3892), or goes to whom the REFER named, from where the REFER
  went to. The NOTIFYs that follow tell what became of it (message/sipfrag, RFC 3420).
- Replaces in an INVITE without a REFER fetches a call: one that rings is picked up, one that was answered is
  taken over (parked calls are fetched so, RFC 5359 section 2.13). Join (RFC 3911) adds a party.
- Target-Dialog (RFC 4538) names the call that a REFER outside of it is about.
- A 3xx names whom to call instead; callers mostly try again with the same Call-ID, which is one call anyway.

Bounds: the newest MAX_PENDING transfers and redirections wait for their INVITE, WAIT_NS at most; a call has
MAX_RELATED relations and MAX_TRANSFERS transfers, more are counted.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from bystander.sniffer.dialogs import Party, other
from bystander.sniffer.partyname import party_key
from bystander.sniffer.realm import realm_of, within
from bystander.sniffer.sip import Arrival, Message
from bystander.sniffer.sipaddress import parse_address

if TYPE_CHECKING:
    from bystander.sniffer.leg import Leg

WAIT_NS: Final = 64_000_000_000
MAX_PENDING: Final = 1024
MAX_RELATED: Final = 32
MAX_HOSTS: Final = 16
MAX_TRANSFERS: Final = 32

_PAIRS: Final = (
    ("transferred-to", "transferred-from"),
    ("consulted-in", "consultation-for"),
    ("replaced-by", "replaces"),
    ("picked-up-by", "picks-up"),
    ("joined-by", "joins"),
    ("redirected-to", "redirected-from"),
    ("other-leg", "other-leg"),
)
#: What a call is to another, and what the other is to it.
INVERSE: Final = dict(_PAIRS) | {after: before for before, after in _PAIRS}

_SIPFRAG = re.compile(rb"\s*SIP/2\.0[ \t]+(\d{3})")
_Find = Callable[[str], "Leg | None"]


@dataclass(slots=True, eq=False)
class Transfer:
    """One transfer, the same object in all calls that it is about.

    ``kind`` is "blind" or "attended"; ``by`` and ``to`` are numbers or users. ``of`` is the Call-ID of the
    call that was transferred, ``consulted`` that of the call with the target, ``into`` that of the call it
    became; each "" where it was not seen. ``status`` is the last that was told of it, 0 if nothing was.
    """

    at_ns: int
    kind: str
    by: str
    to: str
    of: str = ""
    consulted: str = ""
    into: str = ""
    status: int = 0


@dataclass(slots=True)
class _Waiting:
    """A transfer or redirection whose INVITE is to come: to whom, and from which hosts."""

    leg: Leg
    since_ns: int
    targets: set[str]
    hosts: set[str]
    transfer: Transfer | None = None  # None: a redirection
    cseq: int = 0
    by: Party = "caller"
    caller: str = ""
    """Who was sent away, as `party_key` has it."""


class Transfers:
    """Relates the legs of the call table to one another; fed each message of theirs, in order."""

    def __init__(self, counters: Counter[str]) -> None:
        self.counters = counters
        self._waiting: deque[_Waiting] = deque()

    def __len__(self) -> int:
        """Return how many transfers wait for what becomes of them."""
        return len(self._waiting)

    def observe(self, arrival: Arrival, leg: Leg, find: _Find) -> None:
        """Take a message of a leg; ``find`` gives the leg of a Call-ID."""
        message = arrival.message
        if message.method == "INVITE":
            if not message.to_tag:
                self._invited(arrival, leg, find)
        elif message.method == "REFER":
            self._referred(arrival, leg, find, leg.session.sender(message))
        elif message.method == "NOTIFY":
            self._notified(message, leg)
        elif message.method is None:
            if message.cseq_method == "REFER":
                self._answered(message, leg)
            elif message.cseq_method == "INVITE" and 300 <= message.status < 400:
                self._redirected(arrival, leg)

    def outside(self, arrival: Arrival, find: _Find) -> None:
        """Take a message that belongs to no leg: a REFER may name the call that it is about."""
        message = arrival.message
        if message.method == "REFER":
            leg = find(_call_id(message, message.header("target-dialog")))
            if leg is not None:
                self._referred(arrival, leg, find, _named_party(leg, message))

    # -- what is asked for ------------------------------------------------------------------------------

    def _referred(self, arrival: Arrival, leg: Leg, find: _Find, by: Party) -> None:
        message, now_ns = arrival.message, arrival.time_ns
        self._expire(now_ns)
        target = message.header("refer-to")
        if not target:
            return
        for known in self._waiting:
            if (
                known.leg is leg
                and known.transfer is not None
                and (known.cseq, known.by) == (message.cseq, by)
            ):
                if len(known.hosts) < MAX_HOSTS:
                    known.hosts.add(arrival.dst[0])  # once more, or on another hop
                return
        address = parse_address(target)
        consulted = _call_id(message, _embedded(target, "replaces"))
        transfer = Transfer(
            at_ns=now_ns,
            kind="attended" if consulted else "blind",
            by=leg.caller if by == "caller" else leg.callee,
            to=address.user or address.host,
            of=leg.call_id,
            consulted=consulted,
        )
        if not self._note(leg, transfer):
            return
        partner = find(consulted) if consulted else None
        if partner is not None and partner is not leg:
            self._note(partner, transfer)
            self._relate(leg, partner, "consulted-in")
        waiting = _Waiting(leg, now_ns, {party_key(transfer.to)} - {""}, {arrival.dst[0]}, transfer)
        waiting.cseq, waiting.by = message.cseq, by
        self._wait(waiting)
        if partner is not None:
            # The call it brings about may have been seen first, on another port of the mirror.
            made = [find(call_id) for call_id, what in partner.related.items() if what == "replaced-by"]
            for already in made:
                if already is not None and already is not leg:
                    self._complete(waiting, already)

    def _redirected(self, arrival: Arrival, leg: Leg) -> None:
        message = arrival.message
        addresses = [parse_address(value) for value in message.values("contact")[:8]]
        targets = {party_key(address.user or address.host) for address in addresses} - {""}
        if not targets or any(w.leg is leg and w.targets == targets for w in self._waiting):
            return
        self._expire(arrival.time_ns)
        waiting = _Waiting(leg, arrival.time_ns, targets, {arrival.dst[0]})
        waiting.caller = party_key(leg.caller)
        self._wait(waiting)

    # -- what becomes of it -----------------------------------------------------------------------------

    def _invited(self, arrival: Arrival, leg: Leg, find: _Find) -> None:
        message = arrival.message
        self._expire(arrival.time_ns)
        replaced = _call_id(message, message.header("replaces"))
        if replaced and replaced != leg.call_id:
            self._replaced(arrival, leg, find(replaced), replaced)
            return
        joined = find(_call_id(message, message.header("join")))
        if joined is not None and joined is not leg:
            self._relate(joined, leg, "joined-by")
        if not self._waiting:
            return
        target, referred = party_key(leg.callee), parse_address(message.header("referred-by"))
        caller = party_key(leg.caller)
        for waiting in reversed(self._waiting):
            if waiting.leg is leg or target not in waiting.targets or leg.started_ns < waiting.since_ns:
                continue
            if realm_of(waiting.leg.call_id) != realm_of(leg.call_id):
                continue  # the same number in another address plan
            if waiting.transfer is None:
                # Only the caller that was sent away tries again.
                if caller == waiting.caller and arrival.src[0] in waiting.hosts:
                    self._relate(waiting.leg, leg, "redirected-to")
                    return
            elif waiting.transfer.into not in ("", leg.call_id):
                continue
            elif referred.user or referred.host or arrival.src[0] in waiting.hosts:
                self._complete(waiting, leg)
                return

    def _replaced(self, arrival: Arrival, leg: Leg, partner: Leg | None, replaced: str) -> None:
        for waiting in self._waiting:
            transfer = waiting.transfer
            if transfer is not None and transfer.consulted == replaced:
                if waiting.leg is not leg:
                    self._complete(waiting, leg)
                break
        else:
            referred = parse_address(arrival.message.header("referred-by"))
            by = referred.user or referred.host
            if by and not any(known.consulted == replaced for known in leg.transfers):
                # Its REFER was not seen: on the other side of an exchange.
                seen = Transfer(arrival.time_ns, "attended", by, leg.callee, "", replaced, leg.call_id)
                self._note(leg, seen)
                if partner is not None:
                    self._note(partner, seen)
        if partner is None:
            if len(leg.related) < MAX_RELATED:
                leg.related.setdefault(replaced, "replaces")
        elif replaced not in leg.related:
            rings = partner.session.answered_ns is None and not partner.session.midcall
            self._relate(partner, leg, "picked-up-by" if rings else "replaced-by")

    def _complete(self, waiting: _Waiting, leg: Leg) -> None:
        transfer = waiting.transfer
        assert transfer is not None
        transfer.into = leg.call_id
        self._note(leg, transfer)
        self._relate(waiting.leg, leg, "transferred-to")

    def _answered(self, message: Message, leg: Leg) -> None:
        if message.status < 200:
            return
        asked: Party = other(leg.session.sender(message))
        for waiting in self._waiting:
            transfer = waiting.transfer
            if transfer is None or waiting.leg is not leg:
                continue
            if (waiting.cseq, waiting.by) == (message.cseq, asked) and transfer.status < 200:
                transfer.status = message.status
                if message.status >= 300:
                    self._waiting.remove(waiting)
                return

    def _notified(self, message: Message, leg: Leg) -> None:
        """Take note of what the transferee tells of its call (RFC 3515 section 2.4.5)."""
        if not message.header("event").lower().startswith("refer") or not leg.transfers:
            return
        for media_type, body in message.parts():
            told = _SIPFRAG.match(body) if media_type == "message/sipfrag" else None
            if told is not None:
                own = [transfer for transfer in leg.transfers if transfer.of == leg.call_id]
                if own:
                    own[-1].status = int(told[1])
                return

    # -- keeping it -------------------------------------------------------------------------------------

    def _wait(self, waiting: _Waiting) -> None:
        if len(self._waiting) >= MAX_PENDING:
            self._waiting.popleft()
            self.counters["transfers-evicted"] += 1
        self._waiting.append(waiting)

    def _expire(self, now_ns: int) -> None:
        while self._waiting and not 0 <= now_ns - self._waiting[0].since_ns <= WAIT_NS:
            self._waiting.popleft()

    def _note(self, leg: Leg, transfer: Transfer) -> bool:
        if transfer in leg.transfers:
            return True
        if len(leg.transfers) >= MAX_TRANSFERS:
            self.counters["transfers-dropped"] += 1
            return False
        leg.transfers.append(transfer)
        return True

    def _relate(self, one: Leg, two: Leg, relation: str) -> None:
        relate(one, two, relation)


def relate(one: Leg, two: Leg, relation: str) -> None:
    """Note on both legs what the one is to the other; what was noted first stays."""
    for leg, partner, what in ((one, two, relation), (two, one, INVERSE[relation])):
        if len(leg.related) < MAX_RELATED:
            leg.related.setdefault(partner.call_id, what)


def _named_party(leg: Leg, message: Message) -> Party:
    """Return which party of a call sent a REFER from outside of it; the caller if nothing tells."""
    return "callee" if party_key(message.from_.user) == party_key(leg.callee) else "caller"


def _call_id(message: Message, value: str) -> str:
    """Return the Call-ID in a Replaces, Join or Target-Dialog header (the tags follow it as parameters)."""
    return within(value.partition(";")[0].strip(), realm_of(message.call_id))


def _embedded(value: str, name: str) -> str:
    """Return a header that a URI carries behind its question mark (RFC 3261 section 19.1.1), "" without."""
    _, _, headers = parse_address(value).uri.partition("?")
    for pair in headers.split("&")[:16]:
        header, _, content = pair.partition("=")
        if unquote(header).strip().lower() == name:
            return unquote(content, errors="replace")
    return ""
