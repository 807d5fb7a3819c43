"""AMR and AMR-WB payloads (RFC 4867), both layouts, against a second formulation and real frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.codecs.amr import NARROW_BITS, WIDE_BITS, Depacketiser, open_decoder
from bystander.codecs.decoder import Parameters
from tests.codecs.spoken import amr_payload


def stored(wide: bool, kinds: list[int], seed: int) -> list[bytes]:
    """Frames as a file holds them, of the given types, with random speech bits."""
    random = np.random.default_rng(seed)
    made = []
    for kind in kinds:
        bits = (WIDE_BITS if wide else NARROW_BITS)[kind]
        value = int.from_bytes(random.bytes(-(-bits // 8)), "big") >> (-bits % 8) << (-bits % 8)
        made.append(bytes((kind << 3 | 4,)) + value.to_bytes(-(-bits // 8), "big"))
    return made


@given(
    st.booleans(), st.booleans(), st.lists(st.sampled_from(range(9)), min_size=1, max_size=6), st.integers(0)
)
def test_frames_come_out_as_a_file_would_hold_them(
    wide: bool, aligned: bool, kinds: list[int], seed: int
) -> None:
    frames = stored(wide, kinds, seed)
    payload = amr_payload(frames, aligned, WIDE_BITS if wide else NARROW_BITS)
    assert list(Depacketiser(wide, aligned).frames(payload)) == frames


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("aligned", [False, True])
def test_a_frame_that_was_not_sent_is_silence_of_its_length(wide: bool, aligned: bool) -> None:
    one, two = stored(wide, [3, 5], 1)
    nothing = bytes((15 << 3 | 4,))
    payload = amr_payload([one, nothing, two], aligned, WIDE_BITS if wide else NARROW_BITS)
    assert list(Depacketiser(wide, aligned).frames(payload)) == [one, 320 if wide else 160, two]


def test_check_sums_of_frames_are_stepped_over() -> None:
    """Section 4.4.2.1: one CRC byte a frame between the table of contents and the frames."""
    one, two = stored(False, [7, 7], 2)
    payload = amr_payload([one, two], True)
    with_crc = payload[:3] + b"\x5a\xa5" + payload[3:]
    assert list(Depacketiser(False, True, crc=True).frames(with_crc)) == [one, two]
    decoder = open_decoder(Parameters("AMR", 8000, 1, "crc=1"))
    assert decoder is not None and len(decoder.decode(with_crc)) == 320


@given(st.booleans(), st.booleans(), st.binary(max_size=80))
def test_any_bytes_are_read_without_error(wide: bool, aligned: bool, payload: bytes) -> None:
    for frame in Depacketiser(wide, aligned).frames(payload):
        assert frame in (160, 320) if isinstance(frame, int) else len(frame) >= 5


def test_a_payload_cut_short_gives_what_is_whole() -> None:
    frames = stored(False, [7, 7, 7], 3)
    payload = amr_payload(frames, True)
    assert list(Depacketiser(False, True).frames(payload[:-1])) == frames[:2]


def test_the_fmtp_line_tells_the_layout() -> None:
    frame = stored(True, [2], 4)
    for fmtp, aligned in (("octet-align=1", True), ("mode-set=2; OCTET-ALIGN = 1", True), ("", False)):
        decoder = open_decoder(Parameters("AMR-WB", 16000, 1, fmtp))
        assert decoder is not None and decoder.rate_hz == 16000
        assert len(decoder.decode(amr_payload(frame, aligned, WIDE_BITS))) == 320


@given(
    st.booleans(), st.booleans(), st.lists(st.sampled_from(range(9)), min_size=1, max_size=5), st.integers(0)
)
def test_frames_sorted_by_robustness_are_sorted_back(
    wide: bool, crc: bool, kinds: list[int], seed: int
) -> None:
    """Section 4.4.4.1: the first bytes of all frames, then the second ones, and so on."""
    frames = stored(wide, kinds, seed)
    simple = amr_payload(frames, True, WIDE_BITS if wide else NARROW_BITS)
    head = simple[: 1 + len(frames)] + (bytes(len(frames)) if crc else b"")
    bodies = [frame[1:] for frame in frames]
    mixed = bytes(body[at] for at in range(max(map(len, bodies))) for body in bodies if at < len(body))
    assert list(Depacketiser(wide, True, crc, robust=True).frames(head + mixed)) == frames
    assert list(Depacketiser(wide, True, crc, robust=True).frames(head + mixed[:-1])) == []
