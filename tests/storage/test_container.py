"""What a recording is before it is sealed: three containers, the same sound."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bystander.codecs.g711 import PCMA, PCMU, SILENCE, encode
from bystander.codecs.timeline import Channel, Run, prevailing_law
from bystander.storage.container import SUFFIX, parts
from bystander.storage.wav import g711_header

RATE = 8000
LENGTH = 300_001


def speech(law: int, samples: int, seed: int) -> np.ndarray:
    wave = np.cumsum(np.random.default_rng(seed).normal(0, 300, samples))
    return encode(np.clip(wave, -30000, 30000).astype(np.int16), law)


def channels(left_law: int, right_law: int) -> tuple[Channel, Channel]:
    left, right = Channel(), Channel()
    left.lay(Run(0, left_law, speech(left_law, 100_000, 1)))
    left.lay(Run(150_000, left_law, speech(left_law, 140_000, 2)))
    right.lay(Run(50_000, right_law, speech(right_law, 200_000, 3)))
    return left, right


def content(container: str, left: Channel, right: Channel, folder: Path, length: int = LENGTH) -> bytes:
    return b"".join(bytes(part) for part in parts(container, left, right, length, RATE, folder))  # type: ignore[arg-type]


@pytest.mark.parametrize("laws", [(PCMA, PCMA), (PCMU, PCMU), (PCMA, PCMU), (PCMU, PCMA)])
def test_the_three_sound_the_same(laws: tuple[int, int], tmp_path: Path) -> None:
    left, right = channels(*laws)
    sounds = {
        container: soundfile.read(io.BytesIO(content(container, left, right, tmp_path)), dtype="int16")[0]
        for container in SUFFIX
    }
    assert sounds["wav"].shape == (LENGTH, 2)
    assert np.array_equal(sounds["wav"], sounds["flac"])
    if laws[0] == laws[1]:
        # The silence of A-law is the code next to zero, 8; where nobody has spoken a WAV has 0.
        assert np.max(np.abs(sounds["wav"].astype(int) - sounds["g711"])) <= 8
    else:
        # one of two laws had to give way: a code's step at most
        loud = np.abs(sounds["wav"].astype(int))
        assert np.all(np.abs(sounds["wav"].astype(int) - sounds["g711"]) <= loud // 16 + 16)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("law", "tag"), [(PCMA, "ALAW"), (PCMU, "ULAW")])
def test_g711_holds_the_bytes_as_they_came(law: int, tag: str, tmp_path: Path) -> None:
    left, right = channels(law, law)
    whole = content("g711", left, right, tmp_path)
    assert soundfile.info(io.BytesIO(whole)).subtype == tag
    data = np.frombuffer(whole[-2 * LENGTH :], np.uint8).reshape(-1, 2)
    assert np.array_equal(data[:100_000, 0], speech(law, 100_000, 1))
    assert np.array_equal(data[50_000:250_000, 1], speech(law, 200_000, 3))
    assert np.all(data[100_000:150_000, 0] == SILENCE[law])
    assert np.all(data[250_000:, 1] == SILENCE[law])


def test_g711_is_half_and_flac_is_less_than_wav(tmp_path: Path) -> None:
    left, right = channels(PCMA, PCMA)
    sizes = {container: len(content(container, left, right, tmp_path)) for container in SUFFIX}
    assert sizes["g711"] < 0.51 * sizes["wav"]
    assert sizes["flac"] < 0.9 * sizes["wav"]


def test_the_law_of_most_samples_prevails() -> None:
    left, right = channels(PCMA, PCMU)
    assert prevailing_law(left, right) == PCMA
    right.lay(Run(300_000, PCMU, speech(PCMU, 100_000, 4)))
    assert prevailing_law(left, right) == PCMU
    assert prevailing_law(Channel(), Channel()) == PCMU


@pytest.mark.parametrize("frames", [0, 1, 7, 1000])
def test_a_header_says_how_much_there_is(frames: int) -> None:
    whole = g711_header(frames, RATE, 6) + bytes(2 * frames)
    info = soundfile.info(io.BytesIO(whole))
    assert (info.frames, info.samplerate, info.channels, info.subtype) == (frames, RATE, 2, "ALAW")


def test_beyond_four_gibibytes_it_is_rf64(tmp_path: Path) -> None:
    frames = 3 << 30
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        head = g711_header(frames, RATE, 7)
        file.write(head)
        file.truncate(len(head) + 2 * frames)
    info = soundfile.info(path)
    assert (info.format, info.frames, info.subtype) == ("RF64", frames, "ULAW")


def test_a_scratch_folder_that_is_not_there(tmp_path: Path) -> None:
    left, right = channels(PCMA, PCMA)
    with pytest.raises(OSError, match="No such file"):
        content("flac", left, right, tmp_path / "gone")
