"""Keys in the audio: what must be heard (ITU-T Q.24), what must not, and how near the numbers are."""

from __future__ import annotations

import shutil
import subprocess
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bystander.codecs.dtmf import COLUMNS_HZ, KEYS, RATE_HZ, ROWS_HZ, ToneFinder, tones
from bystander.codecs.g711 import PCMA, PCMU, decode, encode
from bystander.codecs.resample import resample
from tests.codecs.spoken import speech

Samples = np.ndarray[Any, np.dtype[np.float64]]
DOCS = Path(__file__).parents[2] / "docs"


def tone(
    key: str,
    seconds: float,
    *,
    off: tuple[float, float] = (0.0, 0.0),
    twist_db: float = 0.0,
    level: float = 4000.0,
    phase: tuple[float, float] = (0.0, 0.0),
    rate_hz: int = RATE_HZ,
) -> Samples:
    """A key: row and column off by shares of their frequency, the column louder by the twist."""
    row, column = divmod(KEYS.index(key), 4)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    hz = ROWS_HZ[row] * (1 + off[0]), COLUMNS_HZ[column] * (1 + off[1])
    share = 10 ** (twist_db / 40)
    low, high = (np.sin(2 * np.pi * f * t + p) for f, p in zip(hz, phase, strict=True))
    return level * (low / share + high * share)


class Line:
    """Keys dialled by a machine, on a line."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def dial(
        self,
        keys: int,
        on_s: float,
        off_s: float,
        *,
        off: float = 0.0,
        twist: tuple[float, float] = (0, 0),
        level: float = 4000.0,
    ) -> tuple[str, Samples]:
        dialled, parts = "", [np.zeros(self.random.integers(400, 2000))]
        for _ in range(keys):
            key = KEYS[self.random.integers(16)]
            dialled += key
            signs = self.random.choice([-1, 1], 2)
            parts.append(
                tone(
                    key,
                    on_s,
                    off=(off * signs[0], off * signs[1]),
                    twist_db=float(self.random.uniform(*twist)),
                    level=level,
                    phase=tuple(self.random.uniform(0, 6, 2)),
                )
            )
            # Not in step with any frame.
            parts.append(np.zeros(round(off_s * RATE_HZ) + self.random.integers(0, 40)))
        return dialled, np.concatenate(parts)

    def carry(self, sound: Samples, law: int, snr_db: float | None = None, loss: float = 0.0) -> Any:
        if snr_db is not None:
            power = float((sound[sound != 0] ** 2).mean())
            sound = sound + self.random.normal(0, np.sqrt(power / 10 ** (snr_db / 10)), len(sound))
        heard = decode(encode(np.clip(sound, -32768, 32767).astype(np.int16), law), law).copy()
        for packet in np.flatnonzero(self.random.random(len(heard) // 160) < loss).tolist():
            heard[packet * 160 : packet * 160 + 160] = 0
        return heard


def keys(samples: Any, rate_hz: int = RATE_HZ) -> str:
    return "".join(held.key for held in tones(samples, rate_hz))


@pytest.mark.parametrize("law", [PCMU, PCMA])
@pytest.mark.parametrize("snr_db", [None, 15.0])
@pytest.mark.parametrize("off", [0.0, 0.015])
def test_every_key_of_40_ms_with_pauses_of_40_ms(law: int, snr_db: float | None, off: float) -> None:
    """Frequencies 1.5 % off, a twist of +4 to -8 dB, noise 15 dB below: all of 400 keys, and no other."""
    line = Line(law + 1)
    dialled, sound = line.dial(400, 0.04, 0.04, off=off, twist=(-8, 4) if off else (0, 0))
    assert keys(line.carry(sound, law, snr_db)) == dialled


@pytest.mark.parametrize("law", [PCMU, PCMA])
def test_c15_loss_of_three_percent_costs_no_key_of_100_ms(law: int) -> None:
    """A lost packet in a key is a hole, which parts nothing; now and then two in a row do."""
    line = Line(law + 7)
    dialled, sound = line.dial(400, 0.1, 0.1, off=0.015, twist=(-8, 4))
    heard = keys(line.carry(sound, law, 15, 0.03))
    match = SequenceMatcher(None, dialled, heard, autojunk=False)
    assert sum(block.size for block in match.get_matching_blocks()) == 400
    assert len(heard) <= 402


def test_loss_of_three_percent_costs_few_keys_of_40_ms() -> None:
    """Half of such a key is lost with one packet, and half a key is none (Q.24)."""
    line = Line(3)
    dialled, sound = line.dial(400, 0.04, 0.04)
    heard = keys(line.carry(sound, PCMA, 15, 0.03))
    match = SequenceMatcher(None, dialled, heard, autojunk=False)
    assert sum(block.size for block in match.get_matching_blocks()) >= 0.9 * 400
    assert len(heard) <= 400


@pytest.mark.parametrize("level", [300.0, 1000.0, 15000.0])
def test_soft_and_loud(level: float) -> None:
    dialled, sound = Line(4).dial(100, 0.05, 0.05, level=level)
    assert keys(Line(5).carry(sound, PCMA)) == dialled


@pytest.mark.parametrize(
    "sound",
    [
        tone("5", 0.3, off=(0.035, 0)),
        tone("5", 0.3, off=(0, -0.035)),
        tone("5", 0.3, twist_db=12),
        tone("5", 0.3, twist_db=-15),
        tone("5", 0.3) + 4000 * np.sin(2 * np.pi * 1000 * np.arange(2400) / RATE_HZ),  # a third tone
        tone("5", 0.3) + tone("8", 0.3),
        4000 * np.sin(2 * np.pi * 1100 * np.arange(8000) / RATE_HZ),  # a fax calls
        4000 * np.sin(2 * np.pi * 425 * np.arange(8000) / RATE_HZ),  # it rings
        np.zeros(8000),
        tone("5", 0.015),
    ],
    ids=["row", "column", "twist", "reverse", "third", "two keys", "fax", "ringing", "silence", "click"],
)
def test_what_is_no_key(sound: Samples) -> None:
    quiet = np.zeros(1000)
    assert keys(np.concatenate((quiet, sound, quiet)).astype(np.int16)) == ""


def test_when_and_for_how_long() -> None:
    sound = np.concatenate((np.zeros(12_345), tone("#", 0.25), np.zeros(400), tone("#", 2.5), np.zeros(99)))
    first, second = tones(sound.astype(np.int16))
    for held, start, length in ((first, 12_345, 2000), (second, 14_745, 20_000)):
        assert held.key == "#"
        assert abs(held.start - start) <= 160 and abs(held.end - start - length) <= 160
        assert held.level == pytest.approx(4000, rel=0.05)


@pytest.mark.parametrize("pieces", [1, 7, 160, 8000, 50_000])
def test_however_the_sound_is_cut(pieces: int) -> None:
    dialled, sound = Line(6).dial(12, 0.05, 0.05)
    sound = sound[: len(sound) if pieces > 7 else 4000]
    whole = tones(sound.astype(np.int16))
    finder = ToneFinder()
    for at in range(0, len(sound), pieces):
        finder.feed(sound[at : at + pieces].astype(np.int16))
    assert finder.finish() == whole
    assert len(whole) == len(dialled) or pieces <= 7


@pytest.mark.parametrize("rate_hz", [16000, 48000])
def test_other_rates(rate_hz: int) -> None:
    quiet = np.zeros(rate_hz // 10)
    sound = np.concatenate([part for key in "159D*" for part in (tone(key, 0.06, rate_hz=rate_hz), quiet)])
    assert keys(sound.astype(np.int16), rate_hz) == "159D*"


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("law", [PCMU, PCMA])
def test_r19_known_speech_holds_no_key(who: str, law: int) -> None:
    assert keys(decode(encode(speech(RATE_HZ, 30, who), law), law)) == ""


def test_talk_off_ten_minutes_of_speech(tmp_path: Path) -> None:
    """Ten minutes of voices that read; none of it is a key."""
    program = shutil.which("espeak-ng")
    assert program is not None, "espeak-ng is in deploy/install-test-packages"
    words = " ".join((DOCS / "architecture.md").read_text().replace("|", " ").split()[:400])
    said_s = 0.0
    for voice, pitch in (("en-gb", "45"), ("pl", "65"), ("en-us+f3", "70"), ("de+m3", "30")):
        path = tmp_path / f"{voice}.wav"
        subprocess.run([program, "-v", voice, "-p", pitch, "-w", path, words], check=True)
        samples, rate_hz = soundfile.read(path, dtype="int16")
        heard = resample(np.asarray(samples), rate_hz, RATE_HZ)
        said_s += len(heard) / RATE_HZ
        assert keys(decode(encode(heard, PCMA), PCMA)) == ""
    assert said_s > 600


def test_talk_off_music() -> None:
    """Chords of tones with overtones, on every half-tone from A2 on, some of them near those of keys."""
    random = np.random.default_rng(8)
    t = np.arange(RATE_HZ // 4) / RATE_HZ
    fade = np.exp(-3 * t)
    chords = []
    for _ in range(240):
        chord = np.zeros(len(t))
        for note in random.choice(48, 3, replace=False).tolist():
            hz = 110 * 2 ** (note / 12)
            chord += sum(np.sin(2 * np.pi * hz * n * t + random.uniform(0, 6)) / n for n in range(1, 7))
        chords.append(2500 * chord * fade)
    assert keys(np.clip(np.concatenate(chords), -32768, 32767).astype(np.int16)) == ""
