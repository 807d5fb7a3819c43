"""G.711 to 16-bit samples: ours beside ffmpeg and sox as whole processes, and beside a copy of the result."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import voices
from benchmarks.process import last_core, measured

#: 100 M samples: nearly three and a half hours of speech.
_SAMPLES = 100_000_000
#: What is decoded at once: four seconds of one call, as the recorder does it.
_RUN = 32_000


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
