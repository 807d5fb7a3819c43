"""Prints of the end, or of the first words where the end is silence, C7."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bystander.beginnings import known_by
from bystander.sniffer.sameaudio import prints

SILENCE = b"\xd5" * 16000


def words(seed: int, n: int = 16000) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, n, np.uint8).tobytes()


def unread() -> Iterator[bytes]:
    raise AssertionError("the end was enough")
    yield b""


def test_an_end_with_a_voice_is_enough() -> None:
    assert known_by(words(1), unread()) == prints(words(1))


def test_c7_a_silent_end_is_known_by_the_first_words() -> None:
    runs = [SILENCE, words(2), words(3), words(4)]
    assert known_by(SILENCE, runs) >= prints(words(2))
    # However the two legs' runs were cut, they have most in common.
    later = [SILENCE[:999] + words(2)[:7000], words(2)[7000:], words(3)]
    assert len(known_by(SILENCE, runs) & known_by(SILENCE, later)) > 32


def test_all_silence_is_known_by_nothing() -> None:
    assert known_by(SILENCE, [SILENCE] * 3) == frozenset()
    assert known_by(b"", []) == frozenset()
