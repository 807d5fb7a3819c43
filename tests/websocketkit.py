"""A WebSocket's frames, written by hand (RFC 6455, RFC 7692), for the tests that read them."""

from __future__ import annotations

import zlib

PROTOCOL = "sip"
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def upgrade(protocol: str = PROTOCOL) -> bytes:
    """The request of RFC 7118 section 4.1."""
    lines = ["GET /ws HTTP/1.1", "Host: pbx.example", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Sec-WebSocket-Protocol: chat, {protocol}"]
    return ("\r\n".join([*lines, "Sec-WebSocket-Version: 13"]) + "\r\n\r\n").encode()


def switching(protocol: str = PROTOCOL) -> bytes:
    """The server's consent."""
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", f"Sec-WebSocket-Protocol: {protocol}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(
    payload: bytes, opcode: int = TEXT, *, mask: bytes = b"", fin: bool = True, compressed: bool = False
) -> bytes:
    """One frame."""
    size = len(payload)
    length = bytes([min(size, 125)])
    if size >= 126:
        length = b"\x7e" + size.to_bytes(2) if size < 65536 else b"\x7f" + size.to_bytes(8)
    head = bytes([fin << 7 | compressed << 6 | opcode, length[0] | (0x80 if mask else 0)]) + length[1:]
    if mask:
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head + mask + payload


class Deflate:
    """The compressing side of permessage-deflate; ``takeover`` keeps the context between messages."""

    def __init__(self, *, takeover: bool = True) -> None:
        self._takeover = takeover
        self._context = zlib.compressobj(9, zlib.DEFLATED, -15)

    def message(self, payload: bytes, mask: bytes = b"") -> bytes:
        if not self._takeover:
            self._context = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = self._context.compress(payload) + self._context.flush(zlib.Z_SYNC_FLUSH)
        return frame(packed.removesuffix(b"\0\0\xff\xff"), mask=mask, compressed=True)
