"""Kept packets of telephone events, redundant packets and every codec, as anybody might send them."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

import numpy as np

from bystander.codecs.decoded import sound_of
from bystander.codecs.decoder import Parameters
from bystander.codecs.events import DIGITS, look_like_events, measured_clock, presses
from bystander.codecs.packets import PacketRun
from bystander.codecs.red import opened
from bystander.codecs.registry import ROWS
from bystander.sniffer.infodigits import info_digit
from bystander.sniffer.maskedinfo import hidden

_EVENTS, _RED = 101, 121
_ENCODINGS: Final = [encoding for encodings, _ in ROWS for encoding in encodings]
_FMTP: Final = (
    "",
    "octet-align=1",
    "crc=1",
    "robust-sorting=1",
    "mode=20",
    "octet-align=1;crc=1;robust-sorting=1",
)
_BODIES: Final = (b"Signal=5\r\nDuration=160\r\n", b"7", b"d=Digits=123", b'<kpml-response digits="12*"/>')


class KeysTarget:
    """Packets with numbers and times near one another or anywhere, and INFO bodies."""

    name = "keys"

    def __init__(self) -> None:
        self._read: Counter[str] = Counter()

    def run(self, rng: random.Random) -> None:
        run = _packets(rng)
        inside = opened(run.of_type(_RED), rng.choice((1, 8000, 48000)), {_EVENTS})
        self._read["redundant"] += len(inside)
        both = PacketRun.join([run, inside])
        found = presses(both, {_EVENTS: rng.choice((8000, 48000))})
        self._read["presses"] += len(found)
        if any(press.digit not in DIGITS or press.duration_ms < 0 for press in found):
            raise AssertionError("what was pressed is no key")
        for pt in set(both.pt.tolist()):
            part = both.of_type(pt)
            if look_like_events(part):
                self._read["known for events"] += 1
                measured_clock(part)
        clock_hz = rng.choice((1, 8000, 16000, 44100, 48000))
        parameters = Parameters(rng.choice(_ENCODINGS), clock_hz, rng.choice((1, 2)), rng.choice(_FMTP))
        sound = sound_of(both, parameters)
        if sound is not None and sound.end_ns - sound.begin_ns < 10**12:
            samples, covered = sound.reader(sound.begin_ns).read(0, sound.rate_hz)
            self._read["decoded"] += int(covered.any())
            if samples.dtype != np.int16 or len(samples) != len(covered):
                raise AssertionError("samples that are none")
        self._body(rng)

    def _body(self, rng: random.Random) -> None:
        body = bytearray(rng.choice(_BODIES))
        for _ in range(rng.randrange(4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        shown = hidden(bytes(body))
        if len(shown) != len(body):
            raise AssertionError("a body changed its length")
        for kind in ("application/dtmf-relay", "application/dtmf"):
            if info_digit(kind, shown) not in (None, "x"):
                raise AssertionError("a key is still there")

    def summary(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(self._read.items()))


def _packets(rng: random.Random) -> PacketRun:
    payloads, stamps, types = [], [], []
    stamp = rng.getrandbits(32)
    for _ in range(rng.randrange(1, 40)):
        pt = rng.choice((_EVENTS, _EVENTS, _RED, 96))
        payload = bytes((rng.randrange(20), rng.choice((0, 10, 0x8A)))) + rng.randrange(2000).to_bytes(
            2, "big"
        )
        if pt == _RED:
            inner = rng.choice((_EVENTS, 96))
            head = (0x80 | inner) << 24 | rng.randrange(800) << 10 | rng.choice((4, 4, rng.randrange(1024)))
            payload = head.to_bytes(4, "big") + bytes([inner]) + payload + payload
        elif pt == 96 or rng.random() < 0.1:
            payload = rng.randbytes(rng.randrange(200))
        payloads.append(payload)
        types.append(pt)
        stamp = rng.getrandbits(32) if rng.random() < 0.05 else (stamp + rng.choice((0, 0, 160, 480))) % 2**32
        stamps.append(stamp)
    n = len(payloads)
    times = [rng.getrandbits(62) if rng.random() < 0.01 else 10**18 + i * 20_000_000 for i in range(n)]
    return PacketRun(
        np.array([i if rng.random() < 0.9 else rng.randrange(70_000) for i in range(n)], np.int64),
        np.array(stamps, np.uint32),
        np.array(types, np.uint8),
        np.array(times, np.int64),
        np.array([len(payload) for payload in payloads], np.int32),
        np.frombuffer(b"".join(payloads), np.uint8),
    )
