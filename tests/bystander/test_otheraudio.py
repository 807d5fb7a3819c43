"""Recordings of calls that are not all G.711, from kept packets to the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from bystander.codecs.g711 import PCMU, encode
from bystander.codecs.packets import PacketRun
from bystander.codecs.timeline import Run
from bystander.finish import Job, StreamMedia, Written, finish
from bystander.sniffer.sdp import Format
from bystander.storage.spool import Media
from tests.codecs.spoken import T0_NS, Spoken, likeness, speech, spoken

S = 1_000_000_000


def stream(
    by: str, kept: PacketRun | None, formats: dict[int, Format], runs: list[Run] | None = None
) -> StreamMedia:
    return StreamMedia(
        by=by,
        formats=formats,
        encrypted=False,
        packets=200,
        first_ns=T0_NS,
        last_ns=T0_NS + 4 * S,
        epoch_ns=T0_NS if runs else None,
        file=None,
        memory=Media(runs or [], [kept] if kept is not None else []),
    )


def form(said: Spoken) -> Format:
    known = said.parameters
    return Format(known.encoding, known.clock_hz, known.channels, known.fmtp)


def coded(by: str, name: str, pt: int = 96, start_s: float = 0.0) -> StreamMedia:
    said = spoken(name)
    return stream(by, said.run(pt, T0_NS + round(start_s * S)), {pt: form(said)})


def law(by: str, start_s: float = 0.0) -> StreamMedia:
    run = Run(round(start_s * 8000), PCMU, encode(speech(8000, 4.0, "callee"), PCMU))
    return stream(by, None, {}, [run])


def made(
    tmp_path: Path, *streams: StreamMedia, starts_s: float = 0, ends_s: float = 4
) -> tuple[Written, np.ndarray]:
    job = Job(tmp_path / "x.wav", list(streams), T0_NS + round(starts_s * S), T0_NS + round(ends_s * S))
    written = finish(job)
    assert written.path is not None
    read, rate = soundfile.read(job.target, dtype="int16", always_2d=True)
    assert rate == written.rate_hz and len(read) == written.frames
    return written, np.asarray(read)


def test_both_sides_are_brought_to_the_higher_rate(tmp_path: Path) -> None:
    """The callee speaks G.711, the caller G.722: the recording is 16 kHz, both sides in step."""
    written, heard = made(tmp_path, law("callee", 0.5), coded("caller", "G722"), ends_s=4)
    assert written.rate_hz == 16000 and written.frames == 64000
    assert written.heard == {"caller", "callee"}
    like, delay = likeness(heard[:, 0], speech(16000), 400)
    assert like > 0.98 and delay < 32
    like, delay = likeness(heard[8000:, 1], speech(16000, 3.5, "callee"), 400)
    assert like > 0.97 and delay <= 1


def test_eight_kilohertz_stay_eight_kilohertz(tmp_path: Path) -> None:
    written, heard = made(tmp_path, law("callee"), coded("caller", "GSM"))
    assert written.rate_hz == 8000
    assert likeness(heard[:, 0], speech(8000), 200)[0] > 0.9
    assert likeness(heard[:, 1], speech(8000, 4.0, "callee"), 200)[0] > 0.99


def test_a_codec_that_changes_in_mid_call_goes_on_where_it_was(tmp_path: Path) -> None:
    """The same stream: two seconds of G.722, then G.711 by another payload type."""
    wide = spoken("G722").run(9)
    half = len(wide) // 2
    first = np.arange(len(wide)) < half
    changed = stream("caller", wide.of_type(9), {9: Format("G722", 8000)})
    assert changed.memory is not None
    changed.memory.kept = [_part(wide, first)]
    changed.memory.runs = [Run(half * 160, PCMU, encode(speech(8000)[half * 160 :], PCMU))]
    changed.epoch_ns = T0_NS
    written, heard = made(tmp_path, changed)
    assert written.rate_hz == 16000
    # G.722 itself delays by 22 samples, so the halves are compared one by one.
    like, delay = likeness(heard[:32000, 0], speech(16000)[:32000], 400)
    assert like > 0.98 and delay < 32
    like, delay = likeness(heard[32000:, 0], speech(16000)[32000:], 400)
    assert like > 0.97 and delay <= 1


def test_what_was_said_before_the_answer_is_there_and_what_follows_the_end_is_not(tmp_path: Path) -> None:
    written, heard = made(tmp_path, coded("callee", "Opus mono", start_s=-1.0), ends_s=2)
    assert written.starts_ns == T0_NS - S
    assert written.rate_hz == 48000 and len(heard) == 3 * 48000
    assert likeness(heard[:, 1], speech(48000, 3.0), 2400)[0] > 0.9
    assert not heard[:, 0].any()


def test_a_payload_that_cannot_be_decoded_is_named_and_the_rest_is_heard(tmp_path: Path) -> None:
    bad = stream("callee", spoken("GSM").run(97), {97: Format("BV32", 16000)})
    written, _ = made(tmp_path, coded("caller", "G726-32"), bad)
    assert written.unsupported == {"BV32"}
    assert written.heard == {"caller"}


def test_packets_that_are_no_such_codec_are_unsupported_not_silence(tmp_path: Path) -> None:
    junk = stream("caller", spoken("Opus mono").run(18), {18: Format("G729", 8000)})
    assert junk.memory is not None
    kept = junk.memory.kept[0]
    junk.memory.kept = [
        PacketRun(kept.seq, kept.ts, kept.pt, kept.time_ns, kept.size * 0 + 3, kept.payload[: 3 * len(kept)])
    ]
    written = finish(Job(tmp_path / "x.wav", [junk], T0_NS, T0_NS + 4 * S))
    assert written.unsupported == {"G729"} and written.path is None


def test_a_call_that_was_over_before_its_media_has_none(tmp_path: Path) -> None:
    job = Job(tmp_path / "x.wav", [coded("caller", "GSM", start_s=10)], T0_NS, T0_NS + 4 * S)
    assert finish(job).path is None


def test_an_end_that_is_years_off_makes_no_recording_of_years(tmp_path: Path) -> None:
    """C18: one nonsense time must not cost the disk."""
    written, _ = made(tmp_path, coded("caller", "G726-32"), ends_s=50 * 365 * 86400)
    assert abs(written.frames - 32000) <= 160


def _part(run: PacketRun, wanted: np.ndarray) -> PacketRun:
    marked = PacketRun(
        run.seq, run.ts, np.where(wanted, 9, 10).astype(np.uint8), run.time_ns, run.size, run.payload
    )
    return marked.of_type(9)
