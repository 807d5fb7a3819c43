"""Prints of audio: the same speech is recognised wherever it is cut, silence and strangers are not."""

from __future__ import annotations

import numpy as np

from bystander.sniffer.sameaudio import prints


def speech(seed: int, n: int = 16000) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, n, dtype=np.uint8).tobytes()


def test_relayed_audio_has_prints_in_common_whatever_the_offset() -> None:
    voice = speech(1, 20000)
    assert len(prints(voice[:16000]) & prints(voice[333:16333])) > 20


def test_strangers_have_none_in_common() -> None:
    assert not prints(speech(1)) & prints(speech(2))


def test_silence_and_scraps_have_no_prints() -> None:
    assert not prints(b"\xd5" * 16000)
    assert not prints(b"\xd5\x55" * 8000)
    assert not prints(b"1234567")
    assert not prints(b"")


def test_prints_are_bounded() -> None:
    assert len(prints(speech(3, 200_000))) == 64
