"""AMR and AMR-WB (RFC 4867): octet-aligned and bandwidth-efficient payloads, frames of 20 ms.

A payload is a request to the other side (CMR), a table of contents with one entry a frame (F, FT, Q), and the
frames. Aligned, each part is filled up to bytes; else they follow one another bit by bit. To a decoder goes
what a file would hold (section 5): a byte with type and quality, and the frame's bits filled up to bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bystander.codecs.decoder import Decoder, Parameters
from bystander.codecs.ffmpeg import FfmpegDecoder, Frame

#: Bits of a frame by its type (3GPP TS 26.101 and 26.201); what is not here cannot be sent.
NARROW_BITS: Final = {0: 95, 1: 103, 2: 118, 3: 134, 4: 148, 5: 159, 6: 204, 7: 244, 8: 39, 15: 0}
WIDE_BITS: Final = {
    0: 132, 1: 177, 2: 253, 3: 285, 4: 317, 5: 365, 6: 397, 7: 461, 8: 477, 9: 40, 14: 0, 15: 0,
}  # fmt: skip
_FRAMES_A_SECOND: Final = 50
#: No packet holds more frames than this (12 would be 240 ms).
_MOST_FRAMES: Final = 50


@dataclass(slots=True, frozen=True)
class Depacketiser:
    """How the payloads of one stream are laid out, by its fmtp parameters (section 8.1)."""

    wide: bool
    aligned: bool
    crc: bool = False
    robust: bool = False

    @property
    def frame_samples(self) -> int:
        """Samples of one frame."""
        return (16000 if self.wide else 8000) // _FRAMES_A_SECOND

    def frames(self, payload: bytes) -> Iterator[Frame]:
        """Yield the frames of a payload, silence where one was not sent; it ends where it does not add up."""
        bits_of = WIDE_BITS if self.wide else NARROW_BITS
        total = len(payload) * 8
        bits = int.from_bytes(payload, "big")

        def take(at: int, count: int) -> int:
            return bits >> (total - at - count) & ((1 << count) - 1)

        at = 8 if self.aligned else 4
        entry = 8 if self.aligned else 6
        table: list[tuple[int, int]] = []
        more = 1
        while more and at + entry <= total and len(table) < _MOST_FRAMES:
            more, kind, quality = take(at, 1), take(at + 1, 4), take(at + 5, 1)
            at += entry
            if kind not in bits_of:
                return
            table.append((kind, quality))
        if self.crc:
            at += 8 * sum(1 for kind, _ in table if bits_of[kind])
        if self.robust:
            lengths = [-(-bits_of[kind] // 8) for kind, _ in table]
            simple = unsorted(payload[at // 8 :], lengths)
            if simple is None:
                return
            bits, total, at = int.from_bytes(simple, "big"), len(simple) * 8, 0
        for kind, quality in table:
            length = bits_of[kind]
            padded = -(-length // 8) * 8
            if at + (padded if self.aligned else length) > total:
                return
            if not length:
                yield self.frame_samples
                continue
            body = take(at, length) << (padded - length)
            at += padded if self.aligned else length
            yield bytes((kind << 3 | quality << 2,)) + body.to_bytes(padded // 8, "big")


def unsorted(body: bytes, lengths: list[int]) -> bytes | None:
    """Return frames of some lengths one after another, that came sorted by robustness (section 4.4.4.1).

    Then the first bytes of all frames come first, and then their second ones. None if they do not add up.
    """
    if len(body) < sum(lengths):
        return None
    frames = [bytearray() for _ in lengths]
    coming = iter(body)
    for place in range(max(lengths, default=0)):
        for frame, length in zip(frames, lengths, strict=True):
            if place < length:
                frame.append(next(coming))
    return b"".join(frames)


def open_decoder(parameters: Parameters) -> Decoder | None:
    """Return a decoder; None for several channels and interleaved frames, which telephones do not send."""
    wide = parameters.encoding.upper() == "AMR-WB"
    if parameters.channels > 1 or parameters.number("interleaving"):
        return None
    crc, robust = parameters.number("crc") == 1, parameters.number("robust-sorting") == 1
    aligned = parameters.number("octet-align") == 1 or crc or robust
    layout = Depacketiser(wide, aligned, crc, robust)
    names = ("libopencore_amrwb", "amrwb") if wide else ("libopencore_amrnb", "amrnb")
    return FfmpegDecoder(
        names, layout.frame_samples * _FRAMES_A_SECOND, layout.frames, frame_samples=layout.frame_samples
    )
