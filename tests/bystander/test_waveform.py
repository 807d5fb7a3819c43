"""A waveform as characters: loud is high, silence is blank, the caller is above."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from bystander.waveform import waveform, waveform_of


def tone(amplitude: float, frames: int = 8000) -> np.ndarray:
    wave = amplitude * np.sin(np.arange(frames) * 2 * np.pi * 440 / 8000)
    return (wave * 32767).astype(np.int16)


def stereo(caller: np.ndarray, callee: np.ndarray) -> np.ndarray:
    return np.stack([caller, callee], axis=1)


def test_the_caller_is_above_and_the_callee_below() -> None:
    silence = np.zeros(8000, np.int16)
    above, below = waveform(stereo(tone(0.9), silence), 10).split("\n")
    assert (above, below) == ("⣿" * 10, " " * 10)
    above, below = waveform(stereo(silence, tone(0.9)), 10).split("\n")
    assert (above, below) == (" " * 10, "⣿" * 10)


def test_height_follows_loudness_away_from_the_line() -> None:
    seen = [waveform(stereo(tone(level), tone(level)), 1) for level in (0, 0.001, 0.01, 0.05, 0.12, 0.9)]
    assert seen == [" \n ", " \n ", "⣀\n⠉", "⣤\n⠛", "⣶\n⠿", "⣿\n⣿"]


def test_time_runs_to_the_right() -> None:
    half = np.concatenate([np.zeros(4000, np.int16), tone(0.9, 4000)])
    above, _ = waveform(stereo(half, half), 8).split("\n")
    assert above == "    ⣿⣿⣿⣿"


def test_more_rows_show_more_height() -> None:
    quiet = waveform(stereo(tone(0.05), tone(0.9)), 2, rows=2).split("\n")
    assert quiet == ["  ", "⣶⣶", "⣿⣿", "⣿⣿"]


@given(st.integers(0, 300), st.integers(1, 40), st.integers(1, 3))
def test_the_picture_has_its_size_whatever_the_audio(frames: int, width: int, rows: int) -> None:
    lines = waveform(np.full((frames, 2), 9000, np.int16), width, rows).split("\n")
    assert [len(line) for line in lines] == [width] * (2 * rows)


def test_a_file_looks_as_its_samples_do(tmp_path: Path) -> None:
    samples = stereo(tone(0.9), np.concatenate([tone(0.1, 4000), np.zeros(4000, np.int16)]))
    soundfile.write(tmp_path / "a.wav", samples, 8000)
    assert waveform_of(tmp_path / "a.wav", 12) == waveform(samples, 12)


@pytest.mark.parametrize("frames", [0, 1, 5])
def test_a_file_of_next_to_nothing(tmp_path: Path, frames: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((frames, 2), np.int16), 8000)
    assert waveform_of(tmp_path / "a.wav", 3) == "   \n   "


def test_one_channel_stands_for_both_sides(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.9), 8000)
    assert waveform_of(tmp_path / "a.wav", 2) == "⣿⣿\n⣿⣿"
