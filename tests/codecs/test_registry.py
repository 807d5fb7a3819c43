"""Every codec that is decoded: known speech in, the same speech out, at the same place."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from bystander.codecs.decoded import sound_of
from bystander.codecs.decoder import Parameters
from bystander.codecs.registry import ROWS, open_decoder, supported
from tests.codecs.spoken import SPOKEN, T0_NS, likeness, only, speech, spoken


@pytest.mark.parametrize("name", SPOKEN)
def test_speech_comes_out_as_it_went_in(name: str) -> None:
    said = spoken(name)
    sound = sound_of(said.run(), said.parameters)
    assert sound is not None
    original = speech(sound.rate_hz)
    heard, covered = sound.reader(T0_NS).read(0, len(original))
    like, delay = likeness(heard, original, sound.rate_hz // 20)
    assert like >= SPOKEN[name][1], f"{like:.3f} at {delay}"
    # An encoder's own delay is at most some 30 ms; a packet misplaced would be more.
    assert delay / sound.rate_hz < 0.04
    assert covered[: round(len(original) * 0.95)].all()


@pytest.mark.parametrize("name", ["G722", "G726-32", "Opus stereo", "AMR dense", "GSM", "Speex 16 k"])
def test_loss_and_reordering_leave_the_rest_in_its_place(name: str) -> None:
    """C14: 3 % of the packets lost and 3 % overtaken; what is lost is silence of its length."""
    said = spoken(name)
    run = said.run()
    random = np.random.default_rng(7)
    order = np.flatnonzero(random.random(len(run)) >= 0.03)
    for at in np.flatnonzero(random.random(len(order) - 1) < 0.03).tolist():
        order[[at, at + 1]] = order[[at + 1, at]]
    sound = sound_of(only(run, order), said.parameters)
    assert sound is not None
    original = speech(sound.rate_hz)
    heard, covered = sound.reader(T0_NS).read(0, len(original))
    like, delay = likeness(heard, original, sound.rate_hz // 20)
    assert like > 0.8
    assert delay / sound.rate_hz < 0.04
    lost = 1 - len(order) / len(run)
    assert 1 - covered[: round(0.95 * len(covered))].mean() == pytest.approx(lost, abs=0.02)
    assert not heard[~covered].any()


@pytest.mark.parametrize(
    "parameters",
    [
        Parameters("BV32", 16000),
        Parameters("LPC", 8000),
        Parameters("SPEEX", 11025),
        Parameters("G722", 8000, 2),
        Parameters("AMR", 8000, 2),
        Parameters("AMR-WB", 16000, 1, "octet-align=1; interleaving=30"),
        Parameters("L16", 1, 1),
    ],
)
def test_what_cannot_be_decoded_has_no_decoder(parameters: Parameters) -> None:
    assert open_decoder(parameters) is None


def test_every_row_opens_and_survives_any_payload() -> None:
    """Nothing that a packet holds raises; at worst nothing is heard."""
    random = np.random.default_rng(1)
    for encodings, _ in ROWS:
        for encoding in encodings:
            assert supported(encoding.lower())
            decoder = open_decoder(Parameters(encoding, 16000 if encoding == "AMR-WB" else 8000))
            assert decoder is not None, encoding
            for size in [*range(70), 160, 321]:
                samples = decoder.decode(random.bytes(size))
                assert samples.dtype == np.int16 and samples.ndim == 1
            assert not len(decoder.decode(b""))


def test_g711_alone_loads_no_ffmpeg() -> None:
    """It is the everyday case, and takes no longer to start for the others."""
    code = "import sys, bystander.extract, bystander.sealing; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
