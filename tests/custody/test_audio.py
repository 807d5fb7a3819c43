"""A recording opened in memory: the whole, a part, whatever container it was sealed in; and what is none."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from bystander.custody.audio import Audio, open_audio
from bystander.custody.desk import CustodyProblem, Desk
from bystander.storage.agefile import seal_stream
from bystander.storage.digest import refresh
from bystander.storage.identity import recipient_text
from bystander.storage.index import Index
from tests.bureau import Bureau
from tests.vaultkit import name_of

SOUND = np.random.default_rng(1).integers(-30_000, 30_000, (4000, 2), dtype=np.int16)


def made(container: str, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, SOUND, 8000, format=container, subtype=subtype)
    return file.getvalue()


def audio(content: bytes) -> Audio:
    about = soundfile.info(io.BytesIO(content))
    return Audio(content, about.samplerate, about.channels, about.frames)


@given(st.floats(-1, 1), st.one_of(st.none(), st.floats(-1, 1)))
def test_a_part_is_the_samples_between_its_seconds(from_s: float, to_s: float | None) -> None:
    part, rate = soundfile.read(io.BytesIO(FLAC.wav(from_s, to_s)), dtype="int16", always_2d=True)
    first = min(4000, max(0, round(from_s * 8000)))
    last = 4000 if to_s is None else min(4000, max(first, round(to_s * 8000)))
    assert rate == 8000 and np.array_equal(part, SOUND[first:last])


FLAC = audio(made("FLAC", "PCM_16"))


def test_wav_is_handed_over_bit_for_bit_and_flac_as_wav() -> None:
    wav = made("WAV", "PCM_16")
    assert audio(wav).as_wav() == wav
    back, _ = soundfile.read(io.BytesIO(FLAC.as_wav()), dtype="int16")
    assert FLAC.as_wav()[:4] == b"RIFF" and np.array_equal(back, SOUND)


def test_g711_is_heard_as_it_was_recorded() -> None:
    law = audio(made("WAV", "ALAW"))
    heard, _ = soundfile.read(io.BytesIO(law.wav()), dtype="int16")
    truth, _ = soundfile.read(io.BytesIO(law.content), dtype="int16")
    assert np.array_equal(heard, truth)


def reseal(bureau: Bureau, content: bytes, sha256: str | None) -> None:
    """Put something else in the place of recording 1."""
    path = next(bureau.kit.root.rglob(f"{name_of(1)}.wav.age"))
    seal_stream([content], path, recipient_text(bureau.kit.keys[name_of(1)]))

    async def note(index: Index) -> None:
        async with index.transaction() as connection:
            await connection.execute("UPDATE calls SET wav_sha256 = ? WHERE id = ?", [sha256, name_of(1)])
            await connection.execute(refresh("calls", "true"))

    if sha256 is not None:
        bureau.kit.using(note)


def opened(bureau: Bureau) -> Audio:
    async def work(desk: Desk) -> Audio:
        entry = await desk.index.entry(name_of(1))
        assert entry is not None
        return open_audio(desk, entry, [bureau.kit.vault_identity])

    return bureau.at(work)


def test_what_was_put_in_its_place_is_not_heard(bureau: Bureau) -> None:
    assert opened(bureau).frames == 2000
    reseal(bureau, made("WAV", "PCM_16"), None)
    with pytest.raises(CustodyProblem, match="not what was recorded"):
        opened(bureau)


def test_what_is_no_sound_is_told(bureau: Bureau) -> None:
    reseal(bureau, b"not a sound", hashlib.sha256(b"not a sound").hexdigest())
    with pytest.raises(CustodyProblem, match="no audio that can be read"):
        opened(bureau)


def test_a_file_that_is_gone_is_told(bureau: Bureau) -> None:
    path: Path = next(bureau.kit.root.rglob(f"{name_of(1)}.wav.age"))
    path.unlink()
    with pytest.raises(CustodyProblem, match="No such file"):
        opened(bureau)
