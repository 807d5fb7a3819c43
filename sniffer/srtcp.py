"""SRTCP (RFC 3711 §3.4, RFC 7714 §9) of streams whose keys their descriptions have named, to plain RTCP.

The first eight bytes of a packet are in clear; behind the rest stand its index, of 31 bits, and one that says
whether it is encrypted: a sender may leave that out (RFC 4568 §6.3.2), but authentication is always there,
and of 80 bits also where SRTP has 32 (RFC 4568 §6.2). The index is whole, so unlike those of SRTP packets no
counter is to be found out. Which key was used is tried, and the tag says which was right.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from bystander.sniffer.claims import StreamLike
from bystander.sniffer.crypto import SrtpKey

if TYPE_CHECKING:
    from bystander.sniffer.libsrtp import ControlContext

#: Keys in use and streams remembered; those longest unused are forgotten, and made anew when they are needed.
MAX_CONTEXTS: Final = 1024
MAX_STREAMS: Final = 4096
#: After so many failures in a row only every so many'th packet is tried with more than the last right key.
_HOPELESS: Final = 16
#: Header, SSRC and the word with the index.
_LEAST_BYTES: Final = 12


class _Tried:
    """What is known of a stream's SRTCP: the key that was right, and how many packets have failed since."""

    __slots__ = ("failures", "right")

    def __init__(self) -> None:
        self.right: SrtpKey | None = None
        self.failures = 0


class SrtcpOpener:
    """Opens the SRTCP of senders; ``keys_of(stream)`` has the keys that a stream's sender protects with."""

    def __init__(self, keys_of: Callable[[StreamLike], Sequence[SrtpKey]]) -> None:
        self._keys_of = keys_of
        self._contexts: OrderedDict[SrtpKey, ControlContext | None] = OrderedDict()
        self._tried: OrderedDict[int, _Tried] = OrderedDict()

    def __len__(self) -> int:
        return len(self._contexts)

    def has_keys(self, stream: StreamLike) -> bool:
        """Tell whether the sender of a stream has named keys."""
        return bool(self._keys_of(stream))

    def open(self, stream: StreamLike, packet: bytes) -> bytes | None:
        """Return a packet of a stream's sender as it was before it was protected; None if no key fits."""
        if len(packet) < _LEAST_BYTES:
            return None
        tried = self._tried.setdefault(stream.id, _Tried())
        self._tried.move_to_end(stream.id)
        if len(self._tried) > MAX_STREAMS:
            self._tried.popitem(last=False)
        for key in self._likely(stream, tried):
            context = self._context(key)
            plain = context.open(packet) if context is not None else None
            if plain is not None:
                tried.right, tried.failures = key, 0
                return plain
        tried.failures += 1
        return None

    def _likely(self, stream: StreamLike, tried: _Tried) -> list[SrtpKey]:
        """Return the keys to try: the one that was right, then the newest."""
        first = [] if tried.right is None else [tried.right]
        if tried.failures >= _HOPELESS and tried.failures % _HOPELESS:
            return first
        return list(dict.fromkeys([*first, *reversed(self._keys_of(stream))]))

    def _context(self, key: SrtpKey) -> ControlContext | None:
        """Return the context of a key, None if the library has none for it."""
        # Most offices have no SRTP, and need no library for it.
        from bystander.sniffer.libsrtp import ControlContext, UnsupportedError

        if key not in self._contexts:
            try:
                self._contexts[key] = ControlContext(key)
            except UnsupportedError:
                self._contexts[key] = None
            if len(self._contexts) > MAX_CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return self._contexts[key]
