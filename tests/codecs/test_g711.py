"""G.711 against the recommendation's own formulas, sample by sample."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from bystander.codecs.g711 import PCMA, PCMU, SILENCE, decode, encode, table


def by_the_book(code: int, law: int) -> int:
    """One code word, from tables 1a to 2b of ITU-T G.711, scaled to 16 bits."""
    if law == PCMU:
        code = ~code & 0xFF
        size = ((((code & 15) << 1) + 33) << (code >> 4 & 7)) - 33
        return (-size if code & 0x80 else size) * 4
    code ^= 0x55
    step, segment = code & 15, code >> 4 & 7
    size = (step << 1) + 1 if segment == 0 else ((step << 1) + 33) << (segment - 1)
    return (size if code & 0x80 else -size) * 8


@pytest.mark.parametrize("law", [PCMU, PCMA])
def test_every_code_word(law: int) -> None:
    assert table(law).tolist() == [by_the_book(code, law) for code in range(256)]


@pytest.mark.parametrize("law", [PCMU, PCMA])
@pytest.mark.parametrize("n", [0, 1, 2, 159, 160, 65_537, 200_001])
def test_pairs_are_two_single_look_ups(law: int, n: int) -> None:
    data = np.random.default_rng(n).integers(0, 256, n, dtype=np.uint8)
    assert (decode(data, law) == table(law)[data]).all()
    assert (decode(data.tobytes(), law) == table(law)[data]).all()


@pytest.mark.parametrize("law", [PCMU, PCMA])
def test_encoding_is_undone_by_decoding(law: int) -> None:
    levels = table(law)
    again = decode(encode(levels, law), law)
    assert (again == levels).all()
    every = np.arange(-32768, 32768).astype(np.int16)
    error = np.abs(decode(encode(every, law), law).astype(int) - every)
    assert error.max() <= 1024
    assert (error <= np.maximum(np.abs(every.astype(int)) // 16, 16) + 8).all()


@pytest.mark.parametrize("law", [PCMU, PCMA])
def test_silence_is_next_to_nothing(law: int) -> None:
    assert abs(int(table(law)[SILENCE[law]])) <= 8


def test_other_payload_types_are_refused() -> None:
    with pytest.raises(ValueError, match="payload type 18"):
        decode(b"\0", 18)
    with pytest.raises(ValueError, match="payload type 18"):
        encode(np.zeros(1, np.int16), 18)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize(("law", "name"), [(PCMU, "mulaw"), (PCMA, "alaw")])
def test_ffmpeg_decodes_the_same(law: int, name: str) -> None:
    data = bytes(range(256)) * 10
    command = ["ffmpeg", "-v", "error", "-f", name, "-ar", "8000", "-i", "-", "-f", "s16le", "-"]
    said = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    assert np.array_equal(np.frombuffer(said, "<i2"), decode(data, law))
