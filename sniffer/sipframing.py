"""SIP messages cut out of a byte stream (RFC 3261 section 18.3, keep-alives of RFC 5626 section 3.5.1; C4).

In step, a message begins where the one before it ended, and Content-Length says how long it is. Out of
step (capture began in mid-stream, or bytes were lost) everything is passed over until a start line is seen
at the start of a segment or of a line; such a find is believed only if its header section names a Call-ID,
because a body can quote a start line (message/sipfrag in a NOTIFY).
"""

from __future__ import annotations

import re
from collections import Counter

from bystander.sniffer.sip import looks_like_sip

MAX_LINE_BYTES = 8 << 10
MAX_HEAD_BYTES = 64 << 10
MAX_BODY_BYTES = 1 << 20

_LINE = (
    rb"(?:SIP/2\.0[ \t]+\d{3}(?!\d)[^\r\n]*"
    rb"|[A-Za-z0-9\-.!%*_+`'~]{1,64}[ \t]+<?[A-Za-z][A-Za-z0-9+.\-]*:[^\r\n]*[ \t]SIP/2\.0[ \t]*)\r?\n"
)
_FIRST_OR_LATER_LINE = re.compile(rb"(?:\A|\n)(" + _LINE + rb")", re.IGNORECASE)
_LATER_LINE = re.compile(rb"\n(" + _LINE + rb")", re.IGNORECASE)
#: What has arrived of a first line that may yet turn out to be a start line.
_BEGINNING = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~/]{1,65}(?:[ \t][^\x00\r\n]*\r?)?\Z")
_HEAD_END = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*:\s*(\d+)", re.IGNORECASE)
_TYPE = re.compile(rb"\n(?:content-type|c)[ \t]*:", re.IGNORECASE)
_CALL_ID = re.compile(rb"\n(?:call-id|i)[ \t]*:", re.IGNORECASE)


def holds_start_line(data: bytes) -> bool:
    """Tell cheaply whether a SIP message begins at the start of a segment or of a line in it."""
    return looks_like_sip(data) or (b"SIP/2.0" in data and _FIRST_OR_LATER_LINE.search(data) is not None)


class SipFramer:
    """One direction of a connection, from its first byte (``in_step``) or from somewhere in its middle.

    ``confirmed`` turns true at the first start line, and never back. Until then ``foreign`` tells that a
    stream that was read from its first byte does not begin like SIP.

    ``counters``: keep-alives, skipped-bytes, oversize, resynchronised, cut-messages.
    """

    def __init__(self, counters: Counter[str], *, in_step: bool) -> None:
        self.counters = counters
        self.confirmed = False
        self.foreign = False
        self._in_step = in_step
        self._found = False  # the message at hand was found by searching: not yet believed
        self._buffer = bytearray()
        self._size = 0  # bytes of the message at hand, once its header section is whole
        self._searched = 0

    def __len__(self) -> int:
        """Return the bytes held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return the messages that they complete."""
        if not self._in_step and looks_like_sip(data):
            # A body that is not made of lines may end right here, where no line begins.
            self._skip(len(self._buffer))
            self._in_step = self._found = True
        self._buffer += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def gap(self) -> bytes | None:
        """Take note that bytes are missing; return the message at hand if only its body is incomplete."""
        cut = bytes(self._buffer) if self._size else None
        if cut is not None:
            self.counters["cut-messages"] += 1
            self._buffer.clear()
        self._skip(len(self._buffer))
        self._in_step = False
        return cut

    def _next(self) -> bytes | None:
        while not self._size:
            if not self._in_step and not self._resynchronise():
                return None
            arrived = self._start_line_arrived()
            if arrived is None:
                return None
            if not arrived:
                self._in_step = False
                self.foreign = not self.confirmed
                continue
            if not self._read_head():
                return None
        if len(self._buffer) < self._size:
            return None
        message = bytes(self._buffer[: self._size])
        self._forget(self._size)
        return message

    def _resynchronise(self) -> bool:
        line = _FIRST_OR_LATER_LINE.search(self._buffer)
        if line is not None:
            self._skip(line.start(1))
            self._in_step = self._found = True
            return True
        end = self._buffer.rfind(b"\n")
        # A start line may have begun in the last line; where there is none, this is still a segment's start.
        if end > 0:
            self._skip(end)
        if len(self._buffer) > MAX_LINE_BYTES:
            self._skip(len(self._buffer))
        return False

    def _start_line_arrived(self) -> bool | None:
        """Tell whether a start line is next; None: not enough bytes to say."""
        buffer = self._buffer
        blank = len(buffer) - len(buffer.lstrip(b"\r\n"))
        if blank:
            self.counters["keep-alives"] += 1
            self._forget(blank)
        if not buffer:
            return None
        if b"\n" not in buffer[:MAX_LINE_BYTES]:
            return None if len(buffer) < MAX_LINE_BYTES and _BEGINNING.match(buffer) else False
        return looks_like_sip(buffer)

    def _read_head(self) -> bool:
        """Find the size of the message at hand; False: its header section is not whole yet."""
        buffer = self._buffer
        self.confirmed, self.foreign = True, False
        end = _HEAD_END.search(buffer, self._searched)
        if end is None:
            self._searched = max(0, len(buffer) - 2)
            if len(buffer) <= MAX_HEAD_BYTES:
                return False
            self.counters["oversize"] += 1
            self._skip(buffer.find(b"\n"))
            self._in_step = False
            return True
        head = bytes(buffer[: end.end()])
        if self._found and not self._believe(head):
            return True
        self._size = end.end() + self._body_bytes(head)
        return True

    def _believe(self, head: bytes) -> bool:
        """Check a message found by searching; if it is none, go on searching behind its start line."""
        later = [line.start(1) for line in _LATER_LINE.finditer(head)]
        if not later and _CALL_ID.search(head):
            self._found = False
            self.counters["resynchronised"] += 1
            return True
        self._skip(later[-1] if later else head.find(b"\n"))
        self._in_step = bool(later)
        return False

    def _body_bytes(self, head: bytes) -> int:
        length = _LENGTH.search(head)
        if length is not None:
            digits = length.group(1)
            size = int(digits) if len(digits) <= 9 else MAX_BODY_BYTES + 1
            if size <= MAX_BODY_BYTES:
                return size
            self.counters["oversize"] += 1
            return 0
        if _TYPE.search(head):
            # Forbidden on a stream, yet seen: the body must be what came along with the header section.
            following = _LATER_LINE.search(self._buffer, len(head) - 1)
            return (following.start(1) if following else len(self._buffer)) - len(head)
        return 0

    def _skip(self, count: int) -> None:
        self.counters["skipped-bytes"] += count
        self._forget(count)

    def _forget(self, count: int) -> None:
        del self._buffer[:count]
        self._size = self._searched = 0
