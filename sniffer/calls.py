"""From SIP messages and RTP streams to calls.

The table is fed every SIP message and told of every stream; `advance` hands out the calls that are over.
One Call-ID is one call however many hops show it, and legs of a back-to-back user agent, which have Call-IDs
of their own, are joined when they carry the same media (`linking.py`). All times are capture times: the
table has no clock of its own.

A call that ended lingers (``linger_s``), so that retransmissions and late media find it, and is then handed
out once. Stragglers that come after that are counted, not made into calls.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Set
from typing import Final

from bystander.sniffer.address import Endpoint
from bystander.sniffer.callfacts import Call, CallSettings, compose
from bystander.sniffer.claims import StreamLike
from bystander.sniffer.crypto import SrtpKey
from bystander.sniffer.dialogs import Event, State
from bystander.sniffer.leg import ClaimedStream, Leg
from bystander.sniffer.linking import Linker
from bystander.sniffer.owners import StreamOwners
from bystander.sniffer.session import begins_anew, opens_session
from bystander.sniffer.sip import Arrival
from bystander.sniffer.transfers import Transfers, relate

__all__ = ["Call", "CallSettings", "CallTable", "ClaimedStream", "StreamLike"]

_S: Final = 1_000_000_000
#: How long the Call-ID of a call that was handed out is remembered: transactions may repeat for 32 s
#: (RFC 3261 timer H), and a little more on a slow network.
_STRAGGLERS_NS: Final = 64 * _S
#: RFC 3261, 3262, 3265, 3311, 3428, 3515, 3903, 6086; others are counted together.
METHODS: Final = frozenset(
    {"ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS"}
    | {"PRACK", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE"}
)

#: A call without BYE whose media was silent for longer than this at the end of the capture ended before it.
_FELL_SILENT_NS = 10 * _S


class CallTable:
    """All calls in progress, and all streams that no call has claimed yet.

    ``counters`` counts what was dropped and why, ``requests`` and ``responses`` SIP by method and status,
    ``states`` the calls handed out.
    """

    def __init__(self, settings: CallSettings | None = None) -> None:
        self.settings = settings or CallSettings()
        self.counters: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.responses: Counter[int] = Counter()
        self.states: Counter[str] = Counter()
        self._linker = Linker(self._ns(self.settings.link_window_s))
        self._media = StreamOwners(self.settings, self.counters, self._linker)
        #: What is to be done with the packets of streams, by what descriptions say of their protection.
        self.guards = self._media.guards
        self._transfers = Transfers(self.counters)
        self._legs: dict[str, Leg] = {}
        self._ended: dict[Leg, None] = {}
        self._due: list[tuple[int, int, Leg]] = []
        self._order = 0
        self._done: list[Call] = []
        self._scanned_ns = 0
        self._recent: dict[str, tuple[int, int, Set[str]]] = {}
        self._recent_order: deque[tuple[int, str]] = deque()

    @staticmethod
    def _ns(seconds: float) -> int:
        return int(seconds * _S)

    # -- gauges -----------------------------------------------------------------------------------------

    @property
    def active_calls(self) -> int:
        """Calls in the table, lingering ones included."""
        return len(self._legs)

    @property
    def claims(self) -> int:
        """Claims held on endpoints."""
        return len(self._media.claims)

    @property
    def unclaimed_streams(self) -> int:
        """Streams that wait for a claim."""
        return len(self._media)

    @property
    def transfers_waiting(self) -> int:
        """Transfers and redirections whose call has not come yet."""
        return len(self._transfers)

    @property
    def unended_calls(self) -> int:
        """Calls in the table that are not over."""
        return len(self._legs) - len(self._ended)

    @property
    def any_ended(self) -> bool:
        """Whether a call that is over lingers in the table."""
        return bool(self._ended)

    def dialogs_by_state(self) -> Counter[str]:
        """Count the calls in the table by the state of their signalling."""
        return Counter(leg.session.state.value for leg in self._legs.values())

    # -- signalling -------------------------------------------------------------------------------------

    def feed(self, arrival: Arrival) -> None:
        """Take one SIP message, in order of arrival."""
        message = arrival.message
        if message.method is None:
            self.responses[message.status if 100 <= message.status <= 699 else 0] += 1
        else:
            self.requests[message.method if message.method in METHODS else "other"] += 1
        call_id, time_ns = message.call_id, arrival.time_ns
        if not call_id:
            # Without one nothing tells this message from any other such message.
            self.counters["sip-without-call-id"] += 1
            return
        leg = self._legs.get(call_id)
        late = leg is not None and leg.due_ns is not None and time_ns > leg.due_ns
        if leg is not None and late and begins_anew(message, leg.newest_cseq, leg.session.branches):
            self._hand_out_group(leg, None)
            leg = None
        if leg is None:
            if not opens_session(message):
                self._transfers.outside(arrival, self._legs.get)
                self.counters["sip-outside-calls"] += 1
                return
            if self._is_straggler(arrival):
                self.counters["sip-stragglers"] += 1
                return
            if len(self._legs) >= self.settings.max_calls:
                self._evict(time_ns)
            leg = Leg(arrival, self._media.claims, self._ns(self.settings.early_s))
            self._linker.add(leg)
        else:
            del self._legs[call_id]  # kept in order of last activity
        self._legs[call_id] = leg
        if leg.seen_twice(arrival):
            self.counters["sip-mirrored-twice"] += 1
            return
        was_over = leg.session.finished
        named = (leg.caller, leg.callee)
        touched = leg.observe(arrival)
        self._transfers.observe(arrival, leg, self._legs.get)
        self._media.put(leg)
        if named != (leg.caller, leg.callee):
            self._linker.add(leg)
        if leg.session.finished or was_over or leg.session.state is State.CHALLENGED:
            self._schedule(leg, was_over)
        elif message.method is None and message.status >= 200 and message.cseq_method == "INVITE":
            self._media.settle_forks(leg, time_ns)
        if touched:
            for claimed in leg.streams.values():
                self.guards.explain(leg, claimed)
            self._media.reassign(leg, touched)

    def _is_straggler(self, arrival: Arrival) -> bool:
        handed_out = self._recent.get(arrival.message.call_id)
        if handed_out is None or arrival.time_ns - handed_out[0] > _STRAGGLERS_NS:
            return False
        return not begins_anew(arrival.message, *handed_out[1:])

    def _schedule(self, leg: Leg, was_over: bool) -> None:
        """Set or clear the time when a leg is handed out, and open or close its claims with it."""
        session = leg.session
        if session.finished:
            self._ended[leg] = None
            over_ns = session.decided_ns if session.decided_ns is not None else leg.last_ns
            if not was_over:
                self._media.claims.close(leg, over_ns)
                leg.media.end(over_ns)
            due_ns = over_ns + self._ns(self.settings.linger_s)
        elif session.state is State.CHALLENGED:
            due_ns = leg.last_ns + self._ns(self.settings.retry_s)
        else:
            leg.due_ns = None
            self._ended.pop(leg, None)
            for claim in self._media.claims.of(leg):
                claim.to_ns = None
            self._media.settle_forks(leg, leg.last_ns)
            return
        if leg.due_ns != due_ns:
            leg.due_ns = due_ns
            self._push(due_ns, leg)

    def _push(self, due_ns: int, leg: Leg) -> None:
        self._order += 1
        heapq.heappush(self._due, (due_ns, self._order, leg))

    # -- streams ----------------------------------------------------------------------------------------

    def expects(self, src: Endpoint, dst: Endpoint) -> bool:
        """Return whether a session description has announced media at one of two endpoints."""
        return self._media.expects(src, dst)

    def clock_of(self, stream: StreamLike, pt: int) -> int | None:
        """Return the RTP clock of a payload type that is audio of its own, in Hz; None if it is not known."""
        return self._media.clock_of(stream, pt)

    def stream_started(self, stream: StreamLike) -> None:
        """Take a new stream, whether or not a description has announced it."""
        self._media.started(stream)

    def stream_heard(self, stream: StreamLike, prints: frozenset[int]) -> None:
        """Take the prints of a claimed stream that is over: legs with the same audio are one call."""
        self._media.heard(stream, prints)

    def stream_ended(self, stream: StreamLike) -> None:
        """A stream will get no more packets. Its call keeps it; unclaimed, it still waits for a claim."""
        self._media.ended(stream)

    def may_be_relayed(self, stream: StreamLike) -> bool:
        """Return whether the audio of a claimed stream could link its call with another."""
        return self._media.may_be_relayed(stream)

    def keys_of(self, stream: StreamLike) -> list[SrtpKey]:
        """Return the keys with which a claimed stream may be protected."""
        return self._media.keys_of(stream)

    def owner_began_ns(self, stream: StreamLike) -> int | None:
        """Return when the call that has claimed a stream began; None if none has."""
        return self._media.began_ns(stream)

    def unclaimed_expired(self, now_ns: int) -> list[StreamLike]:
        """Return, once, the streams that no call has claimed in time; the table forgets them."""
        return self._media.expired(now_ns)

    def messages_in_progress(self) -> list[Arrival]:
        """Return the messages kept of all calls in the table, in order of time."""
        kept = [arrival for leg in self._legs.values() for arrival in leg.evidence]
        return sorted(kept, key=lambda arrival: arrival.time_ns)

    def streams_of_ended_calls(self) -> list[StreamLike]:
        """Return the streams of calls that are over and linger: what comes on them now is another call's."""
        return [claimed.stream for leg in self._ended for claimed in leg.streams.values()]

    def ended_at(self, endpoint: Endpoint) -> bool:
        """Return whether a stream of a call that is over and lingers comes from an endpoint or goes there."""
        return bool(self._ended) and self._media.ended_at(endpoint)

    def streams_taken_over(self) -> list[StreamLike]:
        """Return, once, the streams that go on as another call's."""
        return self._media.taken_over()

    # -- the end ----------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> list[Call]:
        """Let time pass; return the calls that are over for good, the oldest first."""
        if not 0 <= now_ns - self._scanned_ns < _S:
            self._scanned_ns = now_ns
            self._time_out(now_ns)
            self._forget_recent(now_ns)
        while self._due and self._due[0][0] <= now_ns:
            due_ns, _, leg = heapq.heappop(self._due)
            if self._legs.get(leg.call_id) is leg and leg.due_ns is not None and due_ns >= leg.due_ns:
                self._hand_out_group(leg, now_ns)
        done, self._done = self._done, []
        return sorted(done, key=lambda call: call.started_ns)

    def close(self, now_ns: int) -> list[Call]:
        """End the capture: return all calls that are left, those in progress ended by it."""
        done = self.advance(now_ns)
        for leg in list(self._legs.values()):
            last_ns = leg.last_activity_ns()
            # A call whose media stopped long before the capture did was over then, though nobody said BYE.
            spoken = leg.session.state is State.ANSWERED and leg.streams and not leg.media.on_hold
            over = spoken and now_ns - last_ns > _FELL_SILENT_NS
            expired_ns = leg.timer.expired_ns(now_ns, last_ns)
            if leg.session.state is State.ANSWERED and expired_ns is not None and not over:
                self._stop(leg, Event.MEDIA_TIMEOUT, expired_ns, "timeout")
            self._stop(leg, Event.CAPTURE_END, last_ns if over else max(now_ns, last_ns), "capture-end")
        for leg in list(self._legs.values()):
            if leg.call_id in self._legs:
                self._hand_out_group(leg, None)
        done.extend(self._done)
        self._done = []
        return sorted(done, key=lambda call: call.started_ns)

    def _stop(self, leg: Leg, event: Event, at_ns: int, by: str) -> None:
        """Put an end to a leg that has none."""
        session = leg.session
        if session.finished:
            return
        if session.state is State.ANSWERED:
            event = Event.MEDIA_TIMEOUT
        elif session.state is State.CHALLENGED:
            at_ns, by = leg.last_ns, ""
        session.happen(event, at_ns, session.ended_by or by or None)
        self._schedule(leg, was_over=False)

    def _time_out(self, now_ns: int) -> None:
        settings = self.settings
        setup_ns, media_ns = self._ns(settings.setup_timeout_s), self._ns(settings.media_timeout_s)
        shortest_ns = min(setup_ns, media_ns)
        idle_ns = self._ns(settings.idle_limit_s)
        for leg in list(self._legs.values()):
            if now_ns - leg.last_ns < shortest_ns or leg.session.finished:
                continue
            if leg.session.state is State.ANSWERED:
                limit_ns = media_ns if leg.streams and not leg.media.on_hold else idle_ns
            else:
                limit_ns = setup_ns
            last_ns = leg.last_activity_ns()
            expired_ns = leg.timer.expired_ns(now_ns, last_ns)
            if leg.session.state is State.ANSWERED and expired_ns is not None:
                self._stop(leg, Event.MEDIA_TIMEOUT, expired_ns, "timeout")
            elif now_ns - last_ns > limit_ns:
                self._stop(leg, Event.SETUP_TIMEOUT, last_ns, "timeout")

    def _evict(self, now_ns: int) -> None:
        """Make room: the oldest call that is over, else the one without media that was silent longest."""
        self.counters["calls-evicted"] += 1
        while self._due:
            _, _, leg = heapq.heappop(self._due)
            if self._legs.get(leg.call_id) is leg and leg.due_ns is not None:
                self._hand_out_group(leg, None)
                return
        candidates = [leg for leg, _ in zip(self._legs.values(), range(256), strict=False)]
        leg = next((leg for leg in candidates if not leg.streams), candidates[0])
        self._stop(leg, Event.SETUP_TIMEOUT, min(now_ns, leg.last_activity_ns()), "timeout")
        self._hand_out_group(leg, None)

    def _hand_out_group(self, leg: Leg, now_ns: int | None) -> None:
        """Hand out a leg with all that is linked to it, or wait for those; ``now_ns`` None: do not wait."""
        if leg.session.state is State.CHALLENGED:
            self._stop(leg, Event.SETUP_TIMEOUT, leg.last_ns, "")
        group = self._linker.group(leg)
        if now_ns is None:
            waiting = [member for member in group if not member.session.finished]
        else:
            waiting = [m for m in group if m is not leg and (m.due_ns is None or m.due_ns > now_ns)]
        if waiting and now_ns is not None:
            if leg.released_ns is None:
                leg.released_ns = (leg.due_ns or now_ns) + self._ns(self.settings.link_wait_s)
                self._push(leg.released_ns, leg)
            if now_ns < leg.released_ns:
                return
        for member in waiting:
            relate(leg, member, "other-leg")
            self._linker.part(member)
            group.remove(member)
        if leg.session.midcall and not leg.streams and not self._media.claims.of(leg):
            self._media.guess(leg)
        self._media.adopt_for(leg)
        if leg.session.hearsay and not leg.streams:
            self.counters["byes-without-call"] += 1
            self._forget(leg)
            return
        call = compose(group, self._linker, self.settings.office)
        self.states[call.state] += 1
        self.counters["legs-linked"] += len(group) - 1
        self._done.append(call)
        for member in group:
            self._forget(member)

    def _forget(self, leg: Leg) -> None:
        self._media.forget(leg)
        leg.media.leave()
        self._linker.remove(leg)
        self._ended.pop(leg, None)
        self.counters["evidence-dropped"] += leg.evidence_dropped
        self._legs.pop(leg.call_id, None)
        self._recent[leg.call_id] = (leg.last_ns, leg.newest_cseq, leg.session.branches)
        self._recent_order.append((leg.last_ns, leg.call_id))
        if len(self._recent_order) > self.settings.max_calls:
            self._recent.pop(self._recent_order.popleft()[1], None)

    def _forget_recent(self, now_ns: int) -> None:
        while self._recent_order and self._recent_order[0][0] < now_ns - _STRAGGLERS_NS:
            self._recent.pop(self._recent_order.popleft()[1], None)
