"""IP fragments put together again (RFC 791 section 3.2, RFC 8200 section 4.5; C1, C2)."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field

#: No IP payload is longer.
MAX_PAYLOAD_BYTES = 65535
#: What a held piece costs beside its bytes; without it a flood of one-byte pieces would be free.
PIECE_OVERHEAD_BYTES = 128


@dataclass(slots=True)
class Fragment:
    """One fragment of an IPv4 or IPv6 datagram.

    ``key``       (VLAN stack and tunnels, IP version, source, destination, protocol, identification)
    ``offset``    bytes from the start of the payload; ``more`` whether others follow
    ``time_ns``   capture time; ``protocol`` of the payload; ``tunnel`` the way through tunnels to it
    """

    key: tuple[object, ...]
    offset: int
    more: bool
    payload: bytes
    time_ns: int
    protocol: int
    tunnel: int = 0


@dataclass(slots=True)
class _Partial:
    """The pieces of one datagram: sorted by start, never overlapping."""

    first_ns: int
    starts: list[int] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    held: int = 0
    total: int = -1

    @property
    def cost(self) -> int:
        return self.held + PIECE_OVERHEAD_BYTES * (len(self.pieces) + 1)

    @property
    def end(self) -> int:
        return self.starts[-1] + len(self.pieces[-1]) if self.starts else 0


class Reassembler:
    """Holds fragments until their datagram has no hole left, then hands the payload back.

    A datagram begins with its first fragment, in whatever order they come. It ends when it is whole, or
    ``max_age_s`` after its first fragment, or when ``max_datagrams`` or ``max_bytes`` is exceeded: then the
    oldest goes first. Where fragments overlap, the first copy wins and a differing one is counted.

    ``counters``: fragments, reassembled, duplicate, conflicting, oversize, contradictory-end, empty,
    expired, evicted (the last two count datagrams).
    """

    def __init__(
        self, *, max_datagrams: int = 4096, max_bytes: int = 32 << 20, max_age_s: float = 30.0
    ) -> None:
        self.max_datagrams = max_datagrams
        self.max_bytes = max_bytes
        self.max_age_ns = int(max_age_s * 1e9)
        self.counters: Counter[str] = Counter()
        self.held_bytes = 0
        self._partials: dict[tuple[object, ...], _Partial] = {}

    def __len__(self) -> int:
        """Return how many datagrams wait for the rest of their fragments."""
        return len(self._partials)

    def feed(self, fragment: Fragment) -> bytes | None:
        """Take a fragment; return the whole payload when this one closed the last hole."""
        self.counters["fragments"] += 1
        self._expire(fragment.time_ns)
        payload, offset = fragment.payload, fragment.offset
        end = offset + len(payload)
        if offset < 0 or end > MAX_PAYLOAD_BYTES:
            self.counters["oversize"] += 1
            return None
        if not payload and (fragment.more or not offset):
            self.counters["empty"] += 1
            return None
        partial = self._partials.get(fragment.key)
        if partial is None:
            if not offset and not fragment.more:
                self.counters["reassembled"] += 1
                return bytes(payload)
            partial = self._partials[fragment.key] = _Partial(fragment.time_ns)
            self.held_bytes += partial.cost
        before = partial.cost
        self._add(partial, offset, payload, None if fragment.more else end)
        self.held_bytes += partial.cost - before
        # The pieces never overlap nor pass the end, so their sum is the total only when there is no hole.
        if partial.held == partial.total:
            self._drop(fragment.key)
            self.counters["reassembled"] += 1
            return b"".join(partial.pieces)
        while len(self._partials) > self.max_datagrams or self.held_bytes > self.max_bytes:
            self._drop(next(iter(self._partials)))
            self.counters["evicted"] += 1
        return None

    def _add(self, partial: _Partial, offset: int, payload: bytes, total: int | None) -> None:
        end = offset + len(payload)
        if partial.total >= 0:
            contradicts = end > partial.total or (total is not None and total != partial.total)
        else:
            contradicts = total is not None and total < partial.end
        if contradicts:
            self.counters["contradictory-end"] += 1
            return
        if total is not None:
            partial.total = total
        at = offset
        same = True
        fresh = not payload
        index = max(0, bisect_right(partial.starts, offset) - 1)
        while at < end:
            if index < len(partial.starts):
                start = partial.starts[index]
                stop = start + len(partial.pieces[index])
            else:
                start = stop = end
            if at < start:
                # A hole up to the next piece, or to the end of this fragment.
                until = min(start, end)
                partial.starts.insert(index, at)
                partial.pieces.insert(index, bytes(payload[at - offset : until - offset]))
                partial.held += until - at
                fresh = True
                at = until
            elif at < stop:
                until = min(stop, end)
                held = partial.pieces[index][at - start : until - start]
                same = same and held == payload[at - offset : until - offset]
                at = until
            index += 1
        if not same:
            self.counters["conflicting"] += 1
        elif not fresh:
            self.counters["duplicate"] += 1

    def _expire(self, now_ns: int) -> None:
        while self._partials:
            key, oldest = next(iter(self._partials.items()))
            if now_ns - oldest.first_ns <= self.max_age_ns:
                return
            self._drop(key)
            self.counters["expired"] += 1

    def _drop(self, key: tuple[object, ...]) -> None:
        self.held_bytes -= self._partials.pop(key).cost
