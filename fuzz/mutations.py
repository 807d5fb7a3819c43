"""Ways to spoil bytes: blindly, and where it hurts (lengths, counts, text that a parser splits on)."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

#: Numbers at the edges of what fields can hold.
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
#: Pieces of SIP and SDP that change what the rest means.
_WORDS = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b":", b";", b",", b"<", b">", b'"', b"=", b"%", b" ", b"\t",
    b"\r\n ", b"Content-Length: 99999999999\r\n", b"Content-Length: -1\r\n", b"l: 0\r\n", b"Via: ", b"v: ",
    b"tag=", b"branch=",
    b"SIP/2.0 ", b"INVITE ", b"\xff\xfe\x80", "ł".encode(), b"c=IN IP4 0.0.0.0\r\n", b"m=audio 0 RTP/AVP\r\n",
    b"m=audio 99999 RTP/AVP 8 8 8 256 -1\r\n", b"a=rtpmap:", b"a=fmtp:", b"multipart/mixed;boundary=",
)  # fmt: skip


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    size = min(len(data) - at, rng.choice((1, 2, 4, 16)))
    data[at : at + size] = rng.randbytes(size)


def _edge(data: bytearray, rng: random.Random) -> None:
    value = rng.choice(_EDGES)
    form = rng.choice((">B", ">H", ">I", "<H", "<I"))
    packed = struct.pack(form, value & ((1 << 8 * struct.calcsize(form)) - 1))
    at = rng.randrange(min(len(data), 96) if rng.random() < 0.7 else len(data))
    data[at : at + len(packed)] = packed


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _remove(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 4, 20))]


def _insert(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(_WORDS) if rng.random() < 0.7 else rng.randbytes(rng.choice((1, 2, 4, 40)))


def _repeat(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    piece = bytes(data[at : at + rng.choice((1, 4, 30, 200))])
    data[at:at] = piece * rng.choice((1, 2, 10, 60))


def _lengthen(data: bytearray, rng: random.Random) -> None:
    data += rng.choice((b"\0", b"\xff", rng.randbytes(1))) * rng.choice((1, 3, 4, 64, 1400))


_MUTATIONS: Sequence[Callable[[bytearray, random.Random], None]] = (
    _flip, _flip, _overwrite, _edge, _edge, _cut, _remove, _insert, _repeat, _lengthen,
)  # fmt: skip


def mutate(data: bytes, rng: random.Random, *, most: int = 65000) -> bytes:
    """Spoil ``data`` in one to four ways; never longer than ``most`` bytes."""
    spoiled = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not spoiled:
            spoiled += rng.randbytes(8)
        rng.choice(_MUTATIONS)(spoiled, rng)
    return bytes(spoiled[:most])


def splice(one: bytes, other: bytes, rng: random.Random) -> bytes:
    """The beginning of one and the end of another."""
    return one[: rng.randrange(len(one) + 1)] + other[rng.randrange(len(other) + 1) :]
