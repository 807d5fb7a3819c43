"""Channels of several rates: layers, gaps, reading block by block and again."""

from __future__ import annotations

import numpy as np
import pytest

from bystander.codecs.decoded import sound_of
from bystander.codecs.g711 import PCMA, encode
from bystander.codecs.resample import Resampler, resample
from bystander.codecs.timeline import Run
from bystander.codecs.wide import LawReader, WideChannel
from tests.codecs.spoken import T0_NS, likeness, speech, spoken


def read(channel: WideChannel, start: int, n: int) -> np.ndarray:
    found = channel.read(start, np.empty(n, np.uint8))
    assert not isinstance(found, int)
    return found


def law_channel(rate_hz: int) -> WideChannel:
    """Half a second of nothing, then speech in A-law with a hole of a tenth of a second."""
    coded = encode(speech(8000), PCMA)
    runs = [Run(4000, PCMA, coded[:8000]), Run(4000 + 8800, PCMA, coded[8800:])]
    channel = WideChannel(rate_hz)
    channel.lay_sound(LawReader(runs), 8000)
    return channel


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100, 48000])
def test_g711_at_a_higher_rate_is_in_its_place(rate_hz: int) -> None:
    heard = read(law_channel(rate_hz), 0, rate_hz * 4)
    half = rate_hz // 2
    assert not heard[: half - rate_hz // 100].any()
    hole = slice(half + rate_hz + rate_hz // 50, half + rate_hz + rate_hz // 12)
    assert not heard[hole].any()
    like, delay = likeness(heard[half:], speech(rate_hz, 3.4), rate_hz // 20)
    assert like > 0.97
    assert delay <= 1


@pytest.mark.parametrize("block", [1, 333, 44100, 131072])
def test_blocks_of_any_size_make_the_same_recording(block: int) -> None:
    whole = read(law_channel(44100), 0, 44100)
    channel = law_channel(44100)
    n = 44100 if block > 1 else 2000
    parts = [read(channel, at, min(block, n - at)) for at in range(0, n, block)]
    assert (np.concatenate(parts) == whole[:n]).all()


def test_reading_again_from_the_beginning_gives_the_same() -> None:
    sound = sound_of(spoken("G722").run(), spoken("G722").parameters)
    assert sound is not None
    channel = WideChannel(48000)
    channel.lay_sound(sound.reader(T0_NS), sound.rate_hz)
    first = read(channel, 0, 96000)
    assert np.abs(first).max() > 1000
    assert (read(channel, 0, 96000) == first).all()


def test_the_upper_layer_is_heard_and_the_lower_fills_its_gaps() -> None:
    """C13: the same words on two hops are never added up."""
    channel = law_channel(16000)
    below = WideChannel(16000)
    tone = np.full(32000, 1000, np.int16)
    below.lay_sound(LawReader([Run(0, PCMA, encode(tone, PCMA))]), 8000)
    level = int(read(below, 16000, 1)[0])
    both = WideChannel(16000)
    both.lay_sound(LawReader([Run(0, PCMA, encode(tone, PCMA))]), 8000)
    both.lay_sound(law_channel_reader(), 8000)
    heard, alone = read(both, 0, 48000), read(channel, 0, 48000)
    assert np.abs(heard[200:7900].astype(int) - level).max() <= 2
    assert np.abs(heard[24200:25400].astype(int) - level).max() <= 2
    assert (heard[9000:23000] == alone[9000:23000]).all()


def law_channel_reader() -> LawReader:
    coded = encode(speech(8000), PCMA)
    return LawReader([Run(4000, PCMA, coded[:8000]), Run(4000 + 8800, PCMA, coded[8800:])])


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 48000), (16000, 44100), (48000, 8000)])
def test_resampling_keeps_step_and_pitch(from_hz: int, to_hz: int) -> None:
    tone = (10_000 * np.sin(2 * np.pi * 440 * np.arange(from_hz) / from_hz)).astype(np.int16)
    expected = 10_000 * np.sin(2 * np.pi * 440 * np.arange(to_hz) / to_hz)
    got = resample(tone, from_hz, to_hz)
    assert len(got) == to_hz
    middle = slice(to_hz // 20, to_hz - to_hz // 20)
    assert np.abs(got[middle] - expected[middle]).max() < 50
    assert resample(tone, from_hz, from_hz) is tone
    assert not len(Resampler(from_hz, to_hz).feed(tone[:0]))
