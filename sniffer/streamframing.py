"""What a TCP connection speaks, SIP or WebSocket, and the SIP messages cut out of one direction of it (C4).

The first bytes tell. Of a connection that is seen from its middle, or that lost its first bytes, the first
segment that begins with either tells; until then nothing is taken for anything.
"""

from __future__ import annotations

from collections import Counter

from bystander.sniffer.sipframing import SipFramer, holds_start_line
from bystander.sniffer.websocket import WebSocketFramer, begins_http, begins_websocket


def worth_following(data: bytes) -> bool:
    """Tell cheaply whether a segment in mid-stream shows that its connection carries SIP."""
    return holds_start_line(data) or begins_websocket(data)


class StreamFramer:
    """One direction of a connection, from its first byte (``in_step``) or from somewhere in its middle.

    ``like`` is the other direction, where it is known: both speak the same. ``confirmed``, ``foreign``,
    ``counters``: as those of the framer that it chose.
    """

    def __init__(self, counters: Counter[str], *, in_step: bool, like: StreamFramer | None = None) -> None:
        self.counters = counters
        self._in_step = in_step
        self._first = b""
        self._like = like
        self._chosen: SipFramer | WebSocketFramer | None = None

    @property
    def transport(self) -> str:
        """Return "tcp" or "ws"."""
        return "ws" if isinstance(self._chosen, WebSocketFramer) else "tcp"

    @property
    def confirmed(self) -> bool:
        """Whether SIP, or an upgrade to it, was seen in this direction."""
        return self._chosen is not None and self._chosen.confirmed

    @property
    def foreign(self) -> bool:
        """Whether a stream that was read from its first byte does not begin like SIP, nor like an upgrade."""
        return self._chosen is not None and self._chosen.foreign

    @property
    def _still_searching(self) -> bool:
        return not self._in_step and isinstance(self._chosen, SipFramer) and not self._chosen.confirmed

    def __len__(self) -> int:
        """Return the bytes held."""
        return len(self._first) + (0 if self._chosen is None else len(self._chosen))

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return the messages that they complete."""
        if self._chosen is None:
            data = self._first + data
            self._first = b""
            if not self._choose(data):
                self._first = data
                return []
        elif self._still_searching and begins_websocket(data):
            self._chosen = WebSocketFramer(self.counters, in_step=False)
        assert self._chosen is not None
        return self._chosen.feed(data)

    def gap(self) -> bytes | None:
        """Take note that bytes are missing; return the message at hand if only its body is incomplete."""
        self._in_step = False
        self.counters["skipped-bytes"] += len(self._first)
        self._first = b""
        return None if self._chosen is None else self._chosen.gap()

    def _choose(self, data: bytes) -> bool:
        """Choose by the first bytes; False: they are too few."""
        if self._in_step:
            http = begins_http(data)
            if http is None:
                return False
        else:
            like = self._like._chosen if self._like is not None else None
            http = begins_websocket(data) or (isinstance(like, WebSocketFramer) and like.confirmed)
        kind = WebSocketFramer if http else SipFramer
        self._chosen, self._like = kind(self.counters, in_step=self._in_step), None
        return True
