"""The same payloads through another build of FFmpeg, from a file and not from RTP: the same samples."""

from __future__ import annotations

import numpy as np
import pytest

from bystander.codecs.decoded import sound_of
from tests.codecs.containers import amr_file, decoded, opus_file, snr_db
from tests.codecs.spoken import T0_NS, spoken

RAW = {
    "G722": ("g722",),
    "G723 6.3": ("g723_1",),
    "GSM": ("gsm",),
    "L16 8 k": ("s16be", "-ar", "8000"),
    "L16 44.1 k": ("s16be", "-ar", "44100"),
    **{f"G726-{rate}": ("g726le", "-code_size", str(rate // 8)) for rate in (16, 24, 32, 40)},
    **{f"AAL2-G726-{rate}": ("g726", "-code_size", str(rate // 8)) for rate in (16, 24, 32, 40)},
}


@pytest.mark.parametrize("name", [*RAW, "AMR aligned", "AMR dense", "Opus mono", "Opus 60 ms"])
def test_another_decoder_hears_the_same(name: str) -> None:
    said = spoken(name)
    sound = sound_of(said.run(), said.parameters)
    assert sound is not None
    if name.startswith("AMR"):
        file = amr_file(said.payloads, wide=False, aligned=name == "AMR aligned")
        reference = decoded(file, sound.rate_hz, "-f", "amr")
    elif name.startswith("Opus"):
        reference = decoded(opus_file(said.payloads), sound.rate_hz, "-c:a", "libopus", "-f", "ogg")
    else:
        form, *more = RAW[name]
        reference = decoded(b"".join(said.payloads), sound.rate_hz, "-f", form, *more)
    assert len(reference) >= 3.5 * sound.rate_hz
    heard, _ = sound.reader(T0_NS).read(0, len(reference))
    end = len(reference) - sound.rate_hz // 10
    assert np.abs(reference[:end].astype(np.int32)).max() > 1000
    # Opus and AMR are reckoned otherwise by another version or library; the rest is the same bit by bit.
    least = 30 if name.startswith(("AMR", "Opus")) else float("inf")
    assert snr_db(heard[:end], reference[:end]) >= least
