"""Frames that the capture lost are told in the verdict of the calls that they belonged to."""

from __future__ import annotations

from pathlib import Path

from benchmarks.traffic import Traffic, write
from bystander.finish import finish
from bystander.finished import Finished, FinishedCall
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.sniffer.capturefile import open_captures
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
