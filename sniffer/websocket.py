"""SIP over WebSocket (RFC 7118): a direction of a connection, from the HTTP upgrade or its middle (C4).

A WebSocket message is one SIP message (RFC 7118 section 5), in one frame or several (RFC 6455 section 5.4),
with control frames between them; what clients send is masked, and either side may compress (RFC 7692).

In step, a frame begins where the one before it ended. Out of step (capture began in mid-connection, or bytes
were lost) a frame header is guessed: bytes that could be one, behind which, once unmasked, a SIP start line
stands. Compressed frames cannot be guessed at by their content; they are believed when they inflate to SIP.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bystander.sniffer.sip import looks_like_sip

MAX_MESSAGE_BYTES: Final = 1 << 20
MAX_HEAD_BYTES: Final = 64 << 10
#: A message that repeats those before it inflates a hundredfold, but it is small; a large one is new.
_LEAST_INFLATED: Final = 128 << 10
_MAX_RATIO: Final = 32
#: What has to be seen of a start line before a guess is believed.
_PROOF_BYTES: Final = 96

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_OPCODES: Final = frozenset({_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG})
#: Frames with 16 or 64 bits of length: no SIP message fits into 125 bytes, unless it is compressed.
_GUESS = re.compile(rb"[\x01\x02\x81\x82][\x7e\x7f\xfe\xff]")
_COMPRESSED: Final = frozenset(b"\x41\x42\xc1\xc2")
#: Guesses in one segment: random bytes have one in four thousand; more of them is somebody's game.
_MOST_GUESSES: Final = 256
_START = re.compile(rb"[\r\n]*(?:SIP/2\.0 \d{3}|[A-Za-z0-9\-.!%*_+`'~]{1,32} +<?[A-Za-z][A-Za-z0-9+.\-]*:)")
_HTTP = (b"GET ", b"HTTP/1.")
_UPGRADE = re.compile(rb"\nupgrade[ \t]*:[^\r\n]*websocket", re.IGNORECASE)
_PROTOCOL = re.compile(rb"\nsec-websocket-protocol[ \t]*:([^\r\n]*)", re.IGNORECASE)
_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*(\d{1,7})", re.IGNORECASE)
_HEAD_END = re.compile(rb"\n\r?\n")


def begins_http(data: bytes | bytearray) -> bool | None:
    """Tell whether a stream begins like the request or the response of an upgrade; None: too short to say."""
    if data.startswith(_HTTP):
        return True
    return None if any(start.startswith(data) for start in _HTTP) else False


def begins_websocket(data: bytes) -> bool:
    """Tell cheaply whether a segment begins with an upgrade, or with a frame that holds SIP."""
    if data.startswith(_HTTP):
        return _upgrades_to_sip(data)
    if _GUESS.match(data) is None and data[:1] not in (b"\x41", b"\x42", b"\xc1", b"\xc2"):
        return False
    header = _header(data, 0)
    return header is not None and _proved(data, 0, header) is True


def _upgrades_to_sip(head: bytes) -> bool:
    """Tell whether the head of an HTTP message asks for, or grants, the subprotocol "sip"."""
    protocols = b",".join(_PROTOCOL.findall(head)).lower().split(b",")
    return b"sip" in (name.strip() for name in protocols) and _UPGRADE.search(head) is not None


@dataclass(slots=True, frozen=True)
class _Header:
    """A frame header: ``size`` bytes of it, ``length`` of payload, ``mask`` of 4 bytes or none."""

    fin: bool
    compressed: bool
    opcode: int
    mask: bytes
    size: int
    length: int


def _header(data: bytes | bytearray, at: int) -> _Header | bool | None:
    """Read the frame header at ``at`` (RFC 6455 section 5.2); None: not all there yet; False: it is none."""
    if len(data) < at + 2:
        return None
    first, second = data[at], data[at + 1]
    fin, compressed, opcode = bool(first & 0x80), bool(first & 0x40), first & 0x0F
    length, size = second & 0x7F, 2
    if first & 0x30 or opcode not in _OPCODES or (compressed and opcode not in (_TEXT, _BINARY)):
        return False
    if opcode >= _CLOSE and (not fin or length > 125):
        return False
    if length >= 126:
        size += 2 if length == 126 else 8
        if len(data) < at + size:
            return None
        least = 126 if length == 126 else 1 << 16
        length = int.from_bytes(data[at + 2 : at + size], "big")
        if length < least or length >= 1 << 63:
            return False  # lengths are written in the fewest bytes
    mask = b""
    if second & 0x80:
        mask = bytes(data[at + size : at + size + 4])
        size += 4
        if len(mask) < 4:
            return None
    return _Header(fin, compressed, opcode, mask, size, length)


def unmask(data: bytes | bytearray, mask: bytes) -> bytes:
    """Apply a mask of 4 bytes to a payload (RFC 6455 section 5.3); without a mask it stays as it is."""
    if not mask or not data:
        return bytes(data)
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def _proved(data: bytes | bytearray, at: int, header: _Header | bool) -> bool | None:
    """Tell whether SIP begins behind a guessed header; None: too little has come to say."""
    if isinstance(header, bool) or header.opcode not in (_TEXT, _BINARY) or header.length > MAX_MESSAGE_BYTES:
        return False
    start = at + header.size
    if header.compressed:
        if len(data) < start + header.length:
            return None
        inflated = _inflate(zlib.decompressobj(-15), unmask(data[start : start + header.length], header.mask))
        return inflated is not None and _START.match(inflated) is not None
    seen = unmask(data[start : start + min(header.length, _PROOF_BYTES)], header.mask)
    if _START.match(seen):
        return True
    return None if len(seen) < min(header.length, _PROOF_BYTES) and b"\0" not in seen else False


def _inflate(context: zlib._Decompress, data: bytes) -> bytes | None:
    """Inflate a message (RFC 7692 section 7.2.2); None: it is damaged, or larger than SIP would be."""
    most = min(MAX_MESSAGE_BYTES, _LEAST_INFLATED + _MAX_RATIO * len(data))
    try:
        inflated = context.decompress(data + b"\0\0\xff\xff", most)
    except zlib.error:
        return None
    return None if context.unconsumed_tail else inflated


class WebSocketFramer:
    """One direction of a connection, from its first byte (``in_step``) or from somewhere in its middle.

    ``confirmed`` turns true when the upgrade names the subprotocol "sip" (RFC 7118 section 4), or at the
    first SIP message, and never back. ``foreign`` tells that the upgrade is not one to SIP.

    Held at most: a frame and the fragments before it, MAX_MESSAGE_BYTES together; what is longer is passed
    over. A compressed message that cannot be inflated (its context was missed) is counted and passed over.

    ``counters``: keep-alives, skipped-bytes, oversize, resynchronised, cut-messages, ws-control,
    ws-undecodable, ws-other (messages that are not SIP).
    """

    transport = "ws"

    def __init__(self, counters: Counter[str], *, in_step: bool) -> None:
        self.counters = counters
        self.confirmed = False
        self.foreign = False
        self._in_step = in_step
        self._buffer = bytearray()
        self._fragments = bytearray()
        self._collecting = False  # a message was begun whose last fragment has not come
        self._compressed = False
        self._context: zlib._Decompress | None = None
        self._passing = 0  # bytes of an oversize frame, or of an HTTP body, still to come
        self._segment_at = 0  # where in the buffer the latest segment begins

    def __len__(self) -> int:
        """Return the bytes held."""
        return len(self._buffer) + len(self._fragments)

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return the SIP messages that they complete."""
        if self._passing:
            passed = min(self._passing, len(data))
            self._passing -= passed
            data = data[passed:]
        self._segment_at = len(self._buffer)
        self._buffer += data
        messages: list[bytes] = []
        while self._buffer and not self._passing and self._step(messages):
            pass
        return messages

    def gap(self) -> bytes | None:
        """Take note that bytes are missing; return the message at hand if only its body is incomplete."""
        cut = self._cut() if self._in_step else None
        self.counters["skipped-bytes"] += len(self)
        self._buffer.clear()
        self._drop_message()
        self._context = None
        self._passing = 0
        self._in_step = False
        return cut

    def _cut(self) -> bytes | None:
        header = _header(self._buffer, 0)
        if isinstance(header, bool) or header is None or self._compressed or header.compressed:
            return None
        if header.opcode >= _CLOSE:
            return None
        begun = bytes(self._fragments) if header.opcode == _CONTINUATION else b""
        begun += unmask(self._buffer[header.size :], header.mask)
        if not looks_like_sip(begun) or not _HEAD_END.search(begun):
            return None
        self.counters["cut-messages"] += 1
        return begun

    def _step(self, messages: list[bytes]) -> bool:
        """Take one thing off the buffer; False: more bytes are needed for it."""
        http = begins_http(self._buffer)
        if http is None:
            return False
        if http:
            return self._read_http()
        if not self._in_step and not self._resynchronise():
            return False
        header = _header(self._buffer, 0)
        if header is None:
            return False
        if isinstance(header, bool):
            self._lose_step()
            return True
        if header.length > MAX_MESSAGE_BYTES:
            self.counters["oversize"] += 1
            self._drop_message()
            self._pass(header.size + header.length)
            return True
        end = header.size + header.length
        if len(self._buffer) < end:
            return False
        payload = unmask(self._buffer[header.size : end], header.mask)
        del self._buffer[:end]
        self._take(header, payload, messages)
        return True

    def _take(self, header: _Header, payload: bytes, messages: list[bytes]) -> None:
        if header.opcode >= _CLOSE:
            self.counters["ws-control"] += 1
            return
        if header.opcode == _CONTINUATION:
            if not self._collecting:
                return  # the fragment before it was lost
        else:
            self._drop_message()
            self._collecting, self._compressed = True, header.compressed
        if len(self._fragments) + len(payload) > MAX_MESSAGE_BYTES:
            self.counters["oversize"] += 1
            self._drop_message()
            return
        self._fragments += payload
        if not header.fin:
            return
        whole, compressed = bytes(self._fragments), self._compressed
        self._drop_message()
        message = self._inflated(whole) if compressed else whole
        if message is None:
            self.counters["ws-undecodable"] += 1
        elif not message.strip(b"\r\n\0"):
            self.counters["keep-alives"] += 1
        elif looks_like_sip(message):
            self.confirmed = True
            messages.append(message)
        else:
            self.counters["ws-other"] += 1

    def _inflated(self, data: bytes) -> bytes | None:
        """Inflate a message with what those before it left behind (context takeover), or without."""
        contexts = [zlib.decompressobj(-15)]
        if self._context is not None and not self._context.eof:
            contexts.insert(0, self._context)
        for context in contexts:
            inflated = _inflate(context, data)
            if inflated is not None:
                self._context = context
                return inflated
        self._context = None
        return None

    def _read_http(self) -> bool:
        end = _HEAD_END.search(self._buffer)
        if end is None:
            if len(self._buffer) <= MAX_HEAD_BYTES:
                return False
            self.foreign = not self.confirmed
            self._lose_step()
            return True
        head = bytes(self._buffer[: end.end()])
        self._in_step = True
        if head.startswith(b"GET ") or re.match(rb"HTTP/1\.\d 101", head):
            self.confirmed |= _upgrades_to_sip(head)
            self.foreign = not self.confirmed
            self._pass(end.end())
            return True
        # Refused, or asked for a password: the client may try again on the same connection.
        length = _LENGTH.search(head)
        self._pass(end.end() + (int(length[1]) if length else 0))
        return True

    def _resynchronise(self) -> bool:
        """Find a frame with SIP in it; False: none is there yet."""
        at, proved = self._guess()
        self._skip(at)
        self._in_step = proved
        self.counters["resynchronised"] += proved
        return proved

    def _guess(self) -> tuple[int, bool]:
        """Return where a frame with SIP begins, or may turn out to begin; and whether it does."""
        for at in self._candidates():
            header = _header(self._buffer, at)
            proved = None if header is None else _proved(self._buffer, at, header)
            if proved is not False:
                return at, proved is True
        return max(0, len(self._buffer) - 1), False

    def _candidates(self) -> Iterator[int]:
        """Yield where a frame may begin; a compressed one only where a segment does: inflating costs."""
        buffer = self._buffer
        for at in sorted({0, self._segment_at}):
            if at < len(buffer) and buffer[at] in _COMPRESSED:
                yield at
        found = [guess.start() for guess in itertools.islice(_GUESS.finditer(buffer), _MOST_GUESSES)]
        yield from found

    def _lose_step(self) -> None:
        self._skip(1)
        self._drop_message()
        self._context = None
        self._in_step = False

    def _drop_message(self) -> None:
        self._fragments.clear()
        self._collecting = self._compressed = False

    def _pass(self, count: int) -> None:
        here = min(count, len(self._buffer))
        del self._buffer[:here]
        self._passing = count - here

    def _skip(self, count: int) -> None:
        self.counters["skipped-bytes"] += count
        del self._buffer[:count]
