"""SRTP (RFC 3711) of one stream: its packets, kept whole, and the keys that its sender named, to plain RTP.

Which key a packet was protected with is not looked up but tried: the right one authenticates it. So it does
not matter which of several crypto lines was taken, which fork answered, on which hop a stream was seen, or
whether a new key came into use with the re-INVITE, a little before or after it.

The roll-over counter (section 3.3.1) counts the wraps of the sequence number and is not in the packets. It is
0 where a stream begins; of a stream that had begun before the capture did it is found by trying, within
bounds. A stream that goes on after a new key keeps its counter (section 8.1), or begins at 0 again (RFC 4568
section 7.1.4): both are tried.

What does not authenticate is left as it is, and never taken for sound.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.packets import PacketRun
from bystander.sniffer.crypto import SrtpKey
from bystander.sniffer.libsrtp import Context, UnsupportedError

#: Roll-over counters tried of a stream that was joined in its middle: two weeks at 50 packets a second.
MAX_ROC: Final = 1024
#: Attempts on one stream beyond one a packet: some tenths of a second of work, whatever the keys and packets.
MAX_ATTEMPTS: Final = 200_000
#: Keys tried on one stream, the newest.
MAX_KEYS: Final = 64
#: After so many failures in a row only every so many'th packet is worth more than one attempt.
_HOPELESS: Final = 128
#: A gap in the sequence of more than this leaves libsrtp in doubt about the counter.
_GAP: Final = 1 << 14
#: Counters this far before the one expected are tried too.
_BACK: Final = 1


@dataclass(slots=True)
class Opened:
    """What became of a stream's packets: ``run`` is plain RTP, whole packets in order of arrival.

    ``left`` bool[n] marks those, of the run that was given, that no key opened.
    """

    run: PacketRun
    left: NDArray[np.bool_]

    @property
    def failures(self) -> int:
        """Packets that did not authenticate."""
        return int(np.count_nonzero(self.left))


def open_packets(run: PacketRun, ssrc: int, keys: Iterable[SrtpKey]) -> Opened:
    """Open the packets of one stream, whole RTP packets in order of arrival, with any of some keys."""
    packets = run.payloads()
    found: list[bytes | None] = [None] * len(packets)
    opener = _Opener(ssrc, keys)
    if opener:
        numbers = np.array([int.from_bytes(packet[2:4], "big") for packet in packets], np.int64)
        # After a sender started over our number is not its number and our wraps.
        wraps = (run.seq - numbers) >> 16
        wraps = (wraps - wraps[:1]).tolist()
        seq, time_ns = run.seq.tolist(), run.time_ns.tolist()
        for i in np.argsort(run.seq, kind="stable").tolist():
            found[i] = opener.open(_Packet(packets[i], seq[i], wraps[i], time_ns[i]))
    left = np.array([packet is None for packet in found], bool)
    plain = [packet for packet in found if packet is not None]
    kept = ~left
    opened = PacketRun(
        run.seq[kept],
        run.ts[kept],
        run.pt[kept],
        run.time_ns[kept],
        np.array([len(packet) for packet in plain], np.int32),
        np.frombuffer(b"".join(plain), np.uint8),
    )
    return Opened(opened, left)


class _Packet(NamedTuple):
    """A packet to open. ``seq`` counts on for ever, ``wraps`` is how often it wrapped since the first one."""

    content: bytes
    seq: int
    wraps: int
    time_ns: int


class _Key:
    """A key in use: its context, and the counter it is at where that is known."""

    __slots__ = ("authenticates", "base", "context", "last", "since_ns")

    def __init__(self, key: SrtpKey, context: Context) -> None:
        self.context = context
        self.since_ns = key.since_ns
        self.authenticates = key.authenticated
        #: Counter less the wraps that we have counted, once a packet was opened.
        self.base: int | None = None
        self.last = 0


class _Opener:
    """Opens packets in the order of their sequence numbers."""

    def __init__(self, ssrc: int, keys: Iterable[SrtpKey]) -> None:
        self._keys: list[_Key] = []
        newest = sorted(dict.fromkeys(keys), key=lambda key: key.since_ns)[-MAX_KEYS:]
        for key in newest:
            try:
                self._keys.append(_Key(key, Context(key, ssrc)))
            except UnsupportedError:
                continue
        self._current: _Key | None = None
        self._base: int | None = None
        self._failures = 0
        self._attempts = MAX_ATTEMPTS

    def __bool__(self) -> bool:
        return bool(self._keys)

    def open(self, packet: _Packet) -> bytes | None:
        """Return the plain packet, or None."""
        current = self._current
        if current is not None and not self._outdated(current, packet.time_ns):
            plain = self._go_on(current, packet)
            if plain is not None:
                self._failures = 0
                return plain
        self._failures += 1
        if self._failures > _HOPELESS and self._failures % _HOPELESS:
            return None
        plain = self._try_all(packet)
        if plain is not None:
            self._failures = 0
        return plain

    def _go_on(self, key: _Key, packet: _Packet) -> bytes | None:
        if packet.seq - key.last > _GAP and key.base is not None:
            key.context.set_roc(max(0, key.base + packet.wraps))
        plain = key.context.open(packet.content)
        if plain is not None:
            key.last = packet.seq
        return plain

    def _outdated(self, key: _Key, time_ns: int) -> bool:
        """Tell whether a key that any packet seems to fit (no authentication) was followed by another."""
        return not key.authenticates and any(key.since_ns < k.since_ns <= time_ns for k in self._keys)

    def _try_all(self, packet: _Packet) -> bytes | None:
        """Try every key with the counters that it is likely to be at, then with any."""
        ordered = self._ordered(packet.time_ns)
        for key in ordered:
            for roc in self._likely(key, packet.wraps):
                plain = self._attempt(key, roc, packet)
                if plain is not None:
                    return plain
        # Each search costs a thousand attempts, so they come at the first failures and then ever more rarely.
        if self._failures & (self._failures - 1):
            return None
        for key in ordered:
            for roc in range(2, MAX_ROC):
                plain = self._attempt(key, roc, packet)
                if plain is not None:
                    return plain
                if self._attempts <= 0:
                    return None
        return None

    def _ordered(self, time_ns: int) -> list[_Key]:
        """Return the keys, the likeliest first: those that can be told right, the newest of its time."""

        def rank(key: _Key) -> tuple[bool, bool, int]:
            return not key.authenticates, key.since_ns > time_ns, -key.since_ns

        return sorted(self._keys, key=rank)

    def _likely(self, key: _Key, wraps: int) -> list[int]:
        likely = [base + wraps for base in (key.base, self._base) if base is not None]
        likely += [roc - _BACK for roc in likely]
        return [roc for roc in dict.fromkeys([*likely, wraps, 0, 1]) if roc >= 0]

    def _attempt(self, key: _Key, roc: int, packet: _Packet) -> bytes | None:
        if self._attempts <= 0:
            return None
        self._attempts -= 1
        key.context.set_roc(roc)
        plain = key.context.open(packet.content)
        if plain is not None:
            self._current = key
            key.base = self._base = roc - packet.wraps
            key.last = packet.seq
        return plain
