"""Variants of codecs that no encoder here makes: frames of noise, packings that are refused, lengths."""

from __future__ import annotations

import numpy as np
import pytest

from bystander.codecs import g723, g729
from bystander.codecs.decoder import Parameters
from bystander.codecs.opus import samples_of
from bystander.codecs.registry import open_decoder
from bystander.sniffer.sdp import STATIC_FORMATS
from tests.codecs.spoken import spoken


@pytest.mark.parametrize("encoding", ["G729", "G729A", "G729B", "G729AB"])
def test_g729_annex_b_noise_is_ten_milliseconds_of_silence(encoding: str) -> None:
    """RFC 3551 §4.5.6: two bytes at the end of a packet, or alone."""
    frame, noise = bytes([0x78, 0x52, 0x80, 0xA0, 0x00, 0xFA, 0xC2, 0x00, 0x07, 0xD6]), b"\x12\x34"
    assert list(g729.frames(frame * 2 + noise)) == [frame, frame, 80]
    assert list(g729.frames(noise)) == [80]
    assert list(g729.frames(frame + b"\x01")) == [frame]
    decoder = open_decoder(Parameters(encoding, 8000, 1, "annexb=yes"))
    assert decoder is not None
    heard = decoder.decode(frame * 2 + noise)
    assert len(heard) == 240 and not heard[160:].any()
    assert len(decoder.decode(noise)) == 80


def test_g7231_frames_of_all_sizes() -> None:
    six, five, noise, none = b"\x00" * 24, b"\x01" + bytes(19), b"\x02" + bytes(3), b"\x03"
    assert list(g723.frames(six + five + noise + none + five)) == [six, five, noise, none, five]
    decoder = open_decoder(Parameters("G723", 8000, 1, "annexa=yes"))
    assert decoder is not None
    assert len(decoder.decode(six + noise)) == 480


@pytest.mark.parametrize(
    "fmtp", ["interleaving=30", "octet-align=1; interleaving=4", "octet-align=1;crc=1;interleaving=8"]
)
@pytest.mark.parametrize("encoding", ["AMR", "AMR-WB"])
def test_amr_interleaved_is_refused(encoding: str, fmtp: str) -> None:
    """Frames of one packet are not neighbours then; nobody hears noise instead."""
    assert open_decoder(Parameters(encoding, 16000 if encoding == "AMR-WB" else 8000, 1, fmtp)) is None


def test_static_payload_types_have_decoders_or_are_known_not_to() -> None:
    """RFC 3551 table 4: a stream needs no description for these."""
    undecoded = {"LPC", "QCELP", "MPA", "G728", "CN", "PCMU", "PCMA"}
    for pt in range(20):
        known = STATIC_FORMATS.get(pt)
        if known is None:
            continue
        decoder = open_decoder(Parameters(known.encoding, known.clock_hz, known.channels, known.fmtp))
        assert (decoder is None) == (known.encoding in undecoded), known
    for pt, channels in ((10, 2), (11, 1)):
        decoder = open_decoder(Parameters("L16", STATIC_FORMATS[pt].clock_hz, STATIC_FORMATS[pt].channels))
        assert decoder is not None and decoder.rate_hz == 44100
        assert len(decoder.decode(bytes(400))) == 200 // channels


def test_g726_packings_are_not_taken_for_one_another() -> None:
    """The same bits in the other order are noise: what was sent is what is named."""
    said = spoken("G726-32")
    right, wrong = (open_decoder(Parameters(name, 8000)) for name in ("G726-32", "AAL2-G726-32"))
    assert right is not None and wrong is not None
    heard = [np.concatenate([d.decode(p) for p in said.payloads]).astype(np.float64) for d in (right, wrong)]
    rough = [float(np.square(np.diff(sound)).mean() / np.square(sound).mean()) for sound in heard]
    assert rough[1] > 1.5 * rough[0]


@pytest.mark.parametrize(
    ("payload", "samples"),
    [
        (b"", 0),
        (b"\x08x", 960),
        (b"\x0bx", 0),
        (b"\x7b\x03x", 2880),
        (b"\x80x", 120),
        (b"\xfdxx", 1920),
        (b"\x18", 2880),
    ],
)
def test_how_long_an_opus_packet_lasts(payload: bytes, samples: int) -> None:
    assert samples_of(payload) == samples
