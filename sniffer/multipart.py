"""Bodies of SIP messages: one, or several in a multipart, encoded or not (RFC 5621, RFC 2046).

What gateways and recorders send: SDP beside ISUP (SIP-I), beside recording metadata (SIPREC), in a multipart
inside a multipart, and rarely in base64. Preamble, epilogue and a missing closing boundary cost nothing.
"""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_FOLD = re.compile(r"\r?\n[ \t]+")
_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,]+))', re.IGNORECASE)
#: A multipart inside a multipart occurs (SIP-I in a relayed INVITE); deeper nesting is an attack.
_MAX_NESTING: Final = 4
_MAX_PARTS: Final = 32


@dataclass(slots=True, frozen=True)
class Body:
    """One body: its media type and disposition in lower case, "" where they are not said, and its bytes."""

    media_type: str
    disposition: str
    content: bytes


def bodies(content_type: str, disposition: str, encoding: str, content: bytes) -> Iterator[Body]:
    """Yield the body that these headers describe, or each body of a multipart, in order."""
    yield from _bodies(content_type, disposition, encoding, content, 0)


def _bodies(content_type: str, disposition: str, encoding: str, content: bytes, depth: int) -> Iterator[Body]:
    media_type = _token(content_type)
    if not media_type.startswith("multipart/"):
        yield Body(media_type, _token(disposition), _decoded(encoding, content))
        return
    match = _BOUNDARY.search(content_type)
    if match is None or depth >= _MAX_NESTING:
        return
    boundary = (match.group(1) or match.group(2) or "").encode("utf-8", "replace")
    if not boundary:
        return
    pieces = re.split(
        rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|\Z)", content, maxsplit=_MAX_PARTS
    )
    # re.split gives text, closing mark, text, ...: first the preamble, and after a closing "--" the epilogue.
    for closing, piece in zip(pieces[1::2], pieces[2::2], strict=False):
        if closing:
            return
        yield from _bodies(*_part(piece), depth + 1)


def _part(piece: bytes) -> tuple[str, str, str, bytes]:
    """Return (Content-Type, Content-Disposition, Content-Transfer-Encoding, content) of a part."""
    if piece[:1] in (b"\r", b"\n"):
        return "", "", "", piece.lstrip(b"\r\n")
    head, rest, _ = split_head(piece)
    found: dict[str, str] = {}
    for line in _FOLD.sub(" ", decode(head)).split("\n"):
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), value.strip())
    kind = found.get("content-type") or found.get("c", "")
    return kind, found.get("content-disposition", ""), found.get("content-transfer-encoding", ""), rest


def _token(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def _decoded(encoding: str, content: bytes) -> bytes:
    """Undo a Content-Transfer-Encoding; what it does not fit stays as it is."""
    name = _token(encoding)
    try:
        if name == "base64":
            return binascii.a2b_base64(content + b"==")  # the padding may be cut off
        if name == "quoted-printable":
            return quopri.decodestring(content)
    except ValueError:
        pass
    return content


def split_head(data: bytes) -> tuple[bytes, bytes, bool]:
    """Return (header section, what follows, whether the header section ended)."""
    end, width = data.find(b"\n\r\n"), 3
    bare = data.find(b"\n\n", 0, end if end >= 0 else len(data))
    if bare >= 0:
        end, width = bare, 2
    if end >= 0:
        return data[:end], data[end + width :], True
    if data.endswith(b"\n"):
        # All lines are whole: an end without the blank line, as some devices send it.
        return data, b"", True
    # Cut short by the snap length: the last line cannot be trusted, unless it is the start line.
    return data[: data.rfind(b"\n")] if b"\n" in data else data, b"", False


def decode(head: bytes) -> str:
    """Return a header section as text: UTF-8, or Latin-1 line by line where it is none."""
    try:
        return head.decode()
    except UnicodeDecodeError:
        # Line by line, so that one telephone's Latin-1 name does not spoil a UTF-8 one.
        return "\n".join(_decode_line(line) for line in head.split(b"\n"))


def _decode_line(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")
