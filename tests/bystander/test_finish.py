"""From the media of a call to its WAV."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bystander.codecs.g711 import PCMA, PCMU, table
from bystander.codecs.packets import PacketRun
from bystander.codecs.timeline import Run
from bystander.finish import Job, StreamMedia, finish
from bystander.sniffer.sdp import Format
from bystander.storage.spool import Media

T0 = 1_790_000_000_000_000_000
SECOND = 1_000_000_000


def media(by: str, value: int, start_s: float, length_s: float, **more: object) -> StreamMedia:
    """A stream of one byte over and over, from ``start_s`` after T0."""
    samples = np.full(int(length_s * 8000), value, np.uint8)
    known: dict[str, object] = {
        "by": by,
        "formats": {},
        "encrypted": False,
        "packets": int(length_s * 50),
        "first_ns": T0 + int(start_s * SECOND),
        "last_ns": T0 + int((start_s + length_s) * SECOND),
        "epoch_ns": T0 + int(start_s * SECOND),
        "file": None,
        "memory": Media([Run(0, PCMA, samples)]),
    }
    return StreamMedia(**(known | more))  # type: ignore[arg-type]


def kept(by: str, pt: int, payload: bytes, **more: object) -> StreamMedia:
    """A stream of fifty packets kept as they came."""
    n = 50
    run = PacketRun(
        np.arange(n, dtype=np.int64),
        (np.arange(n) * 160).astype(np.uint32),
        np.full(n, pt, np.uint8),
        T0 + np.arange(n, dtype=np.int64) * 20_000_000,
        np.full(n, len(payload), np.int32),
        np.frombuffer(payload * n, np.uint8),
    )
    return media(by, 0, 0, 1, memory=Media([], [run]), epoch_ns=None, **more)


def heard(job: Job) -> np.ndarray:
    read, _ = soundfile.read(job.target, dtype="int16", always_2d=True)
    return np.asarray(read)


def job(tmp_path: Path, *streams: StreamMedia, starts_s: float | None = 0, ends_s: float = 10) -> Job:
    starts_ns = None if starts_s is None else T0 + int(starts_s * SECOND)
    return Job(tmp_path / "x.wav", list(streams), starts_ns, T0 + int(ends_s * SECOND))


ONE, TWO, THREE = 0x10, 0x20, 0x30
LEVEL = {value: int(table(PCMA)[value]) for value in (ONE, TWO, THREE)}


def test_as_long_as_the_call_caller_left_callee_right(tmp_path: Path) -> None:
    """C16: the sides begin when they begin, by their role and not by who came first."""
    work = job(tmp_path, media("callee", TWO, 1, 4), media("caller", ONE, 2, 5))
    written = finish(work)
    frames = heard(work)
    assert len(frames) == written.frames == 80_000
    assert written.starts_ns == T0
    assert written.heard == {"caller", "callee"}
    left, right = (np.flatnonzero(np.abs(frames[:, side]) > 8) for side in (0, 1))
    assert (left[0], left[-1]) == (16_000, 55_999)
    assert (right[0], right[-1]) == (8_000, 39_999)
    assert set(frames[left, 0].tolist()) == {LEVEL[ONE]}
    assert set(frames[right, 1].tolist()) == {LEVEL[TWO]}
    assert hashlib.sha256(work.target.read_bytes()).hexdigest() == written.sha256


def test_early_media_comes_before_the_answer_and_what_follows_the_end_is_cut(tmp_path: Path) -> None:
    work = job(tmp_path, media("callee", TWO, -3, 20))
    written = finish(work)
    assert written.starts_ns == T0 - 3 * SECOND
    assert written.frames == 13 * 8000
    assert (np.abs(heard(work)[:, 1]) > 8).all()


def test_c7_of_two_hops_one_is_heard_and_the_other_fills_its_gaps(tmp_path: Path) -> None:
    work = job(tmp_path, media("caller", ONE, 0, 6), media("caller", TWO, 4, 3, packets=10), ends_s=8)
    finish(work)
    left = heard(work)[:, 0]
    assert set(left[: 6 * 8000].tolist()) == {LEVEL[ONE]}
    assert set(left[6 * 8000 : 7 * 8000].tolist()) == {LEVEL[TWO]}
    assert np.abs(left[7 * 8000 :]).max() <= 8


def test_a_dynamic_payload_type_that_is_g711_is_decoded(tmp_path: Path) -> None:
    work = job(
        tmp_path, kept("caller", 111, bytes([ONE]) * 160, formats={111: Format("pcmu", 8000)}), ends_s=1
    )
    written = finish(work)
    assert written.heard == {"caller"}
    assert set(heard(work)[:, 0].tolist()) == {int(table(PCMU)[ONE])}


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (
            kept("caller", 18, b"x" * 20, formats={18: Format("LPC", 8000)}),
            {"unsupported": {"LPC"}, "encrypted": False},
        ),
        (kept("caller", 99, b"x" * 20), {"unsupported": {"payload type 99"}, "encrypted": False}),
        (media("caller", ONE, 0, 1, encrypted=True), {"unsupported": set(), "encrypted": True}),
        (kept("caller", 13, b"\x40"), {"unsupported": set(), "encrypted": False}),
    ],
)
def test_what_cannot_be_heard_makes_no_file(
    tmp_path: Path, stream: StreamMedia, said: dict[str, object]
) -> None:
    """Noise that only looks like speech is worse than none: SRTP is never decoded as G.711."""
    work = job(tmp_path, stream)
    written = finish(work)
    assert {name: getattr(written, name) for name in said} == said
    assert written.path is None
    assert not written.heard
    assert list(tmp_path.iterdir()) == []


def test_digits_are_read_where_sdp_says(tmp_path: Path) -> None:
    stream = kept("callee", 101, bytes([10, 0x80, 0, 160]), formats={101: Format("telephone-event", 8000)})
    assert {(press.digit, press.by) for press in finish(job(tmp_path, stream)).presses} == {("*", "callee")}


def test_an_excluded_call_is_not_written(tmp_path: Path) -> None:
    work = job(tmp_path, media("caller", ONE, 0, 1))
    work.write = False
    assert finish(work).path is None
    assert list(tmp_path.iterdir()) == []


def test_early_media_whose_first_packets_came_last_is_whole(tmp_path: Path) -> None:
    """A straggler is handed on after what it belongs before."""
    late = Media([Run(8000, PCMA, np.full(8000, ONE, np.uint8)), Run(0, PCMA, np.full(800, TWO, np.uint8))])
    work = job(tmp_path, media("callee", ONE, -3, 2, memory=late), ends_s=2)
    assert finish(work).starts_ns == T0 - 3 * SECOND
    assert (heard(work)[:800, 1] == LEVEL[TWO]).all()


@pytest.mark.parametrize("wrong_s", [50 * 365 * 86400, 2**32])
def test_an_end_that_is_years_off_makes_no_recording_of_years(tmp_path: Path, wrong_s: int) -> None:
    """C18: one nonsense time must not cost the disk."""
    work = job(tmp_path, media("caller", ONE, 0, 3), media("callee", TWO, 0, 4), ends_s=wrong_s)
    assert finish(work).frames == 4 * 8000
    assert work.target.stat().st_size < 1_000_000


def test_audio_that_is_years_early_does_not_move_the_start(tmp_path: Path) -> None:
    work = job(tmp_path, media("caller", ONE, 0, 3), media("callee", TWO, -50 * 365 * 86400, 4))
    assert finish(work).starts_ns == T0
    assert len(heard(work)) == 80_000
