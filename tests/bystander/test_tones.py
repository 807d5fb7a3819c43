"""Keys in the channels of a recording: found at their time, silenced with a margin, searched where told."""

from __future__ import annotations

import numpy as np
import pytest

from bystander.codecs.g711 import PCMA, encode
from bystander.codecs.timeline import BLOCK, Channel, Run
from bystander.codecs.wide import LawReader, WideChannel
from bystander.digits import Pressed
from bystander.tones import keys_in, sides_to_search, silenced
from tests.codecs.test_dtmf import tone

S = 1_000_000_000
T0 = 1_790_000_000 * S


def channel(*, wide: bool = False, at_s: float = 17.0) -> Channel:
    """Twenty seconds, of which 100 ms are the key 7: where two blocks of the timeline meet, and beyond."""
    samples = np.zeros(20 * 8000)
    samples[round(at_s * 8000) :][:800] = tone("7", 0.1)
    samples[BLOCK - 400 :][:800] = tone("#", 0.1)
    run = Run(0, PCMA, encode(samples.astype(np.int16), PCMA))
    if not wide:
        plain = Channel()
        plain.lay(run)
        return plain
    mixed = WideChannel(16000)
    mixed.lay_sound(LawReader([run]), 8000)
    return mixed


@pytest.mark.parametrize("rate_hz", [8000, 16000])
def test_keys_are_found_when_they_were_pressed(rate_hz: int) -> None:
    one, two = keys_in(channel(wide=rate_hz > 8000), "callee", 20 * rate_hz, rate_hz, T0)
    assert (one.digit, two.digit, one.by, one.method) == ("#", "7", "callee", "inband")
    assert abs(two.at_ns - T0 - 17 * S) <= 0.02 * S
    assert abs(one.at_ns - T0 - (BLOCK - 400) * S / 8000) <= 0.02 * S
    assert two.duration_ms is not None and abs(two.duration_ms - 100) <= 20


@pytest.mark.parametrize("method", ["inband", "info"])
def test_a_silenced_key_is_silent_with_a_margin(method: str) -> None:
    press = Pressed(T0 + 17 * S, "7", "caller", method, 100)  # type: ignore[arg-type]
    quiet = silenced(channel(), [press], 20 * 8000, 8000, T0)
    assert [key.digit for key in keys_in(quiet, "caller", 20 * 8000, 8000, T0)] == ["#"]


def test_keys_before_and_behind_a_recording_silence_nothing() -> None:
    far = [Pressed(T0 + n * S, "7", "caller", "rfc4733", 100) for n in (-5, 30)]
    assert len(keys_in(silenced(channel(), far, 20 * 8000, 8000, T0), "caller", 20 * 8000, 8000, T0)) == 2
    plain = channel()
    assert silenced(plain, [], 8000, 8000, T0) is plain


def test_r19_only_the_sides_that_may_send_keys_as_tones_are_searched() -> None:
    streams = [("caller", True), ("callee", False)]
    assert sides_to_search("auto", streams) == {"callee"}
    assert sides_to_search("always", streams) == {"caller", "callee"}
    assert sides_to_search("never", streams) == set()
