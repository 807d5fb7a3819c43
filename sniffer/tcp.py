"""SIP over TCP and WebSocket: segments put in order, and the messages cut out of them (C4).

A recorder sees a connection through a keyhole: capture can begin in its middle, see a segment twice or not
at all, and cannot ask for it again. So holes are waited for a little and then passed over, and only
connections that show a SIP start line cost more than one look-up a segment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from bystander.sniffer.address import Endpoint
from bystander.sniffer.streamframing import StreamFramer, worth_following

FIN = 0x01
SYN = 0x02
RST = 0x04

#: Farther from the expected sequence number than this, a segment belongs to some other connection.
WINDOW_BYTES = 4 << 20
_MODULUS = 1 << 32
_SECOND_NS = 1_000_000_000

#: (time_ns, source, destination, "tcp" or "ws", bytes of one message).
TimedMessage: TypeAlias = tuple[int, Endpoint, Endpoint, str, bytes]
_Key: TypeAlias = tuple[Endpoint, Endpoint]
_T = TypeVar("_T")


@dataclass(slots=True)
class Segment:
    """One TCP segment (RFC 9293): ``seq`` modulo 2^32, ``flags`` the low byte, ``time_ns`` capture time."""

    src: Endpoint
    dst: Endpoint
    seq: int
    flags: int
    payload: bytes
    time_ns: int


@dataclass(slots=True)
class _Held:
    seq: int
    payload: bytes
    time_ns: int


@dataclass(slots=True)
class _Direction:
    """One direction of a connection: what comes next, and what came too early (sorted by sequence)."""

    key: _Key
    framer: StreamFramer
    next_seq: int
    initial_seq: int | None
    last_ns: int
    held: list[_Held] = field(default_factory=list)
    held_bytes: int = 0
    clock_ns: int = 0  # capture time of the newest segment delivered
    fin_seq: int | None = None
    closed: bool = False

    @property
    def cost(self) -> int:
        return self.held_bytes + len(self.framer)


class SipOverTcp:
    """Turns the segments of any number of connections into SIP messages.

    A direction begins with its first payload after a SYN, or, seen in mid-stream, with the first segment that
    holds a start line (or begins with a WebSocket frame that does), or that answers a direction known to
    carry SIP. It ends when it has been silent for ``idle_s`` (``linger_s`` once closed), or when
    ``max_directions`` or ``max_bytes`` is exceeded: then the one silent for longest goes first. A new SYN
    begins it afresh. A connection whose first line is not SIP, or that in mid-stream shows no start line in
    ``PATIENCE`` segments, is rejected until its next SYN; rejections are forgotten oldest first.

    Segments that come too early are held until the hole is closed, at most ``hold_s`` or ``MAX_HELD``
    segments or ``MAX_HELD_BYTES``; then the hole is passed over. A message bears the time of the latest
    segment that it needed, and is never earlier than the message before it in the same stream of segments.

    ``on_connection(src, dst)`` is called once for each direction found to carry SIP.

    ``counters``: segments, messages, retransmitted, reordered, holes, out-of-window, rejected-connections,
    rejected-segments, evicted, expired, and those of ``SipFramer`` and ``WebSocketFramer``.
    """

    PATIENCE = 64
    MAX_HELD = 256
    MAX_HELD_BYTES = 1 << 20
    MAX_REMEMBERED = 65536

    def __init__(
        self,
        *,
        on_connection: Callable[[Endpoint, Endpoint], None] | None = None,
        max_directions: int = 8192,
        max_bytes: int = 64 << 20,
        hold_s: float = 5.0,
        idle_s: float = 7200.0,
        linger_s: float = 60.0,
    ) -> None:
        self.on_connection = on_connection
        self.max_directions = max_directions
        self.max_bytes = max_bytes
        self.hold_ns = int(hold_s * _SECOND_NS)
        self.idle_ns = int(idle_s * _SECOND_NS)
        self.linger_ns = int(linger_s * _SECOND_NS)
        self.counters: Counter[str] = Counter()
        self.held_bytes = 0
        self._directions: dict[_Key, _Direction] = {}  # the one silent for longest first
        self._holding: dict[_Key, None] = {}  # directions with a hole
        self._openings: dict[_Key, int] = {}  # SYN seen, no payload yet: a flood of SYNs evicts only these
        self._suspects: dict[_Key, int] = {}
        self._rejected: dict[_Key, None] = {}
        self._swept_ns = 0

    def __len__(self) -> int:
        """Return how many directions are followed."""
        return len(self._directions)

    def feed(self, segment: Segment) -> list[TimedMessage]:
        """Take one segment; return the messages that it completed, in order."""
        self.counters["segments"] += 1
        out: list[TimedMessage] = []
        key = (segment.src, segment.dst)
        seq = segment.seq
        if segment.flags & SYN:
            self._open(key, seq, out)
            seq = (seq + 1) % _MODULUS
        direction = self._directions.get(key)
        if segment.payload:
            if direction is None:
                direction = self._meet(key, seq, segment)
            if direction is not None:
                self._take(direction, seq, segment.payload, segment.time_ns, out)
        if segment.flags & RST:
            for way in (key, key[::-1]):
                self._openings.pop(way, None)
                self._rejected.pop(way, None)
                if way in self._directions:
                    self._close(self._directions[way], out)
        elif segment.flags & FIN and direction is not None:
            direction.fin_seq = (seq + len(segment.payload)) % _MODULUS
        direction = self._directions.get(key)
        if direction is not None and direction.fin_seq == direction.next_seq and not direction.closed:
            self._close(direction, out)
        if not 0 <= segment.time_ns - self._swept_ns < _SECOND_NS:
            self._sweep(segment.time_ns, out)
        self.counters["messages"] += len(out)
        return out

    def flush(self) -> list[TimedMessage]:
        """Give up waiting for anything (end of the capture); return the messages left behind the holes."""
        out: list[TimedMessage] = []
        for direction in list(self._directions.values()):
            self._close(direction, out)
        self._directions.clear()
        self.held_bytes = 0
        self.counters["messages"] += len(out)
        return out

    def _open(self, key: _Key, seq: int, out: list[TimedMessage]) -> None:
        direction = self._directions.get(key)
        if direction is not None:
            if direction.initial_seq == seq:
                return  # the SYN once more
            if direction.initial_seq is None and 0 < _distance(direction.next_seq, seq) <= WINDOW_BYTES:
                direction.initial_seq = seq  # late, behind the data that it opens
                return
            self._close(direction, out)
            self._forget(key)
        for way in (key, key[::-1]):
            self._rejected.pop(way, None)
            self._suspects.pop(way, None)
        _remember(self._openings, key, seq, self.MAX_REMEMBERED)

    def _meet(self, key: _Key, seq: int, segment: Segment) -> _Direction | None:
        """Decide whether the first payload of an unknown direction is worth following."""
        initial_seq = self._openings.pop(key, None)
        if initial_seq is not None and abs(_distance(seq, initial_seq)) <= WINDOW_BYTES:
            return self._follow(key, (initial_seq + 1) % _MODULUS, initial_seq, segment.time_ns)
        if key in self._rejected:
            self.counters["rejected-segments"] += 1
            return None
        answered = self._directions.get(key[::-1])
        if (answered is not None and answered.framer.confirmed) or worth_following(segment.payload):
            self._suspects.pop(key, None)
            return self._follow(key, seq, None, segment.time_ns)
        tried = self._suspects.get(key, 0) + 1
        if tried >= self.PATIENCE:
            self._reject(key)
        else:
            _remember(self._suspects, key, tried, self.MAX_REMEMBERED)
        return None

    def _follow(self, key: _Key, next_seq: int, initial_seq: int | None, now_ns: int) -> _Direction:
        back = self._directions.get(key[::-1])
        like = None if back is None else back.framer
        framer = StreamFramer(self.counters, in_step=initial_seq is not None, like=like)
        direction = _Direction(key, framer, next_seq, initial_seq, now_ns)
        self._directions[key] = direction
        while len(self._directions) > self.max_directions:
            self._forget(next(iter(self._directions)))
            self.counters["evicted"] += 1
        return direction

    def _take(
        self, direction: _Direction, seq: int, payload: bytes, now_ns: int, out: list[TimedMessage]
    ) -> None:
        key = direction.key
        direction.last_ns = now_ns
        self._directions[key] = self._directions.pop(key)
        before = direction.cost
        ahead = _distance(seq, direction.next_seq)
        if abs(ahead) > WINDOW_BYTES:
            if not worth_following(payload):
                self.counters["out-of-window"] += 1
                return
            # The same ports again, and its SYN was not captured; or capture was blind for megabytes.
            self._close(direction, out)
            direction.closed, direction.fin_seq, direction.initial_seq = False, None, None
            direction.next_seq, ahead = seq, 0
            before = direction.cost
        if ahead > 0:
            self.counters["reordered"] += 1
            self._hold(direction, _Held(seq, payload, now_ns))
            while len(direction.held) > self.MAX_HELD or direction.held_bytes > self.MAX_HELD_BYTES:
                self._pass_over(direction, out)
        elif ahead + len(payload) <= 0:
            self.counters["retransmitted"] += 1
        else:
            direction.clock_ns = now_ns
            self._deliver(direction, payload[-ahead:] if ahead else payload, out)
            self._drain(direction, out)
        if direction.framer.foreign and self._turn_away(direction, before):
            return
        self.held_bytes += direction.cost - before
        while self.held_bytes > self.max_bytes and len(self._directions) > 1:
            self._forget(next(iter(self._directions)))
            self.counters["evicted"] += 1

    def _hold(self, direction: _Direction, early: _Held) -> None:
        held = direction.held
        at = len(held)
        while at and _distance(held[at - 1].seq, early.seq) > 0:
            at -= 1
        if at and held[at - 1].seq == early.seq and len(held[at - 1].payload) >= len(early.payload):
            self.counters["retransmitted"] += 1
            return
        held.insert(at, early)
        direction.held_bytes += len(early.payload)
        self._holding[direction.key] = None

    def _drain(self, direction: _Direction, out: list[TimedMessage]) -> None:
        """Deliver what was held and is now next."""
        held = direction.held
        while held and (ahead := _distance(held[0].seq, direction.next_seq)) <= 0:
            early = held.pop(0)
            direction.held_bytes -= len(early.payload)
            if ahead + len(early.payload) > 0:
                direction.clock_ns = max(direction.clock_ns, early.time_ns)
                self._deliver(direction, early.payload[-ahead:] if ahead else early.payload, out)
        if not held:
            self._holding.pop(direction.key, None)

    def _deliver(self, direction: _Direction, data: bytes, out: list[TimedMessage]) -> None:
        src, dst = direction.key
        framer, known = direction.framer, direction.framer.confirmed
        direction.next_seq = (direction.next_seq + len(data)) % _MODULUS
        messages = framer.feed(data)
        out.extend((direction.clock_ns, src, dst, framer.transport, message) for message in messages)
        if framer.confirmed and not known:
            for way in (direction.key, direction.key[::-1]):
                self._rejected.pop(way, None)
            if self.on_connection is not None:
                self.on_connection(src, dst)

    def _pass_over(self, direction: _Direction, out: list[TimedMessage]) -> None:
        """Give up the first hole."""
        self.counters["holes"] += 1
        self._cut(direction, out)
        direction.next_seq = direction.held[0].seq
        direction.clock_ns = max(direction.clock_ns, direction.held[0].time_ns)
        self._drain(direction, out)

    def _cut(self, direction: _Direction, out: list[TimedMessage]) -> None:
        message = direction.framer.gap()
        if message is not None:
            out.append((direction.clock_ns, *direction.key, direction.framer.transport, message))

    def _close(self, direction: _Direction, out: list[TimedMessage]) -> None:
        """Deliver what can be had; the direction stays for a while, to know late copies of its segments."""
        before = direction.cost
        while direction.held:
            self._pass_over(direction, out)
        self._cut(direction, out)
        direction.closed = True
        self.held_bytes += direction.cost - before

    def _turn_away(self, direction: _Direction, counted: int) -> bool:
        """Drop a connection that does not begin like SIP, unless its other direction does."""
        key = direction.key
        answered = self._directions.get(key[::-1])
        if answered is not None and answered.framer.confirmed:
            return False
        self.held_bytes += direction.cost - counted
        for way in (key, key[::-1]):
            self._reject(way)
            if way in self._directions:
                self._forget(way)
        self.counters["rejected-connections"] += 1
        return True

    def _reject(self, key: _Key) -> None:
        self._suspects.pop(key, None)
        self._openings.pop(key, None)
        _remember(self._rejected, key, None, self.MAX_REMEMBERED)

    def _forget(self, key: _Key) -> None:
        self.held_bytes -= self._directions.pop(key).cost
        self._holding.pop(key, None)

    def _sweep(self, now_ns: int, out: list[TimedMessage]) -> None:
        self._swept_ns = now_ns
        for key in list(self._holding):
            direction = self._directions[key]
            before = direction.cost
            while direction.held and now_ns - min(h.time_ns for h in direction.held) > self.hold_ns:
                self._pass_over(direction, out)
            self.held_bytes += direction.cost - before
        for key, direction in list(self._directions.items()):
            silent_ns = now_ns - direction.last_ns
            if silent_ns <= self.linger_ns:
                break
            if direction.closed or silent_ns > self.idle_ns:
                self._close(direction, out)
                self._forget(key)
                self.counters["expired"] += 1


def _distance(seq: int, other: int) -> int:
    """Return how far ``seq`` lies ahead of ``other``, -2^31 .. 2^31 - 1 (RFC 9293 section 3.4)."""
    return (seq - other + (_MODULUS >> 1)) % _MODULUS - (_MODULUS >> 1)


def _remember(table: dict[_Key, _T], key: _Key, value: _T, most: int) -> None:
    table[key] = value
    if len(table) > most:
        table.pop(next(iter(table)))
