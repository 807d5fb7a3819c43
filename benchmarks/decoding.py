"""G.711 to 16-bit samples: ours beside ffmpeg and sox as whole processes, and beside a copy of the result.

Then every other codec that something here can encode, SRTP that is opened, and keys looked for in the audio:
what a second of one side costs.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import voices
from benchmarks.process import last_core, measured
from bystander.codecs.packets import PacketRun
from bystander.sniffer.crypto import SrtpKey

if TYPE_CHECKING:
    from tests.codecs.spoken import Spoken

#: 100 M samples: nearly three and a half hours of speech.
_SAMPLES = 100_000_000
#: What is decoded at once: four seconds of one call, as the recorder does it.
_RUN = 32_000
_SSRC = 0x5EC0DE
_KEY = SrtpKey("AES_CM_128_HMAC_SHA1_80", bytes(range(30)))


def _best(work: Callable[[], object], rounds: int = 3) -> float:
    """CPU seconds of the quickest of some rounds."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def run(out: Path) -> None:
    """Print samples per CPU second of every decoder."""
    from bystander.codecs import g711

    repeats = _SAMPLES // voices.LENGTH + 1
    codes = np.tile(voices.bank(voices.PCMA)[: voices.LENGTH], repeats)[:_SAMPLES]
    samples = np.empty(_SAMPLES, dtype=np.int16)
    result = np.zeros(_SAMPLES, dtype=np.int16)

    def line(name: str, seconds: float, note: str = "") -> None:
        print(f"  {name:<34}{_SAMPLES / seconds / 1e6:>9,.0f} M samples per CPU second  {note}")

    def ours() -> None:
        for start in range(0, _SAMPLES, _RUN):
            g711.decode(codes[start : start + _RUN], g711.PCMA, out=samples[start : start + _RUN])

    line("bystander.codecs.g711", _best(ours))
    reference = voices.levels(voices.PCMA)
    line("numpy, one table of 256", _best(lambda: np.take(reference, codes, out=samples, mode="clip"), 1))
    line("copy of the result", _best(lambda: np.copyto(result, samples)))

    with tempfile.TemporaryDirectory(prefix="decode-", dir=out) as folder:
        raw, decoded = Path(folder, "codes.al"), Path(folder, "samples.raw")
        raw.write_bytes(codes.tobytes())
        expected = samples.tobytes()
        programs: dict[str, list[str | Path]] = {
            "ffmpeg": [
                "ffmpeg",
                "-nostdin",
                "-y",
                "-loglevel",
                "error",
                "-f",
                "alaw",
                "-ar",
                "8000",
                "-i",
                raw,
                "-f",
                "s16le",
                decoded,
            ],
            "sox": ["sox", "-t", "al", "-r", "8000", "-c", "1", raw, "-t", "s16", decoded],
        }
        for name, command in programs.items():
            if shutil.which(name) is None:
                print(f"  {name:<34} is not installed")
                continue
            cost = measured(command, core=last_core())
            same = cost.status == 0 and decoded.read_bytes() == expected
            line(
                f"{name}, reading and writing files", cost.cpu_s, "same samples" if same else "OTHER SAMPLES"
            )
    others(out)


def others(_: Path) -> None:
    """Print what a second of speech costs in the other codecs and as SRTP, and to look for keys in it."""
    from bystander.codecs.decoded import sound_of
    from bystander.codecs.dtmf import tones
    from bystander.decryption import open_whole
    from tests.codecs.spoken import SPOKEN, T0_NS, speech, spoken

    def cost(name: str, seconds: float, work: Callable[[], object]) -> None:
        spent = _best(work)
        line = f"{spent / seconds * 1e3:>9.3f} ms a second, {seconds / spent:>8,.0f} calls at once"
        print(f"  {name:<34}{line}")

    print("  CPU of one side of a call, from kept packets to samples:")
    for name in SPOKEN:
        said = spoken(name)
        run = said.run()

        def decode(run: PacketRun = run, said: Spoken = said) -> None:
            sound = sound_of(run, said.parameters)
            assert sound is not None
            reader = sound.reader(T0_NS)
            for second in range(4):
                reader.read(second * sound.rate_hz, sound.rate_hz)

        cost(name, 4.0, decode)
    opened = _srtp(20.0)
    cost("SRTP to the place in the recording", 20.0, lambda: open_whole([opened], _SSRC, [_KEY], "protected"))
    quiet = np.zeros(240 * 8000, np.int16)
    words = np.tile(speech(8000, 20.0), 12)
    cost("keys looked for in speech", len(words) / 8000, lambda: tones(words))
    cost("keys looked for in silence", len(quiet) / 8000, lambda: tones(quiet))


def _srtp(seconds: float) -> PacketRun:
    """Return G.711 in packets of 20 ms as SRTP, whole, as they are kept."""
    from pylibsrtp import Policy, Session

    sender = Session(Policy(key=_KEY.secret, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
    count = round(seconds * 50)
    sound = np.random.default_rng(1).integers(0, 256, (count, 160), dtype=np.uint8)
    packets = [
        sender.protect(struct.pack("!BBHII", 0x80, 8, 1 + at, 160 * at, _SSRC) + part.tobytes())
        for at, part in enumerate(sound)
    ]
    number = np.arange(count)
    return PacketRun(
        1 + number,
        (160 * number).astype(np.uint32),
        np.full(count, 8, np.uint8),
        1_790_000_000 * 10**9 + 20_000_000 * number,
        np.array([len(packet) for packet in packets], np.int32),
        np.frombuffer(b"".join(packets), np.uint8),
    )
