"""Known speech: how it is made, and how recorded audio is held against it.

Each speaker has a file of ``tests/data/speech`` (8 kHz, mono, 16 bit), made once with espeak-ng and kept,
because two versions of espeak-ng do not say the same thing. The voices and sentences differ, so that
channels cannot be confused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from phonelab.network import run

RATE_HZ = 8000
SPEECH = Path(__file__).resolve().parents[2] / "data" / "speech"
Samples = npt.NDArray[np.float64]

TEXTS = {
    "caller": (
        "en-gb+m3",
        "Good morning, this is the caller speaking. I should like to ask about the opening hours of "
        "the registry office, and about the form for a new parking permit in Harbour Street. My file "
        "number is seven four nine, stroke twenty twenty six. I sent the letter on the third of "
        "November and have had no answer so far. Could somebody please look for it and call me back "
        "this afternoon, before a quarter past four?",
    ),
    "callee": (
        "en-us+f2",
        "City hall, how may I help you? Yes, one moment please, let me open the register and see what"
        " we have. The office is open from Monday to Friday, eight in the morning until five, and on "
        "Wednesdays until six. I can see your application on my screen, it was received yesterday and"
        " passed on to the roads department. They will decide within fourteen days, and you will be "
        "told in writing. Is there anything else today?",
    ),
    "colleague": (
        "en-gb-scotland+m6",
        "Roads department, good morning, you have been put through to me by the front desk. I have your"
        " letter here, the sketch of the parking space is missing. Please bring it to room thirty one, or"
        " send a photograph of it before Thursday.",
    ),
}


def make(directory: Path = SPEECH) -> None:
    """Speak every text into ``directory`` as FLAC, peak at -3 dB, with no pause long enough to look like
    loss. What is there already stays."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, (voice, text) in TEXTS.items():
        raw, path = directory / f"{name}.raw.wav", directory / f"{name}.flac"
        if path.exists():
            continue
        run("espeak-ng", "-v", voice, "-s", 165, "-g", 0, "-w", raw, text)
        run("sox", "-D", raw, "-b", 16, "-c", 1, path, "rate", RATE_HZ, "norm", -3)
        raw.unlink()


def load(name: str) -> Samples:
    """A speaker's samples, float64[n], full scale 1.0, 8 kHz."""
    samples, rate_hz = soundfile.read(SPEECH / f"{name}.flac", dtype="float64")
    assert rate_hz == RATE_HZ
    return samples  # type: ignore[no-any-return]


def write_wav(
    name: str,
    path: Path,
    laps: int = 1,
    rate_hz: int = RATE_HZ,
    channels: int = 1,
    tones: Mapping[float, str] | None = None,
) -> Path:
    """The speech as a WAV for a telephone to play, ``laps`` times over; at a higher rate it has no more in
    it than at 8 kHz, so that any rate can be held against the same truth. ``tones`` are keys by the time
    in s at which their tone (ITU-T Q.23, 120 ms) takes the place of the speech."""
    samples = np.tile(load(name), laps)
    for at, key in (tones or {}).items():
        begin, time_s = int(at * RATE_HZ), np.arange(int(0.12 * RATE_HZ)) / RATE_HZ
        row, column = divmod("123A456B789C*0#D".index(key), 4)
        pair = ((697, 770, 852, 941)[row], (1209, 1336, 1477, 1633)[column])
        samples[begin : begin + int(0.3 * RATE_HZ)] = 0
        samples[begin : begin + len(time_s)] = sum(0.2 * np.sin(2 * np.pi * hz * time_s) for hz in pair)
    samples = np.clip(resample(samples, RATE_HZ, rate_hz), -1.0, 1.0)
    soundfile.write(path, np.repeat(samples[:, None], channels, axis=1), rate_hz, subtype="PCM_16")
    return path


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Between rates of which one is a multiple of the other, without delay: by the spectrum, cut off or
    filled up with nothing. Sample ``n`` of the slower is sample ``n * ratio`` of the faster."""
    if from_hz == to_hz:
        return samples
    length = len(samples) * to_hz // from_hz
    spectrum = np.fft.rfft(samples)[: length // 2 + 1]
    return np.fft.irfft(spectrum, length) * (to_hz / from_hz)
