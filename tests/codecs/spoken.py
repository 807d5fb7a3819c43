"""Known speech in every codec that something here can encode, cut into RTP payloads.

PyAV has most encoders; Debian's ffmpeg program has those of GSM and Speex.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

from bystander.codecs.amr import NARROW_BITS
from bystander.codecs.decoder import Parameters
from bystander.codecs.packets import PacketRun
from bystander.codecs.resample import resample

SPEECH = Path(__file__).parents[1] / "data" / "speech"
T0_NS = 1_790_000_000_000_000_000
Samples = np.ndarray[Any, np.dtype[np.int16]]


@lru_cache
def speech(rate_hz: int = 8000, seconds: float = 4.0, who: str = "caller") -> Samples:
    """The beginning of the known speech, int16[n]."""
    samples, rate = soundfile.read(SPEECH / f"{who}.flac", dtype="int16")
    return resample(np.asarray(samples[: round(seconds * rate)]), rate, rate_hz)


def frames(
    name: str, samples: Samples, rate_hz: int, *, channels: int = 1, bit_rate: int = 0, **options: str
) -> list[bytes]:
    """Encode by an encoder of PyAV; one item a packet that it makes."""
    context: Any = av.CodecContext.create(name, "w")
    context.sample_rate = rate_hz
    context.layout = "stereo" if channels == 2 else "mono"
    context.format = "s16"
    context.time_base = Fraction(1, rate_hz)
    context.options = options
    if bit_rate:
        context.bit_rate = bit_rate
    context.open()
    size = rate_hz // 50
    packets = []
    for at in range(0, len(samples) - size + 1, size):
        piece = samples[at : at + size]
        shaped = np.repeat(piece, channels).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(shaped, format="s16", layout="stereo" if channels == 2 else "mono")
        frame.sample_rate = rate_hz
        frame.pts = at
        packets += context.encode(frame)
    packets += context.encode(None)
    return [bytes(packet) for packet in packets]


def program(form: str, samples: Samples, rate_hz: int, *arguments: str) -> bytes:
    """Encode by the ffmpeg program; the bytes of a file in the format ``form``."""
    found = shutil.which("ffmpeg")
    assert found is not None
    command = [found, "-v", "error", "-f", "s16le", "-ar", str(rate_hz), "-ac", "1", "-i", "-", *arguments]
    return subprocess.run(
        [*command, "-f", form, "-"], input=samples.tobytes(), stdout=subprocess.PIPE, check=True
    ).stdout


@dataclass(slots=True, frozen=True)
class Spoken:
    """Speech as it would be sent: payloads of ``ticks`` of the RTP clock each."""

    parameters: Parameters
    ticks: int
    payloads: list[bytes]

    def run(self, pt: int = 96, start_ns: int = T0_NS, first_ts: int = 0xFFFF_F000) -> PacketRun:
        """The packets as they are kept: all of them, in order, on time."""
        n = len(self.payloads)
        step_ns = self.ticks * 1_000_000_000 // self.parameters.clock_hz
        return PacketRun(
            np.arange(n, dtype=np.int64),
            ((first_ts + np.arange(n, dtype=np.int64) * self.ticks) % 2**32).astype(np.uint32),
            np.full(n, pt, np.uint8),
            start_ns + np.arange(n, dtype=np.int64) * step_ns,
            np.array([len(payload) for payload in self.payloads], np.int32),
            np.frombuffer(b"".join(self.payloads), np.uint8),
        )


def only(run: PacketRun, at: np.ndarray[Any, Any]) -> PacketRun:
    """Some packets of a run, in the order of ``at``."""
    every = run.payloads()
    return PacketRun(
        run.seq[at],
        run.ts[at],
        run.pt[at],
        run.time_ns[at],
        run.size[at],
        np.frombuffer(b"".join(every[i] for i in at.tolist()), np.uint8),
    )


def _g726(rate: int, aal2: bool) -> Spoken:
    name = "g726" if aal2 else "g726le"
    coded = b"".join(frames(name, speech(), 8000, bit_rate=rate * 1000))
    size = 20 * rate // 8
    made = [coded[at : at + size] for at in range(0, len(coded) - size + 1, size)]
    return Spoken(Parameters(("AAL2-" if aal2 else "") + f"G726-{rate}", 8000), 160, made)


def _g723(bit_rate: int) -> Spoken:
    return Spoken(Parameters("G723", 8000), 240, frames("g723_1", speech(), 8000, bit_rate=bit_rate))


def _gsm() -> Spoken:
    made = program("gsm", speech(), 8000)
    # Two frames a packet, as with a=ptime:40.
    return Spoken(Parameters("GSM", 8000), 320, [made[at : at + 66] for at in range(0, len(made) - 65, 66)])


def _opus(channels: int, **options: str) -> Spoken:
    made = frames("libopus", speech(48000), 48000, channels=channels, bit_rate=32000, **options)
    ticks = int(float(options.get("frame_duration", "20")) * 48)
    return Spoken(Parameters("OPUS", 48000, 2, "useinbandfec=1"), ticks, made)


def _speex(rate_hz: int, frames_a_packet: int = 1) -> Spoken:
    arguments = ("-c:a", "libspeex", "-frames_per_packet", str(frames_a_packet))
    pages = program("ogg", speech(rate_hz), rate_hz, *arguments)
    ticks = rate_hz // 50 * frames_a_packet
    return Spoken(Parameters("SPEEX", rate_hz), ticks, _ogg_packets(pages)[2:])


def _ogg_packets(data: bytes) -> list[bytes]:
    """The packets of an Ogg file (RFC 3533 §6)."""
    packets, part, at = [], b"", 0
    while at < len(data):
        count = data[at + 26]
        lacing = data[at + 27 : at + 27 + count]
        at += 27 + count
        for size in lacing:
            part += data[at : at + size]
            at += size
            if size < 255:
                packets.append(part)
                part = b""
    return packets


def _amr(aligned: bool, frames_a_packet: int = 1) -> Spoken:
    stored = frames("libopencore_amrnb", speech(), 8000, bit_rate=12200)
    made = [
        amr_payload(stored[at : at + frames_a_packet], aligned)
        for at in range(0, len(stored) - frames_a_packet + 1, frames_a_packet)
    ]
    fmtp = "octet-align=1; mode-set=0,7" if aligned else ""
    return Spoken(Parameters("AMR", 8000, 1, fmtp), 160 * frames_a_packet, made)


def amr_payload(stored: list[bytes], aligned: bool, sizes: dict[int, int] | None = None) -> bytes:
    """RFC 4867 by strings of binary digits: slow, and not how the depacketiser does it."""
    kinds = [frame[0] >> 3 & 15 for frame in stored]
    bits = "1111" + ("0000" if aligned else "")
    for number, frame in enumerate(stored):
        more = "1" if number < len(stored) - 1 else "0"
        bits += more + f"{frame[0] >> 3 & 15:04b}" + f"{frame[0] >> 2 & 1}" + ("00" if aligned else "")
    for kind, frame in zip(kinds, stored, strict=True):
        body = "".join(f"{byte:08b}" for byte in frame[1:])[: (sizes or NARROW_BITS)[kind]]
        bits += body + ("0" * (-len(body) % 8) if aligned else "")
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def _l16(rate_hz: int, channels: int) -> Spoken:
    samples = np.repeat(speech(rate_hz), channels)
    size = rate_hz // 50
    data = samples.astype(">i2").tobytes()
    step = size * 2 * channels
    payloads = [data[at : at + step] for at in range(0, len(data) - step + 1, step)]
    return Spoken(Parameters("L16", rate_hz, channels), size, payloads)


def _dvi4() -> Spoken:
    """DVI4 of the blocks that FFmpeg makes for WAV files; the header's sample is lost."""
    # What is said first is silence, so that the lost sample is a delay and not the opposite.
    later = np.concatenate((np.zeros(40, np.int16), speech()))
    data = program("wav", later, 8000, "-c:a", "adpcm_ima_wav", "-block_size", "256")
    at = data.index(b"data") + 8
    payloads = []
    for start in range(at, len(data) - 255, 256):
        block = data[start : start + 256]
        nibbles = bytes((byte << 4 | byte >> 4) & 0xFF for byte in block[4:])
        payloads.append(bytes((block[1], block[0], block[2], 0)) + nibbles)
    return Spoken(Parameters("DVI4", 8000), 505, payloads)


#: name -> (speech in that codec, the least correlation with the original that is speech understood)
SPOKEN: dict[str, tuple[Callable[[], Spoken], float]] = {
    "G722": (
        lambda: Spoken(Parameters("G722", 8000), 160, frames("g722", speech(16000), 16000)),
        0.99,
    ),
    **{f"G726-{rate}": (lambda rate=rate: _g726(rate, False), least) for rate, least in
       ((16, 0.85), (24, 0.93), (32, 0.96), (40, 0.98))},
    **{f"AAL2-G726-{rate}": (lambda rate=rate: _g726(rate, True), least) for rate, least in
       ((16, 0.85), (24, 0.93), (32, 0.96), (40, 0.98))},
    "G723 6.3": (lambda: _g723(6300), 0.8),
    "GSM": (_gsm, 0.9),
    "Opus stereo": (lambda: _opus(2), 0.9),
    "Opus mono": (lambda: _opus(1), 0.9),
    "Opus 60 ms": (lambda: _opus(1, frame_duration="60", application="voip"), 0.9),
    "Speex 8 k": (lambda: _speex(8000), 0.8),
    "Speex 16 k": (lambda: _speex(16000), 0.8),
    "Speex two frames": (lambda: _speex(8000, 2), 0.8),
    "AMR aligned": (lambda: _amr(True), 0.85),
    "AMR dense": (lambda: _amr(False), 0.85),
    "AMR dense, three frames": (lambda: _amr(False, 3), 0.85),
    "L16 8 k": (lambda: _l16(8000, 1), 0.999),
    "L16 16 k stereo": (lambda: _l16(16000, 2), 0.999),
    "L16 44.1 k": (lambda: _l16(44100, 1), 0.999),
    "DVI4": (_dvi4, 0.97),
}  # fmt: skip


@lru_cache
def spoken(name: str) -> Spoken:
    """The known speech in one codec."""
    return SPOKEN[name][0]()


def likeness(heard: Samples, original: Samples, most_delay: int) -> tuple[float, int]:
    """(correlation, delay in samples) of the best fit of ``heard`` with ``original``, up to a delay."""
    n = min(len(heard), len(original)) - most_delay
    reference = original[:n].astype(np.float64)
    spectrum = np.fft.rfft(heard[: n + most_delay].astype(np.float64), 2 * (n + most_delay))
    other = np.fft.rfft(reference, 2 * (n + most_delay))
    lags = np.fft.irfft(spectrum * np.conj(other))[:most_delay]
    delay = int(np.argmax(lags))
    part = heard[delay : delay + n].astype(np.float64)
    norm = float(np.sqrt((part**2).sum() * (reference**2).sum()))
    return float((part * reference).sum()) / norm if norm else 0.0, delay
