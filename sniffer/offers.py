"""Offers and answers (RFC 3264) of one call: what they claim, which codecs they name, who is on hold.

An offer may stand in INVITE, UPDATE, PRACK or, if the INVITE had none, in a 18x or 200; its answer in the
response, or in ACK or PRACK. A description counts as soon as it is seen, because its sender must be ready to
receive from then on (section 5.1), and media comes early, and the answer may be missed. What waits for the
2xx is what takes something away: an endpoint given up by a re-INVITE, a hold. A refused re-INVITE is undone.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

from bystander.sniffer.address import Endpoint
from bystander.sniffer.claims import BESIDE, STATED, Claim, Claims
from bystander.sniffer.dialogs import Party, other
from bystander.sniffer.mediakinds import MediaKinds, kinds_of
from bystander.sniffer.protection import Protections
from bystander.sniffer.realm import realm_of, within
from bystander.sniffer.sdp import Format, Media, SessionDescription
from bystander.sniffer.session import Session, Transaction
from bystander.sniffer.sip import Message

#: Offers remembered while they wait for an answer, and holds listed, in one call.
MAX_EXCHANGES: Final = 32
MAX_HOLDS: Final = 256
#: Endpoints that one offer or answer names on one hop (its repetitions may name others), and such hops.
MAX_NAMED: Final = 256
MAX_HOPS: Final = 64
#: Ways of saying "nowhere": RFC 2543's hold.
_NOWHERE: Final = frozenset({"", "0.0.0.0", "::"})
#: Methods whose bodies are offers or answers.
_CARRIERS: Final = frozenset({"INVITE", "ACK", "UPDATE", "PRACK"})


@dataclass(slots=True)
class Hop:
    """Where a message was seen: the pair of hosts, its source, and the earliest media its claims may reach.

    ``reach_ns`` is None for the usual slack before the message.
    """

    name: Hashable
    src: Endpoint
    reach_ns: int | None = None


@dataclass(slots=True)
class Hold:
    """One party kept the other waiting; ``to_ns`` is None while it lasts."""

    by: Party
    from_ns: int
    to_ns: int | None = None


@dataclass(slots=True)
class Exchange:
    """One offer with its answer; ``made`` are the claims to withdraw if it is refused."""

    in_dialog: bool
    offered_ns: int
    offerer: Party | None = None
    offer: str = ""
    answer: str = ""
    accepted: bool = False
    kinds: dict[Party, list[str]] = field(default_factory=dict)
    made: list[Claim] = field(default_factory=list)
    named: dict[tuple[Party, Hashable], set[tuple[Endpoint, str]]] = field(default_factory=dict)


def mode(media: Media) -> str:
    """Return the direction of a medium as its sender sees it, the old address 0.0.0.0 being a hold."""
    direction = media.direction or "sendrecv"
    if media.address in _NOWHERE:
        return {"sendrecv": "sendonly", "recvonly": "inactive"}.get(direction, direction)
    return direction


class Negotiation:
    """The media of one call, from its first description to its last; fed by the call table, makes claims."""

    def __init__(self, call: Hashable, claims: Claims, slack_ns: int) -> None:
        self._call: Hashable = call
        self._claims = claims
        self._slack_ns = slack_ns
        self._exchanges: dict[tuple[str, int], Exchange] = {}
        self.formats: dict[Party, dict[int, Format]] = {"caller": {}, "callee": {}}
        self.protections = Protections()
        """Whether the audio is protected (SRTP), and the keys that were named."""
        self.audio: dict[Party, bool] = {}
        """By party, whether its latest description takes part in audio (port not 0)."""
        self.kinds = MediaKinds()
        self.holds: list[Hold] = []
        self.never_held = False
        """Sending only is what this call is for."""
        self._held: dict[Party, Hold] = {}

    @property
    def on_hold(self) -> bool:
        """Whether either party keeps the other waiting."""
        return bool(self._held)

    @property
    def audio_agreed(self) -> bool:
        """Whether audio was agreed on: no party that described its media refused it (port 0)."""
        return bool(self.audio) and all(self.audio.values())

    @property
    def audio_possible(self) -> bool:
        """Whether there may be audio: agreed on, or no description of any media has been seen (C18)."""
        return self.audio_agreed or not any(self.kinds)

    def end(self, at_ns: int) -> None:
        """The call is over: so are its holds."""
        for party in list(self._held):
            self._release(party, at_ns)

    def leave(self) -> None:
        """Let go of the call, which was handed out.

        The two hold each other, and a day of calls with their messages would wait for the collector.
        """
        self._call = None
        self._exchanges.clear()

    # -- messages ---------------------------------------------------------------------------------------

    def observe(
        self, message: Message, session: Session, transaction: Transaction | None, time_ns: int, hop: Hop
    ) -> list[Endpoint]:
        """Take a message of the call; return the endpoints whose claims changed."""
        method = message.method or message.cseq_method
        if method not in _CARRIERS:
            return []
        sdp = message.sdp
        key = (message.from_tag, message.cseq)
        exchange = self._exchanges.get(key)
        refused = message.status >= 300
        if sdp is None and exchange is None and method != "INVITE":
            return []
        if refused:
            return self._refuse(key, exchange) if exchange is not None else []
        if transaction is not None and transaction.status >= 300 and not transaction.open:
            return []  # a late copy of an offer that was refused
        if exchange is None:
            exchange = self._exchange(key, method, message, session, transaction, time_ns)
        touched: list[Endpoint] = []
        if sdp is not None:
            sender = session.sender(message)
            live = self._note(exchange, sender, sdp)
            self.protections.note(
                sender, hop.name, session.dialog(message), live, time_ns, in_dialog=exchange.in_dialog
            )
            touched = self._claim(exchange, sender, sdp, session.dialog(message), time_ns, hop, message)
        final = 200 <= message.status < 300 and method != "PRACK"
        if (final or message.method == "ACK") and exchange.offer and exchange.answer:
            self._accept(exchange)
        return touched

    def _exchange(
        self,
        key: tuple[str, int],
        method: str,
        message: Message,
        session: Session,
        transaction: Transaction | None,
        time_ns: int,
    ) -> Exchange:
        if len(self._exchanges) >= MAX_EXCHANGES:
            del self._exchanges[next(iter(self._exchanges))]
        if transaction is not None:
            in_dialog = transaction.in_dialog
        else:
            in_dialog = method == "UPDATE" and session.outcome == "answered"
        exchange = self._exchanges[key] = Exchange(in_dialog, time_ns)
        if message.method is None and message.sdp is not None:
            # The request was missed: most offers stand in the request, so this is taken for the answer.
            exchange.offerer = other(session.sender(message))
            exchange.offer = "sendrecv"
        return exchange

    def _note(self, exchange: Exchange, sender: Party, sdp: SessionDescription) -> list[Media]:
        """Remember what a description says about audio: direction and codecs; return what was not refused."""
        exchange.kinds[sender] = kinds_of(sdp)
        self.kinds.describe(exchange.kinds[sender])
        audio = [media for media in sdp.media if media.kind == "audio"]
        live = [media for media in audio if media.port]
        if audio:
            self.audio[sender] = bool(live)
        for media in live:
            self.formats[sender].update(media.formats)
        said = mode(live[0]) if live else "inactive"
        if exchange.offerer is None:
            exchange.offerer, exchange.offer = sender, said
        elif sender == exchange.offerer:
            exchange.offer = said
        else:
            exchange.answer = said
        return live

    def _claim(
        self,
        exchange: Exchange,
        sender: Party,
        sdp: SessionDescription,
        dialog: str,
        time_ns: int,
        hop: Hop,
        message: Message,
    ) -> list[Endpoint]:
        # A proxy's address says nothing about where its client's media comes from: only the first hop does.
        near = message.method is None or message.vias <= 1
        if len(exchange.named) < MAX_HOPS:
            named = exchange.named.setdefault((sender, hop.name), set())
        else:
            named = exchange.named.get((sender, hop.name), set())
        endpoints = []
        for media in sdp.media:
            if not media.port:
                continue
            for (host, port), certainty in _endpoints(media, str(hop.src[0]) if near else ""):
                endpoint = (within(host, realm_of(hop.src[0])), port)
                reach_ns = hop.reach_ns if hop.reach_ns is not None else time_ns - self._slack_ns
                before = len(self._claims.of(self._call))
                claim = self._claims.add(
                    Claim(
                        call=self._call,
                        party=sender,
                        endpoint=endpoint,
                        kind=media.kind,
                        from_ns=time_ns,
                        reach_ns=reach_ns,
                        certainty=certainty,
                        dialog=dialog if sender == "callee" else "",
                        hop=hop.name,
                        formats=dict(media.formats),
                    )
                )
                if exchange.in_dialog and len(self._claims.of(self._call)) > before:
                    exchange.made.append(claim)
                if len(named) < MAX_NAMED:
                    named.add((endpoint, media.kind))
                endpoints.append(endpoint)
        return endpoints

    # -- outcome ----------------------------------------------------------------------------------------

    def _accept(self, exchange: Exchange) -> None:
        self.protections.settle(accepted=True)
        for (party, hop), named in exchange.named.items():
            kinds = {kind for _, kind in named}
            for claim in self._claims.of(self._call):
                if claim.party == party and claim.hop == hop and claim.kind in kinds:
                    claim.given_up = (claim.endpoint, claim.kind) not in named and exchange.in_dialog
        exchange.made.clear()
        if exchange.accepted or exchange.offerer is None:
            return
        exchange.accepted = True
        offer, answer, at_ns = exchange.offer, exchange.answer, exchange.offered_ns
        offerer, answerer = exchange.offerer, other(exchange.offerer)
        self.kinds.agree(exchange.kinds.get(offerer), exchange.kinds.get(answerer))
        open_offer = offer in ("sendrecv", "recvonly")
        if open_offer:
            self._release(offerer, at_ns)
        elif exchange.in_dialog or offer == "inactive":
            self._hold(offerer, at_ns)
        # An answer of recvonly or inactive is all that a held party may say; it is no hold of its own.
        silenced = answer == "sendonly" and offer == "sendrecv" and exchange.in_dialog
        if silenced or (answer == "inactive" and open_offer):
            self._hold(answerer, at_ns)
        elif answer in ("sendrecv", "recvonly"):
            self._release(answerer, at_ns)

    def _refuse(self, key: tuple[str, int], exchange: Exchange) -> list[Endpoint]:
        if not exchange.in_dialog or exchange.accepted:
            return []
        for claim in exchange.made:
            self._claims.remove(claim)
        self.protections.settle(accepted=False)
        del self._exchanges[key]
        return [claim.endpoint for claim in exchange.made]

    def _hold(self, party: Party, at_ns: int) -> None:
        if party not in self._held and not self.never_held and len(self.holds) < MAX_HOLDS:
            hold = self._held[party] = Hold(party, at_ns)
            self.holds.append(hold)

    def _release(self, party: Party, at_ns: int) -> None:
        hold = self._held.pop(party, None)
        if hold is not None:
            hold.to_ns = max(at_ns, hold.from_ns)


def _endpoints(media: Media, seen_from: str) -> list[tuple[Endpoint, int]]:
    """Return where a medium may be received, the stated endpoint first, each with its certainty (C9)."""
    found: list[tuple[Endpoint, int]] = []
    if media.address not in _NOWHERE:
        found.append(((media.address, media.port), STATED))
    if seen_from:
        found.append(((seen_from, media.port), BESIDE))
    found.extend((candidate, BESIDE) for candidate in media.candidates)
    unique: dict[Endpoint, int] = {}
    for endpoint, certainty in found:
        unique.setdefault(endpoint, certainty)
    return list(unique.items())
