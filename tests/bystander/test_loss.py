"""Frames that the capture lost are told in the verdict of the calls that they belonged to."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.traffic import Traffic, write
from bystander.finish import finish
from bystander.finished import Finished, FinishedCall
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.sniffer.capturefile import open_captures
from bystander.sniffer.frames import Frames
from bystander.sniffer.sip import Arrival
from bystander.storage.entry import time_ns
from bystander.storage.spool import Spool


def test_c23_calls_of_the_moment_are_partial_and_no_others(tmp_path: Path) -> None:
    capture = tmp_path / "t.pcap"
    traffic = Traffic(calls=3, seconds=2, stagger_s=12.0)
    write(traffic, capture)
    calls: list[dict[str, object]] = []

    def finished(call: Finished) -> None:
        assert isinstance(call, FinishedCall)
        calls.append(call.describe(finish(call.job)))
        call.discard()

    pipeline = Pipeline(
        PipelineSettings(root=tmp_path, target=lambda call: Path(f"{call.call_id}.wav")),
        Spool(tmp_path / "spool"),
        finished,
    )
    with open_captures([capture]) as source:
        for frames in source.blocks():
            first_ns = int(frames.time_ns[0])
            # While the second call is up: it begins four seconds after the first, which lasts two.
            pipeline.note_loss(first_ns + 5_500_000_000, first_ns + 5_600_000_000)
            pipeline.feed(frames)
    pipeline.close()
    starts = [time_ns(str(call["started_at"])) for call in calls]
    ordered = [
        call["verdict"] for _, call in sorted(zip(starts, calls, strict=True), key=lambda pair: pair[0])
    ]
    assert ordered == ["recorded", "partial", "recorded"]


@pytest.mark.parametrize(("cut_s", "verdict"), [(-0.01, "recorded"), (1.0, "partial")])
def test_c23_what_an_earlier_process_had_answered_is_partial(
    tmp_path: Path, cut_s: float, verdict: str
) -> None:
    """Of a call that only rang when that process ended, nothing is missing. Times are from the answer."""
    capture = tmp_path / "t.pcap"
    write(Traffic(calls=1, seconds=3), capture)
    with open_captures([capture]) as source:
        blocks = list(source.blocks())
    seen: list[Arrival] = []
    settings = PipelineSettings(root=tmp_path, target=lambda call: Path("call.wav"))
    before = Pipeline(settings, Spool(tmp_path / "before"), lambda call: call.discard(), seen.append)
    for frames in blocks:
        before.feed(frames)
    cut_ns = next(one.time_ns for one in seen if one.message.status == 200) + int(cut_s * 1e9)
    calls: list[Finished] = []
    after = Pipeline(settings, Spool(tmp_path / "after"), calls.append)
    for arrival in seen:
        if arrival.time_ns < cut_ns:
            after.replay(arrival)
    for frames in blocks:
        later = frames.time_ns >= cut_ns
        after.feed(
            Frames(
                frames.data,
                frames.offset[later],
                frames.captured[later],
                frames.length[later],
                frames.time_ns[later],
                frames.linktype,
            )
        )
    after.close()
    (call,) = calls
    assert call.describe(finish(call.job))["verdict"] == verdict
