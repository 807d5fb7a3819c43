"""The announcement is heard, missing or cut, whatever the line did to it (R3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from bystander.codecs.announcement import RATE_HZ, Reference, look
from bystander.codecs.resample import resample

SPEECH = Path(__file__).parents[1] / "data/speech"


def speech(name: str) -> NDArray[np.int16]:
    samples, rate_hz = soundfile.read(SPEECH / f"{name}.flac", dtype="int16")
    return resample(np.asarray(samples, np.int16), int(rate_hz), RATE_HZ)


@pytest.fixture(scope="module")
def said() -> NDArray[np.int16]:
    """Six seconds of speech: the announcement."""
    return speech("callee")[RATE_HZ // 2 : RATE_HZ * 13 // 2]


@pytest.fixture(scope="module")
def other() -> NDArray[np.int16]:
    return np.resize(speech("caller"), 40 * RATE_HZ)


def call(said: NDArray[np.int16], other: NDArray[np.int16], at_s: float) -> NDArray[np.int16]:
    """Twenty-odd seconds of a channel: other speech, with something said in it."""
    at = int(at_s * RATE_HZ)
    return np.concatenate((other[:at], said, other[at : at + 10 * RATE_HZ])).astype(np.int16)


def test_r3_heard(said: NDArray[np.int16], other: NDArray[np.int16]) -> None:
    found = look(Reference.from_samples(said, RATE_HZ), call(said, other, 3.0), RATE_HZ)
    assert found.state == "heard" and found.score == 1.0
    assert found.at_s == pytest.approx(3.0, abs=0.3)


def test_r3_missing(said: NDArray[np.int16], other: NDArray[np.int16]) -> None:
    reference = Reference.from_samples(said, RATE_HZ)
    for channel in (other, np.zeros(RATE_HZ * 20, np.int16), other[:0], other[:100]):
        found = look(reference, channel, RATE_HZ)
        assert (found.state, found.at_s) == ("missing", None)


@pytest.mark.parametrize("share", [0.35, 0.5, 0.7])
def test_r3_cut(said: NDArray[np.int16], other: NDArray[np.int16], share: float) -> None:
    reference = Reference.from_samples(said, RATE_HZ)
    part = said[: int(len(said) * share)]
    for channel in (call(part, other, 2.0), call(part, other, 2.0)[: 2 * RATE_HZ + len(part)]):
        found = look(reference, channel, RATE_HZ)
        assert found.state == "cut"
        assert found.heard_s == pytest.approx(share * 6, abs=1.0)


def test_r3_what_the_line_does_to_it(said: NDArray[np.int16], other: NDArray[np.int16]) -> None:
    reference = Reference.from_samples(said, RATE_HZ)
    rng = np.random.default_rng(1)
    channel = call(said, other, 4.0).astype(np.float64)
    lossy = channel.copy()
    for packet in rng.choice(len(channel) // 160, len(channel) // 160 // 33, replace=False):
        lossy[packet * 160 : packet * 160 + 160] = 0
    noisy = channel + rng.normal(0, np.sqrt((channel**2).mean()) * 0.3, len(channel))
    slipped = np.insert(lossy, 5 * RATE_HZ, np.zeros(300))
    for changed in (lossy, noisy, slipped, channel * 0.25):
        found = look(reference, np.clip(changed, -32768, 32767).astype(np.int16), RATE_HZ)
        assert found.state == "heard", found
        assert found.at_s == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize("samples", range(0, 330, 30))
def test_r3_wherever_in_a_packet_it_begins(
    said: NDArray[np.int16], other: NDArray[np.int16], samples: int
) -> None:
    """The beginning is looked for in blocks of 20 ms: it may lie at the very end of the last in reach."""
    reference = Reference.from_samples(said, RATE_HZ)
    found = look(reference, call(said[: RATE_HZ * 5 // 2], other, 2.0 + samples / RATE_HZ), RATE_HZ)
    assert found.state == "cut" and found.at_s == pytest.approx(2.0 + samples / RATE_HZ, abs=0.3)
    silence = np.zeros(2 * RATE_HZ + samples, np.int16)
    found = look(reference, np.concatenate((silence, said)), RATE_HZ)
    assert found.state == "heard" and found.at_s == pytest.approx(2.0 + samples / RATE_HZ, abs=0.3)


def test_r3_the_same_words_at_another_pace_are_another_recording(said: NDArray[np.int16]) -> None:
    """Each half second alike, and each saying something else of where it all begins."""
    half, more = RATE_HZ // 2, RATE_HZ // 20
    slower = np.concatenate(
        [
            np.concatenate((said[at : at + half], said[at + half - more : at + half]))
            for at in range(0, len(said), half)
        ]
    )
    found = look(Reference.from_samples(said, RATE_HZ), slower, RATE_HZ)
    assert (found.state, found.at_s, found.score) == ("missing", None, 0.0)


def test_it_must_begin_in_time(said: NDArray[np.int16], other: NDArray[np.int16]) -> None:
    reference = Reference.from_samples(said, RATE_HZ)
    channel = call(said, other, 12.0)
    assert look(reference, channel, RATE_HZ, within_s=20).state == "heard"
    assert look(reference, channel, RATE_HZ, within_s=5).state == "missing"


def test_rates_may_differ(said: NDArray[np.int16], other: NDArray[np.int16]) -> None:
    reference = Reference.from_samples(resample(said, RATE_HZ, 44100), 44100)
    channel = resample(call(said, other, 3.0), RATE_HZ, 16000)
    assert look(reference, channel, 16000).state == "heard"


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (np.zeros(RATE_HZ * 3, np.int16), "silent"),
        (np.full(RATE_HZ // 2, 9000, np.int16), "shorter"),
        (np.full(RATE_HZ * 130, 9000, np.int16), "longer"),
    ],
)
def test_what_is_no_announcement_is_refused(samples: NDArray[np.int16], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Reference.from_samples(samples, RATE_HZ)
