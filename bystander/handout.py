"""Calls that are over leave the pipeline: with their media, what is known of it, and what to write."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bystander.beginnings import known_by
from bystander.decryption import end_of
from bystander.digits import by_info
from bystander.finish import Job
from bystander.finished import Finished, FinishedCall, Orphan, joined_midway, media_of, other_stream_object
from bystander.pipelinesettings import PipelineSettings
from bystander.quality import missed_audibly
from bystander.report import stream_object
from bystander.rtcpview import continued
from bystander.sniffer.calls import Call, CallTable, ClaimedStream
from bystander.sniffer.claims import StreamLike
from bystander.sniffer.mediaports import MediaPorts
from bystander.sniffer.realm import within
from bystander.sniffer.recovered import RecoveredStream
from bystander.sniffer.reports import Heard, Reports
from bystander.sniffer.streams import Stream, StreamTable
from bystander.storage.spool import Media, Spool

#: An orphan ends with its last packet, which is taken to be this long.
_PACKET_NS: Final = 20_000_000
#: Unclaimed streams are listed up to this many; beyond, they are only counted.
MAX_UNCLAIMED_LISTED: Final = 10_000


class HandOut:
    """Ends streams, takes their media out of the spool, and gives finished calls to ``finished``.

    Each stream is handed out once: to the call that has claimed it, as an orphan, or into the list of
    ``unclaimed``. ``lossy`` has the streams that the disk did not take all of.
    """

    def __init__(
        self,
        settings: PipelineSettings,
        spool: Spool,
        finished: Callable[[Finished], None],
        calls: CallTable,
        streams: StreamTable,
        reports: Reports,
        media_ports: MediaPorts,
        counters: Counter[str],
        lossy: set[int],
    ) -> None:
        self._settings = settings
        self._spool = spool
        self._finished = finished
        self._calls = calls
        self._streams = streams
        self._reports = reports
        self._media_ports = media_ports
        self._counters = counters
        self._lossy = lossy
        self._recovered: dict[int, RecoveredStream] = {}
        self._by_id: dict[int, Stream] = {}
        self._losses: deque[tuple[int, int]] = deque(maxlen=1024)
        #: Call-IDs taken over from an earlier process, and when it last heard of each.
        self.resumed: dict[str, int] = {}
        self.interrupted = False
        #: Stream objects of the streams that no call claimed and that are over.
        self.unclaimed: list[dict[str, Any]] = []

    def introduce(self, stream: Stream) -> None:
        """Take note of a new stream."""
        self._by_id[stream.id] = stream

    def recover(self, stream: RecoveredStream) -> None:
        """Take note of a stream of an earlier process whose media is in the spool."""
        self._recovered[stream.id] = stream

    def own(self, ident: int) -> Stream | None:
        """Return a stream of this process that was not handed out yet."""
        return self._by_id.get(ident)

    @property
    def left(self) -> list[StreamLike]:
        """Return the streams that were not handed out yet."""
        return [*self._by_id.values(), *self._recovered.values()]

    def note_loss(self, from_ns: int, to_ns: int) -> None:
        """Frames were lost between two times: calls answered then were recorded in part."""
        self._losses.append((from_ns, to_ns))

    def end(self, stream: Stream) -> None:
        """A stream is over; what is left of it stays in memory until its call is written, or goes to disk."""
        if stream.alive:
            if not self._settings.durable:
                self._spool.finish(stream.id)
            tail = self._streams.end(stream)
            if self._calls.may_be_relayed(stream):
                tail = tail or end_of(stream.ending, stream.ssrc, self._calls.keys_of(stream))
                self._calls.stream_heard(stream, known_by(tail, self._spool.said(stream.id)))

    def call(self, call: Call) -> None:
        """Hand out a call that is over."""
        streams, media = [], []
        heard: list[tuple[Stream | RecoveredStream, Heard | None]] = []
        loss = joined_midway(call) or (self.interrupted and call.ended_by == "capture-end")
        if call.answered_ns is not None:
            answered_ns, ended_ns = call.answered_ns, call.ended_ns
            loss = loss or any(start <= ended_ns and answered_ns <= end for start, end in self._losses)
        resumed_ns = self.resumed.pop(within(call.call_id, call.realm), None)
        if resumed_ns is not None and call.answered_ns is not None:
            loss = loss or call.answered_ns <= resumed_ns
        for claimed in call.streams:
            taken = self._take(claimed.stream)
            if taken is None:
                continue
            stream, file, memory = taken
            figures = stream.figures
            measures = stream.measures
            said = self._reports.forget(stream)
            heard.append((stream, said))
            loss = loss or measures is None or missed_audibly(measures, said) or stream.id in self._lossy
            self._lossy.discard(stream.id)
            exchange = self._media_ports.key_exchange(stream.src, stream.dst)
            media.append(media_of(stream, file, memory, claimed, exchange))
            streams.append(
                stream_object(
                    stream,
                    figures,
                    formats=claimed.formats,
                    measures=measures,
                    heard=said,
                    srtp=claimed.encrypted or exchange is not None,
                    by=claimed.by,
                )
            )
        for number, ssrc in continued(heard).items():
            streams[number]["continues"] = f"{ssrc:#010x}"
        others = [self._set_aside(claimed) for claimed in call.other_streams]
        excluded = self._settings.excluded(call)
        root = self._settings.root
        job = Job(
            target=root / self._settings.target(call),
            streams=media,
            starts_ns=call.answered_ns,
            ends_ns=call.ended_ns,
            durable=self._settings.durable,
            write=excluded is None,
            digits=self._settings.digits,
            info=by_info(call.info_digits),
        )
        self._finished(
            FinishedCall(call, job, streams, loss, excluded, root, self._spool, [o for o in others if o])
        )

    def _take(self, like: StreamLike) -> tuple[Stream | RecoveredStream, Path | None, Media | None] | None:
        """End a claimed stream and take its media out of the spool; None if another call has taken it."""
        recovered = self._recovered.pop(like.id, None)
        if recovered is not None:
            return recovered, recovered.file, None
        stream = self._by_id.pop(like.id, None)
        if stream is None:
            return None
        self.end(stream)
        self._calls.stream_ended(stream)
        file, memory = self._spool.take(stream.id)
        return stream, file, memory

    def _set_aside(self, claimed: ClaimedStream) -> dict[str, Any] | None:
        """Describe a stream of a call that is no audio (C17); None if another call has taken it."""
        taken = self._take(claimed.stream)
        if taken is None:
            return None
        stream, file, _ = taken
        if file is not None:
            self._spool.recycle(file)
        return other_stream_object(stream, claimed)

    def drop(self, like: StreamLike) -> None:
        """Hand out a stream that no call has claimed: kept by itself, or forgotten."""
        taken = self._take(like)
        if taken is None:
            return
        stream, file, memory = taken
        self._counters["unclaimed"] += 1
        described = stream_object(
            stream,
            stream.figures,
            measures=stream.measures,
            heard=self._reports.forget(stream),
        )
        if self._settings.keep_unclaimed:
            root = self._settings.root
            job = Job(
                target=root / self._settings.orphan_target(stream.first_ns, stream.id),
                streams=[media_of(stream, file, memory)],
                starts_ns=None,
                ends_ns=stream.last_ns + _PACKET_NS,
                durable=self._settings.durable,
                digits=self._settings.digits,
            )
            self._finished(Orphan(job, described, root, self._spool))
            return
        if file is not None:
            self._spool.recycle(file)
        if len(self.unclaimed) < MAX_UNCLAIMED_LISTED:
            self.unclaimed.append(described)
