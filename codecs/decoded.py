"""Kept packets of one payload type as sound, decoded while it is read.

An hour of Opus is 350 MB of samples a side, so nothing is decoded before it is asked for: a recording is
written from its beginning to its end, and the decoder keeps one block ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.decoder import Decoder, Parameters
from bystander.codecs.packets import PacketRun
from bystander.codecs.placing import Placement, place, unwrapped
from bystander.codecs.registry import open_decoder

#: What was read: samples int16[n], and where there is something to hear, bool[n].
Piece = tuple[NDArray[np.int16], NDArray[np.bool_]]

#: Packets decoded to see whether they can be and how long they are.
_PROBED: Final = 200
_ENOUGH: Final = 40
#: RTP clocks in use. Some senders count in another one than SDP says (C14).
_CLOCKS_HZ: Final = (1000, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_ALIKE: Final = 0.03
#: A gap shorter than this (1 ms) is where two clocks were brought together, not where a packet was lost.
_SEAM_S: Final = 0.001


class Reader(Protocol):
    """Sound at its own rate, read from front to back; going back starts over."""

    def read(self, start: int, n: int) -> Piece:
        """Read ``n`` samples from ``start`` on, counted from the origin that the reader was made for."""


@dataclass(slots=True)
class Sound:
    """The packets of one payload type, placed. ``begin_ns`` and ``end_ns`` are on the capture clock."""

    parameters: Parameters
    rate_hz: int
    payloads: list[bytes]
    placement: Placement
    begin_ns: int
    end_ns: int

    def reader(self, origin_ns: int) -> Reader:
        """Return a reader whose sample 0 is at ``origin_ns``."""
        return _PacketReader(self, self.placement.positions(origin_ns, self.rate_hz))


def sound_of(run: PacketRun, parameters: Parameters) -> Sound | None:
    """Return the sound of a stream's packets of one payload type; None if they cannot be decoded."""
    order = np.argsort(run.seq, kind="stable")
    decoder = open_decoder(parameters)
    if decoder is None or not len(order):
        return None
    every = run.payloads()
    payloads = [every[i] for i in order.tolist()]
    lengths = _probe(decoder, payloads)
    if not any(lengths):
        return None
    seq, ts = run.seq[order], run.ts[order]
    clock_hz = _clock(parameters.clock_hz, decoder.rate_hz, seq, unwrapped(ts), lengths)
    placement = place(seq, ts, run.time_ns[order], clock_hz)
    begins = placement.positions(placement.first_ns, 1_000_000)  # µs
    length_us = max(lengths) * 1_000_000 // decoder.rate_hz
    return Sound(
        parameters,
        decoder.rate_hz,
        payloads,
        placement,
        placement.first_ns + int(begins.min()) * 1000,
        placement.first_ns + (int(begins.max()) + length_us) * 1000,
    )


def _probe(decoder: Decoder, payloads: list[bytes]) -> list[int]:
    """Return how many samples the first packets last, in their order; 0 for those that do not decode."""
    lengths: list[int] = []
    for payload in payloads[:_PROBED]:
        lengths.append(len(decoder.decode(payload)))
        if len(lengths) >= _ENOUGH and any(lengths):
            break
    return lengths


def _clock(
    said_hz: int, rate_hz: int, seq: NDArray[np.int64], ticks: NDArray[np.int64], lengths: list[int]
) -> int:
    """Return the clock that timestamps count in: what SDP says, unless the packets say another."""
    n = len(lengths)
    length = np.array(lengths, np.float64) / rate_hz
    follows = (np.diff(seq[:n]) == 1) & (length[:-1] > 0)
    step = np.diff(ticks[:n])[follows]
    if len(step) < 5:
        return said_hz
    # In pauses timestamps run on without packets, so the least steps are those of packets end to end.
    measured = float(np.quantile(step / length[:-1][follows], 0.25))
    if abs(measured / said_hz - 1) < _ALIKE:
        return said_hz
    return next((known for known in _CLOCKS_HZ if abs(measured / known - 1) < _ALIKE), said_hz)


class _PacketReader:
    def __init__(self, sound: Sound, position: NDArray[np.int64]) -> None:
        self._sound = sound
        self._position = position.tolist()
        # The least position that is still to come: packets are decoded in sequence, wherever they belong.
        self._reach = np.minimum.accumulate(position[::-1])[::-1].tolist()
        self._seam = max(1, round(sound.rate_hz * _SEAM_S))
        self._restart()

    def _restart(self) -> None:
        decoder = open_decoder(self._sound.parameters)
        assert decoder is not None, "it was opened before"
        self._decoder = decoder
        self._next = 0
        self._held: list[tuple[int, NDArray[np.int16]]] = []
        self._at = 0
        self._last_end: int | None = None
        self._last_value = 0

    def read(self, start: int, n: int) -> Piece:
        if start < self._at:
            self._restart()
        stop = self._at = start + n
        while self._next < len(self._reach) and self._reach[self._next] < stop:
            self._decode_next()
        samples = np.zeros(n, np.int16)
        covered = np.zeros(n, bool)
        for position, piece in self._held:
            first, last = max(position, start), min(position + len(piece), stop)
            if first < last:
                samples[first - start : last - start] = piece[first - position : last - position]
                covered[first - start : last - start] = True
        self._held = [held for held in self._held if held[0] + len(held[1]) > stop]
        return samples, covered

    def _decode_next(self) -> None:
        position, piece = self._position[self._next], self._decoder.decode(self._sound.payloads[self._next])
        self._next += 1
        if not len(piece):
            return
        end = position + len(piece)
        gap = position - self._last_end if self._last_end is not None else 0
        if 0 < gap <= self._seam:
            piece = np.concatenate((np.full(gap, self._last_value, np.int16), piece))
            position -= gap
        self._held.append((position, piece))
        self._last_end, self._last_value = end, int(piece[-1])
