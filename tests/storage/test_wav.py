"""WAV files: byte for byte what a reader expects, hashed, whole or absent."""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bystander.storage.wav import header, write_wav


def blocks(frames: np.ndarray, size: int = 100) -> Iterator[np.ndarray]:
    for start in range(0, len(frames), size):
        yield frames[start : start + size]


@pytest.mark.parametrize("n", [0, 1, 99, 100, 1000])
def test_readers_agree(tmp_path: Path, n: int) -> None:
    frames = np.random.default_rng(n).integers(-32768, 32768, (n, 2)).astype(np.int16)
    path = tmp_path / "deep" / "er" / "x.wav"
    digest, size = write_wav(path, blocks(frames), n, 8000, durable=True)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert path.stat().st_size == size == 44 + 4 * n
    assert path.stat().st_mode & 0o777 == 0o600
    read, rate = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate == 8000
    assert np.array_equal(read.reshape(-1, 2), frames)
    with wave.open(io.BytesIO(path.read_bytes())) as other:
        assert (other.getnchannels(), other.getsampwidth(), other.getnframes()) == (2, 2, n)


def test_beyond_four_gigabytes_the_header_is_rf64(tmp_path: Path) -> None:
    """C17: a recording of more than 37 hours is not cut off, and its sizes are 64 bits wide."""
    last_riff = (0xFFFFFFFF - 36) // 4
    assert header(last_riff, 8000)[:4] == b"RIFF"
    frames = last_riff + 1
    opening = header(frames, 8000)
    assert opening[:4] == b"RF64"
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.write(opening)
        file.truncate(len(opening) + frames * 4)  # sparse: takes no room
    with soundfile.SoundFile(path) as sound:
        assert sound.format == "RF64"
        assert sound.frames == frames


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield np.zeros((10, 2), np.int16)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_wav(tmp_path / "x.wav", failing(), 20, 8000)
    assert list(tmp_path.iterdir()) == []
