"""A second opinion on audio: ffmpeg's decoders, on the payloads that TShark took out of a capture; and its
encoders, for sipp.
"""

from __future__ import annotations

import itertools
import struct
import subprocess
from collections.abc import Sequence

import numpy as np
from phonelab.speech import RATE_HZ, Samples, resample

RAW = {
    "PCMA": (["-f", "alaw", "-ar", "8000", "-ac", "1"], 8000),
    "PCMU": (["-f", "mulaw", "-ar", "8000", "-ac", "1"], 8000),
    "G722": (["-f", "g722"], 16000),
}
OPUS_HZ = 48000
PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9}  # RFC 3551, table 4


def decode(codec: str, payloads: Sequence[bytes], ptime_ms: int) -> tuple[Samples, int]:
    """The samples of consecutive payloads, and their rate in Hz."""
    if codec == "OPUS":
        kind, rate_hz, data = ["-f", "ogg", "-c:a", "libopus"], OPUS_HZ, ogg_opus(payloads, ptime_ms)
    else:
        (kind, rate_hz), data = RAW[codec], b"".join(payloads)
    decoded = subprocess.run(
        ["ffmpeg", "-v", "error", *kind, "-i", "-", "-f", "s16le", "-ac", "1", "-ar", str(rate_hz), "-"],
        input=data, capture_output=True, check=True,
    )  # fmt: skip
    return np.frombuffer(decoded.stdout, "<i2") / 32768.0, rate_hz


def encode(codec: str, samples: Samples) -> bytes:
    """Speech at 8 kHz as a raw stream of the codec."""
    kind, rate_hz = RAW[codec]
    pcm = (np.clip(resample(samples, RATE_HZ, rate_hz), -1, 32767 / 32768) * 32768).round().astype("<i2")
    return subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "s16le", "-ar", str(rate_hz), "-ac", "1", "-i", "-", *kind[:2], "-"],
        input=pcm.tobytes(), capture_output=True, check=True,
    ).stdout  # fmt: skip


def ogg_opus(payloads: Sequence[bytes], ptime_ms: int) -> bytes:
    """An Ogg file of Opus packets (RFC 7845), one a page, nothing of them skipped."""
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 2, 0, OPUS_HZ, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    positions = itertools.chain(
        (0, 0), itertools.count(ptime_ms * OPUS_HZ // 1000, ptime_ms * OPUS_HZ // 1000)
    )
    return b"".join(
        _page(packet, position, number, (2 if number == 0 else 0) | (4 if number == len(payloads) + 1 else 0))
        for number, (packet, position) in enumerate(zip((head, tags, *payloads), positions, strict=False))
    )


def _page(packet: bytes, position: int, number: int, flags: int) -> bytes:
    """One page with one packet (RFC 3533 §6)."""
    lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, position, 1, number, 0, len(lacing)) + lacing
    checksum = 0
    for byte in head + packet:
        checksum = ((checksum << 8) & 0xFFFFFFFF) ^ _CRC[(checksum >> 24) ^ byte]
    return head[:22] + struct.pack("<I", checksum) + head[26:] + packet


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        rest = value << 24
        for _ in range(8):
            rest = ((rest << 1) ^ (0x04C11DB7 if rest & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(rest)
    return table


_CRC = _crc_table()
