"""Calls and streams that are over, on their way from the pipeline to the writer and the index."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bystander.finish import Job, StreamMedia, Written
from bystander.report import (
    call_object,
    digit_objects,
    orphan_object,
    protection_fields,
    recording_object,
    stream_object,
)
from bystander.sniffer.calls import Call, ClaimedStream
from bystander.sniffer.protection import PERHAPS
from bystander.sniffer.realm import realm_of
from bystander.sniffer.recovered import RecoveredStream
from bystander.sniffer.streams import Stream
from bystander.storage.spool import Media, Spool


@dataclass(slots=True)
class FinishedCall:
    """A call that is over: what it was, what is to be written, and how to describe it once that is done."""

    call: Call
    job: Job
    streams: list[dict[str, Any]]
    capture_loss: bool
    excluded: str | None
    root: Path
    spool: Spool
    other_streams: list[dict[str, Any]] = field(default_factory=list)

    def describe(self, written: Written) -> dict[str, Any]:
        """Return the call's JSON object."""
        streams = [
            stream | protection_fields(stream["srtp"], media.encryption, written.opened.get(number))
            for number, (stream, media) in enumerate(zip(self.streams, self.job.streams, strict=True))
        ]
        return call_object(
            self.call,
            streams,
            written,
            self.root,
            other_streams=self.other_streams,
            capture_loss=self.capture_loss,
            excluded=self.excluded,
            mask=self.job.digits.mask,
        )

    @property
    def signalled_by(self) -> list[str]:
        """The addresses that the call's signalling came from and went to."""
        ends = ((arrival.src[0], arrival.dst[0]) for arrival in self.call.messages)
        return sorted({address for pair in ends for address in pair})

    def as_call(self, written: Written) -> dict[str, Any]:
        """Return what is indexed of it: the call's JSON object."""
        return self.describe(written)

    def discard(self) -> None:
        """Give the spool files back: the recording is written, or will never be."""
        give_back(self.job, self.spool)


@dataclass(slots=True)
class Orphan:
    """A stream that no call claimed, kept by configuration: a recording of its own, on the left channel."""

    job: Job
    stream: dict[str, Any]
    root: Path
    spool: Spool

    def describe(self, written: Written) -> dict[str, Any]:
        """Return the stream's JSON object with its recording."""
        digits = digit_objects(written, self.job.digits.mask)
        return self.stream | {"dtmf": digits, "recording": recording_object(written, self.root)}

    @property
    def signalled_by(self) -> list[str]:
        """Nobody: no signalling was seen."""
        return []

    def as_call(self, written: Written) -> dict[str, Any]:
        """Return what is indexed of it: a call of which nothing is known but its audio.

        A recording without a row would have no term, and nothing would ever erase it (R10, C20).
        """
        return orphan_object(self.stream, written, self.root, self.job.digits.mask)

    def discard(self) -> None:
        """Give the spool file back."""
        give_back(self.job, self.spool)


Finished = FinishedCall | Orphan


def give_back(job: Job, spool: Spool) -> None:
    """Return the spool files of a job."""
    for stream in job.streams:
        if stream.file is not None:
            spool.recycle(stream.file)


def media_of(
    stream: Stream | RecoveredStream,
    file: Path | None,
    memory: Media | None,
    claimed: ClaimedStream | None = None,
    exchange: str | None = None,
) -> StreamMedia:
    """Describe a stream as the writer of its recording needs it; ``claimed`` is None if no call has it.

    ``exchange`` is how keys were agreed upon beside the signalling; those in it are of no use then.
    """
    figures = stream.figures
    return StreamMedia(
        by="caller" if claimed is None else claimed.by,
        formats={} if claimed is None else dict(claimed.formats),
        encrypted=exchange is not None or (claimed is not None and claimed.encrypted),
        packets=figures.packets,
        first_ns=stream.first_ns,
        last_ns=figures.last_ns,
        epoch_ns=figures.epoch_ns,
        file=file,
        memory=memory,
        src=stream.src,
        dst=stream.dst,
        ssrc=stream.ssrc,
        events=claimed is not None and claimed.events,
        protection=PERHAPS if claimed is None else claimed.guard.state,
        encryption=exchange or ("" if claimed is None else claimed.guard.kind),
        keys=[] if claimed is None or exchange is not None else list(claimed.keys),
    )


def other_stream_object(stream: Stream | RecoveredStream, claimed: ClaimedStream) -> dict[str, Any]:
    """Describe a stream of a call that is noted, but not recorded: what it is, and what came of it."""
    described = stream_object(
        stream,
        stream.figures,
        formats=claimed.formats,
        srtp=claimed.encrypted,
        by=claimed.by,
    )
    return {"kind": claimed.kind} | described


def joined_midway(call: Call) -> bool:
    """Tell whether the call was going on when the capture began: its first INVITE was never seen."""
    return not any(
        arrival.message.method == "INVITE" and not arrival.message.to_tag for arrival in call.messages
    )


def facts_of(stream: Stream) -> dict[str, Any]:
    """Describe a stream as the spool keeps it for a process that comes after us."""
    return {
        "id": stream.id,
        "src": stream.src,
        "dst": stream.dst,
        "ssrc": stream.ssrc,
        "first_ns": stream.first_ns,
        "payload_types": stream.payload_types,
        "figures": asdict(stream.figures),
        "tunnel": stream.tunnel,
        "realm": realm_of(stream.src[0]),
    }
