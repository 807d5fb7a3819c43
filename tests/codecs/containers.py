"""RTP payloads as files that another decoder reads: Debian's ffmpeg, built without us."""

from __future__ import annotations

import struct
import subprocess
from typing import Any

import numpy as np

from bystander.codecs.amr import NARROW_BITS, WIDE_BITS
from bystander.codecs.opus import samples_of

Samples = np.ndarray[Any, np.dtype[np.int16]]


def decoded(data: bytes, rate_hz: int, *arguments: str) -> Samples:
    """What ffmpeg hears in a file, mono, int16[n]; ``arguments`` say what the file is."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        *arguments,
        "-i",
        "-",
        "-f",
        "s16le",
        "-ac",
        "1",
        "-ar",
        str(rate_hz),
        "-",
    ]
    heard = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(heard, np.int16)


def amr_file(payloads: list[bytes], wide: bool, aligned: bool) -> bytes:
    """RFC 4867 section 5, from payloads of one frame each, by strings of binary digits."""
    sizes = WIDE_BITS if wide else NARROW_BITS
    out = b"#!AMR-WB\n" if wide else b"#!AMR\n"
    for payload in payloads:
        bits = "".join(f"{byte:08b}" for byte in payload)[8 if aligned else 4 :]
        kind, quality = int(bits[1:5], 2), bits[5]
        body = bits[8 if aligned else 6 :][: sizes[kind]]
        body += "0" * (-len(body) % 8)
        out += bytes([kind << 3 | int(quality) << 2])
        out += bytes(int(body[at : at + 8], 2) for at in range(0, len(body), 8))
    return out


def opus_file(packets: list[bytes]) -> bytes:
    """Ogg (RFC 3533) with Opus (RFC 7845), a packet a page, without the encoder's delay."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48000, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    out, at = b"", 0
    for number, packet in enumerate([head, tags, *packets]):
        at += samples_of(packet) if number > 1 else 0
        flags = 2 if number == 0 else 4 if number == len(packets) + 1 else 0
        lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
        page = b"OggS" + struct.pack("<BBqIIIB", 0, flags, at, 7, number, 0, len(lacing)) + lacing + packet
        out += page[:22] + struct.pack("<I", _crc(page)) + page[26:]
    return out


def _crc(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


def snr_db(heard: Samples, reference: Samples) -> float:
    """How far the difference lies below the reference."""
    n = min(len(heard), len(reference))
    one, two = heard[:n].astype(np.float64), reference[:n].astype(np.float64)
    noise = float(((one - two) ** 2).mean())
    return float("inf") if noise == 0 else 10 * float(np.log10((two**2).mean() / noise))
