"""The check of the announcement on calls made in memory: misses, false hits, and what it costs.

`python -m benchmarks.announcement [--calls N]`: half of the calls have the announcement (some cut short), the
others have other announcements, speech, music and ringing. Speech is espeak-ng's, in several voices. The
same on real calls is `make announcements`.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from bystander.codecs.announcement import RATE_HZ, Reference, look
from bystander.codecs.dtmf import tones
from bystander.codecs.g711 import PCMA, PCMU, decode
from bystander.codecs.resample import resample

TEXT = (
    "Dzień dobry. Dodzwonili się Państwo do Urzędu Miasta. Informujemy, że wszystkie rozmowy są nagrywane. "
    "Kontynuacja połączenia oznacza zgodę. Aby wysłuchać klauzuli informacyjnej, proszę nacisnąć gwiazdkę."
)
OTHERS = (
    "Witamy w przychodni. Wszystkie linie są zajęte, prosimy czekać na zgłoszenie się rejestratorki. "
    "Dziękujemy.",
    "Abonent jest chwilowo niedostępny. Proszę zadzwonić później, albo zostawić wiadomość po "
    "sygnale. Do usłyszenia.",
    "Urząd Miasta, wydział podatków, Kowalska, słucham. Tak, proszę podać numer decyzji, zaraz "
    "sprawdzę w systemie.",
    "Chciałbym zapytać o termin wydania dowodu osobistego, złożyłem wniosek trzy tygodnie temu i "
    "nadal nie mam odpowiedzi.",
)
VOICES = ("pl", "pl+f3", "pl+m5", "pl+f5")


def spoken(text: str, voice: str = "pl", speed: int = 165) -> NDArray[np.int16]:
    """Return a text read by espeak-ng, int16[n] at 8 kHz."""
    made = subprocess.run(
        ["espeak-ng", "-v", voice, "-s", str(speed), "--stdout", text], check=True, capture_output=True
    )
    samples, rate = soundfile.read(io.BytesIO(made.stdout), dtype="int16")
    return resample(np.asarray(samples, np.int16), int(rate), RATE_HZ)


def music(rng: np.random.Generator, seconds: float) -> NDArray[np.int16]:
    """Return music on hold: chords with harmonics, changing each half second."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    out = np.zeros(len(t))
    for begin in np.arange(0, seconds, 0.5):
        part = (t >= begin) & (t < begin + 0.5)
        for note in rng.choice([0, 4, 7, 9, 12, 16], 3, replace=False):
            f = 220 * 2 ** (note / 12)
            out[part] += sum(np.sin(2 * np.pi * f * k * t[part]) / k for k in range(1, 5))
    return np.asarray(out / max(1e-9, np.abs(out).max()) * 9000, np.int16)


def ringing(seconds: float) -> NDArray[np.int16]:
    """Return a ringing tone: 425 Hz, a second in five."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return np.asarray(6000 * np.sin(2 * np.pi * 425 * t) * ((t % 5) < 1), np.int16)


class Line:
    """Makes calls from what is said on them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.announcement = spoken(TEXT)
        self.speech = [spoken(text, voice, 150 + 20 * n) for n, text in enumerate(OTHERS) for voice in VOICES]

    def babble(self, seconds: float) -> NDArray[np.int16]:
        """Return other speech, music or ringing of a length."""
        kind = self.rng.integers(5)
        if kind == 0:
            return music(self.rng, seconds)
        if kind == 1:
            return ringing(seconds)
        voice = np.concatenate([self.speech[i] for i in self.rng.permutation(len(self.speech))[:6]])
        return np.resize(voice, int(seconds * RATE_HZ))

    def call(self, announced: bool) -> tuple[NDArray[np.int16], str, float]:
        """Return a channel as it is recorded, what it is, and where the announcement begins."""
        rng = self.rng
        length = int(60 * RATE_HZ)
        channel = np.zeros(length)
        at = int(rng.uniform(0, 20) * RATE_HZ)
        if rng.random() < 0.7:
            channel[:at] += self.babble(at / RATE_HZ + 1)[:at]
        state = "missing"
        end = at
        if announced:
            said, state = self.announcement, "heard"
            if rng.random() < 0.25:
                said, state = said[: int(len(said) * rng.uniform(0.25, 0.75))], "cut"
            end = at + len(said)
            gain = 10 ** (rng.uniform(-12, 3) / 20)
            channel[at:end] += said * gain
            if rng.random() < 0.3:
                # Somebody speaks over it, half as loud.
                channel[at:end] += self.babble((end - at) / RATE_HZ + 1)[: end - at] * gain * 0.5
        if end < length and not (state == "cut" and rng.random() < 0.3):
            channel[end:] += self.babble((length - end) / RATE_HZ + 1)[: length - end] * rng.uniform(0.3, 1)
        level = np.sqrt((channel**2).mean()) + 1
        channel += rng.normal(0, level * 10 ** (-rng.uniform(10, 40) / 20), length)
        return self._carried(channel), state, at / RATE_HZ

    def _carried(self, channel: NDArray[np.float64]) -> NDArray[np.int16]:
        """Code it, lose packets in bursts, and let the buffer slip once or twice."""
        rng = self.rng
        sound = np.clip(channel, -32768, 32767).astype(np.int16)
        for law in rng.permutation([PCMA, PCMU])[: rng.integers(1, 3)]:
            sound = _coded(sound, int(law))
        packets = sound[: len(sound) // 160 * 160].reshape(-1, 160).copy()
        loss, gone = rng.uniform(0, 0.05), False
        for n in range(len(packets)):
            gone = rng.random() < (0.6 if gone else loss * 0.4)
            if gone:
                packets[n] = 0
        flat = packets.reshape(-1)
        for _ in range(rng.integers(0, 3)):
            where, slip = int(rng.integers(0, len(flat))), int(rng.integers(-320, 321))
            flat = (
                np.insert(flat, where, np.zeros(slip))
                if slip > 0
                else np.delete(flat, slice(where, where - slip))
            )
        return np.asarray(flat, np.int16)


_TABLES = {law: decode(np.arange(256, dtype=np.uint8), law).astype(np.int32) for law in (PCMA, PCMU)}


def _coded(sound: NDArray[np.int16], law: int) -> NDArray[np.int16]:
    """Return the sound as G.711 renders it: the nearest of 256 values."""
    values = np.sort(np.unique(_TABLES[law]))
    at = np.clip(np.searchsorted(values, sound), 1, len(values) - 1)
    below, above = values[at - 1], values[at]
    return np.where(sound - below < above - sound, below, above).astype(np.int16)


def run(folder: Path) -> None:  # noqa: ARG001  (nothing is written)
    """Check some calls, if there is a voice to make them with."""
    if shutil.which("espeak-ng") is None:
        print("  espeak-ng is not installed")
        return
    measure(calls=60, seed=1)


def main() -> None:
    """Check calls, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    measure(options.calls, options.seed)


def measure(calls: int, seed: int) -> None:
    """Check calls, and print what came of it."""
    line = Line(seed)
    reference = Reference.from_samples(line.announcement, RATE_HZ)
    told: Counter[tuple[str, str]] = Counter()
    scores: dict[str, list[float]] = {"heard": [], "cut": [], "missing": []}
    errors, stars, spent = [], 0, 0.0
    for n in range(calls):
        channel, state, at_s = line.call(n % 2 == 0)
        begun = time.process_time()
        finding = look(reference, channel, RATE_HZ)
        spent += time.process_time() - begun
        stars += sum(tone.key == "*" for tone in tones(channel, RATE_HZ))
        told[state, finding.state] += 1
        scores[state].append(finding.score)
        if finding.at_s is not None and state != "missing":
            errors.append(abs(finding.at_s - at_s))
    print(
        f"  {calls} calls, announcement of {reference.length_s:.1f} s, {spent / calls * 1000:.0f} ms CPU each"
    )
    for (was, said), number in sorted(told.items()):
        print(f"  {was:>8} -> {said:<8} {number}")
    for state, every in scores.items():
        if every:
            print(
                f"  score of {state:<8} {min(every):.2f} .. {max(every):.2f}, median {np.median(every):.2f}"
            )
    if errors:
        print(f"  beginning found within {max(errors) * 1000:.0f} ms; {stars} false stars")


if __name__ == "__main__":
    main()
