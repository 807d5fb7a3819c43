"""Joins the rooms: frames in, finished calls out. Between them arrays and events; no sockets, no tasks.

One pipeline serves a capture file and a live mirror alike. Its clock is the capture clock: time passes when
frames say so, or when :meth:`Pipeline.advance` is told so on a quiet wire.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bystander.beginnings import known_by
from bystander.codecs.packets import PacketRun
from bystander.digits import DigitSettings, by_info
from bystander.finish import Job
from bystander.finished import (
    Finished,
    FinishedCall,
    Orphan,
    facts_of,
    joined_midway,
    media_of,
    other_stream_object,
)
from bystander.hepinput import feed_hep_of_wire
from bystander.opening import end_of
from bystander.quality import missed_audibly
from bystander.report import stream_object
from bystander.rtcpview import continued
from bystander.sniffer.address import Endpoint
from bystander.sniffer.calls import Call, CallSettings, CallTable, ClaimedStream
from bystander.sniffer.claims import StreamLike
from bystander.sniffer.coalesced import Splitter, messages_in
from bystander.sniffer.datagrams import Datagrams, Parsed, synthetic
from bystander.sniffer.fragments import Reassembler
from bystander.sniffer.frames import NONSENSE_NS, Frames, mended
from bystander.sniffer.hep import MAGIC as HEP
from bystander.sniffer.mediaports import MediaPorts
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.recovered import RecoveredStream
from bystander.sniffer.reports import Heard, Reports
from bystander.sniffer.rtp import looks_like_rtcp, looks_like_rtp
from bystander.sniffer.signalling import may_be_sip
from bystander.sniffer.sip import Arrival, parse_message
from bystander.sniffer.streams import Stream, StreamTable
from bystander.sniffer.tcp import Segment, SipOverTcp, TimedMessage
from bystander.sniffer.tls import TLS_PORTS, TlsConnections
from bystander.sniffer.tunnels import tally
from bystander.storage.spool import Media, Spool

_TICK_NS = 250_000_000
_FLUSH_NS = 1_000_000_000
#: Descriptions in one block that its media is divided at where some of it is SRTP.
_MAX_TURNS = 64
#: Frames of several sources are out of order by less than this; beyond, somebody set the clock.
_SET_BACK_NS = 60_000_000_000
#: A stream of an ended call is over when it has been quiet for this long: its address may be another's next.
_QUIET_NS = 300_000_000
#: An orphan ends with its last packet, which is taken to be this long.
_PACKET_NS = 20_000_000
#: Unclaimed streams are listed up to this many; beyond, they are only counted.
MAX_UNCLAIMED_LISTED = 10_000

#: Time in ns, source, destination, transport and bytes of what may be SIP.
_Message = tuple[int, Endpoint, Endpoint, str, bytes]


@dataclass(slots=True)
class PipelineSettings:
    """What the pipeline needs to know; all of it has a default."""

    calls: CallSettings = field(default_factory=CallSettings)
    root: Path = Path()
    #: Where a call's recording goes, below ``root``.
    target: Callable[[Call], Path] = lambda call: Path(f"{call.started_ns}.wav")
    #: Why a call is not to be recorded, or None.
    excluded: Callable[[Call], str | None] = lambda _call: None
    #: Lose as little as possible to a crash: media is flushed every few seconds, recordings reach the disk.
    durable: bool = False
    #: Keep streams that no call claims as recordings of their own, at ``orphan_target(first_ns, stream id)``.
    keep_unclaimed: bool = False
    orphan_target: Callable[[int, int], Path] = lambda first_ns, stream: Path(f"{first_ns}-{stream}.wav")
    #: Told how long each flush took, in seconds.
    observe_flush: Callable[[float], None] = lambda _seconds: None
    max_streams: int = 16384
    digits: DigitSettings = field(default_factory=DigitSettings)
    #: Ports of SIP over TLS, and who takes the segments of the connections there.
    tls_ports: tuple[int, ...] = TLS_PORTS
    tls_take: Callable[[Segment], None] | None = None


class Pipeline:
    """Frames in by :meth:`feed`, finished calls out by the ``finished`` callback.

    ``arrived`` sees every SIP message, for whoever keeps the signalling of calls in progress.
    """

    def __init__(
        self,
        settings: PipelineSettings,
        spool: Spool,
        finished: Callable[[Finished], None],
        arrived: Callable[[Arrival], None] | None = None,
        first_stream_id: int = 1,
    ) -> None:
        self.settings = settings
        self._spool = spool
        self._finished = finished
        self._arrived = arrived
        self._parser = FrameParser()
        self.fragments = Reassembler()
        self.coalesced = Splitter()
        self.tcp = SipOverTcp(on_connection=self._parser.watch_tcp)
        self.media_ports = MediaPorts()
        self.reports = Reports()
        self.tls = TlsConnections(settings.tls_ports, take=settings.tls_take)
        self._parser.tcp.ports = (5060, *settings.tls_ports)
        #: Messages of TLS connections that were opened beforehand, in order of time.
        self._opened: deque[TimedMessage] = deque()
        self.calls = CallTable(settings.calls)
        self.streams = StreamTable(
            self,
            capacity=settings.max_streams,
            expected=self.calls.expects,
            guard=self.calls.guards.mode,
            clock_of=self.calls.clock_of,
            observer=self.reports,
            first_id=first_stream_id,
        )
        self.reports.table = self.streams
        self._recovered: dict[int, RecoveredStream] = {}
        self._by_id: dict[int, Stream] = {}
        self._unclaimed: list[dict[str, Any]] = []
        self.now_ns = self.last_frame_ns = 0
        self._next_tick_ns = self._next_flush_ns = 0
        self._lossy: set[int] = set()
        self._losses: deque[tuple[int, int]] = deque(maxlen=1024)
        #: Call-IDs taken over from an earlier process, and when it last heard of each.
        self._resumed: dict[str, int] = {}
        self._interrupted = False
        self._srtp_seen = False
        self.bad: Counter[str] = Counter()
        self.counters: Counter[str] = Counter()
        #: Frames inside tunnels, by the way to them.
        self.tunnels: Counter[int] = Counter()
        #: Since when there is room only for the calls that were in progress then (C19); None: there is room.
        self.short_since_ns: int | None = None

    # What the stream table hands on goes to the spool.

    def audio(self, stream: Stream, position: int, law: int, samples: NDArray[np.uint8]) -> None:
        """Take a run of G.711 from the stream table. A full disk costs this run; capture goes on."""
        if self.short_since_ns is not None and self._is_new(stream, self.short_since_ns):
            return
        self._describe(stream)
        try:
            self._spool.audio(stream.id, position, law, samples)
        except OSError as error:
            self._lose(stream, error)

    def packets(self, stream: Stream, run: PacketRun) -> None:
        """Take kept packets from the stream table."""
        self._put(stream, partial(self._spool.packets, stream.id, run))

    def whole(self, stream: Stream, run: PacketRun) -> None:
        """Take packets with their headers and tags from the stream table."""
        self._put(stream, partial(self._spool.whole, stream.id, run))

    def disown(self, stream: Stream) -> None:
        """Forget the media of a stream so far."""
        self._put(stream, partial(self._spool.disown, stream.id))

    def _put(self, stream: Stream, put: Callable[[], None]) -> None:
        if self.short_since_ns is not None and self._is_new(stream, self.short_since_ns):
            return
        self._describe(stream)
        try:
            put()
        except OSError as error:
            self._lose(stream, error)

    def _is_new(self, stream: Stream, since_ns: int) -> bool:
        """Tell whether a stream is of a call that began after the disk ran short: it is not kept."""
        if stream.first_ns < since_ns:
            return False
        began_ns = self.calls.owner_began_ns(stream)
        if began_ns is not None and began_ns < since_ns:
            return False
        self.counters["refused-runs"] += 1
        return True

    def _describe(self, stream: Stream) -> None:
        """Let the spool say whose media it gets: of a stream so new that nobody else has heard of it, too."""
        if self.settings.durable:
            self._spool.describe(stream.id, partial(facts_of, stream))

    # The way of the data.

    def feed(self, frames: Frames) -> None:
        """Take one block of frames."""
        if not len(frames):
            return
        self.counters["frames"] += len(frames)
        self.counters["bytes"] += int(frames.length.sum())
        frames.time_ns = mended(frames.time_ns)
        parsed = self._parser.parse(frames)
        if parsed.fragments:
            self._join_fragments(parsed)
        parsed.datagrams += self._tunnelled(parsed)
        rtp = [looks_like_rtp(datagrams) for datagrams in parsed.datagrams]
        for i, mask in enumerate(rtp):
            parsed.datagrams[i], rtp[i] = self.coalesced.split(parsed.datagrams[i], mask)
        # Signalling first: streams that it announces need no probation.
        messages: list[_Message] = []
        for datagrams, mask in zip(parsed.datagrams, rtp, strict=True):
            if not mask.all():
                messages += self._messages(datagrams, np.flatnonzero(~mask))
        for segment in parsed.segments:
            self.tls.feed(segment)
            messages += self.tcp.feed(segment)
        opened = self._due_opened(int(frames.time_ns[-1]))
        messages += opened
        if len(parsed.datagrams) > 1 or parsed.segments or opened:
            # An INVITE in fragments comes before its answer, though it was put together after it.
            messages.sort(key=lambda message: message[0])
        if parsed.bad:
            self.bad.update(parsed.bad)
        if parsed.tunnels:
            tally(self.tunnels, parsed.tunnels)
        self.last_frame_ns = int(frames.time_ns[-1])
        if abs(self.last_frame_ns - int(frames.time_ns[0])) > NONSENSE_NS:
            self.last_frame_ns = int(np.median(frames.time_ns))
        divided_ns, turns = int(frames.time_ns[0]), 0
        for message in messages:
            time_ns = message[0]
            if divided_ns + _QUIET_NS < time_ns <= self.last_frame_ns and self._may_reuse(message[4]):
                # What was over before this message is over before the media that it announces.
                self._feed_rtp(parsed, rtp, time_ns)
                self.advance(time_ns)
                divided_ns = time_ns
            elif turns < _MAX_TURNS and self._may_turn(message[4]):
                # What came before a new description is as the description before it says.
                turns += 1
                self._feed_rtp(parsed, rtp, time_ns)
            self._feed_sip(*message)
        self._feed_rtp(parsed, rtp)
        self.reports.flush()
        self.advance(self.last_frame_ns)

    def advance(self, now_ns: int) -> None:
        """Let time pass: hand out finished calls, drop what nobody claims, flush what has gathered."""
        if now_ns < self.now_ns - _SET_BACK_NS:
            # The clock was set back: waiting until it has caught up would leave calls open for as long.
            self.now_ns = self._next_tick_ns = self._next_flush_ns = now_ns
        self.now_ns = max(self.now_ns, now_ns)
        if self.now_ns < self._next_tick_ns:
            return
        self._next_tick_ns = self.now_ns + _TICK_NS
        self.streams.promote_expected()
        self._introduce()
        for call in self.calls.advance(self.now_ns):
            self._hand_out(call)
        for stream in self.calls.unclaimed_expired(self.now_ns):
            self._drop(stream)
        for silent in self.streams.overdue(self.now_ns):
            self._end(silent)
            self.calls.stream_ended(silent)
        for left in self.reports.left(self.now_ns, _QUIET_NS):
            self._end(left)
            self.calls.stream_ended(left)
        for ended in self.calls.streams_of_ended_calls():
            own = self._by_id.get(ended.id)
            if own is not None and own.alive and self.now_ns - own.last_ns > _QUIET_NS:
                self._end(own)
        if self.settings.durable and self.now_ns >= self._next_flush_ns:
            self._next_flush_ns = self.now_ns + _FLUSH_NS
            began = time.monotonic()
            self.streams.flush_old()
            self.settings.observe_flush(time.monotonic() - began)

    def close(self, *, interrupted: bool = False) -> None:
        """End of the capture: everything still open is handed out.

        ``interrupted``: the wire goes on without us, so calls in progress are recorded only in part.
        """
        self._interrupted = interrupted
        for message in (*self.tcp.flush(), *self._due_opened(None)):
            self._feed_sip(*message)
        self.streams.promote_expected()
        self._introduce()
        for stream in list(self.streams):
            self._end(stream)
        for call in self.calls.close(self.now_ns):
            self._hand_out(call)
        left: list[StreamLike] = [*self._by_id.values(), *self._recovered.values()]
        for like in left:
            self._drop(like)

    def note_loss(self, from_ns: int, to_ns: int) -> None:
        """Frames were lost between two times: calls answered then were recorded in part."""
        self._losses.append((from_ns, to_ns))

    def replay(self, arrival: Arrival) -> None:
        """Take one SIP message that an earlier process kept: calls it had answered were missed in part."""
        self._resumed[arrival.message.call_id] = arrival.time_ns
        self._take_sip(arrival)

    def expect_opened(self, messages: list[TimedMessage]) -> None:
        """Take messages of TLS connections, each to be fed when its time comes."""
        self._opened.extend(messages)

    def take_opened(self, messages: list[TimedMessage]) -> None:
        """Take messages of TLS connections that were opened a little after they came."""
        for message in messages:
            self.tls.opened(message[1], message[2])
            self._feed_sip(*message)

    def _due_opened(self, until_ns: int | None) -> list[TimedMessage]:
        due = []
        while self._opened and (until_ns is None or self._opened[0][0] <= until_ns):
            due.append(self._opened.popleft())
            self.tls.opened(due[-1][1], due[-1][2])
        return due

    def _take_sip(self, arrival: Arrival) -> None:
        if self._arrived is not None:
            self._arrived(arrival)
        self.calls.feed(arrival)
        self._heed()

    def recover(self, stream: RecoveredStream) -> None:
        """Bring back a stream of an earlier process whose media is in the spool."""
        self._recovered[stream.id] = stream
        self.calls.stream_started(stream)

    @property
    def unclaimed(self) -> list[dict[str, Any]]:
        """Stream objects of the streams that no call claimed and that are over."""
        return self._unclaimed

    def _lose(self, stream: Stream, error: OSError) -> None:
        if not self.settings.durable:
            raise error
        self.counters["spool-errors"] += 1
        self._lossy.add(stream.id)

    def _end(self, stream: Stream) -> None:
        """A stream is over; what is left of it stays in memory until its call is written, or goes to disk."""
        if stream.alive:
            if not self.settings.durable:
                self._spool.finish(stream.id)
            tail = self.streams.end(stream)
            if self.calls.may_be_relayed(stream):
                tail = tail or end_of(stream.ending, stream.ssrc, self.calls.keys_of(stream))
                self.calls.stream_heard(stream, known_by(tail, self._spool.said(stream.id)))

    def _may_reuse(self, raw: bytes) -> bool:
        """Tell whether a message may announce media where that of a call just ended was (C10).

        A block of a quiet wire spans minutes. Were it fed whole, a stream would run on from one call into
        the next that has its addresses and SSRC.
        """
        return self.calls.any_ended and raw.startswith((b"INVITE ", b"SIP/2.0 200 "))

    def _may_turn(self, raw: bytes) -> bool:
        """Tell whether a message may protect media that was plain, or the reverse."""
        if b"m=audio" not in raw:
            return False
        self._srtp_seen = self._srtp_seen or b"SAVP" in raw or b"a=crypto" in raw
        return self._srtp_seen

    def _feed_rtp(self, parsed: Parsed, rtp: list[NDArray[np.bool_]], before_ns: int | None = None) -> None:
        """Feed the media marked in ``rtp``: all that is left, or what is older and then unmark it."""
        for datagrams, mask in zip(parsed.datagrams, rtp, strict=True):
            if before_ns is not None:
                part = mask & (datagrams.time_ns < before_ns)
                mask &= ~part
                self.streams.feed(datagrams, np.flatnonzero(part))
            else:
                self.streams.feed(datagrams, None if mask.all() else np.flatnonzero(mask))
        if self.streams.started:
            self._introduce()

    def _messages(self, datagrams: Datagrams, other: NDArray[np.int64]) -> list[_Message]:
        """Return what may be SIP among the datagrams that are not RTP, and count RTCP."""
        rtcp = np.flatnonzero(looks_like_rtcp(datagrams))
        self.counters["rtcp"] += len(rtcp)
        self.reports.feed(datagrams, rtcp)
        return [
            (int(datagrams.time_ns[i]), *datagrams.endpoints(i), "udp", message)
            for i in may_be_sip(datagrams, other).tolist()
            for message in messages_in(datagrams.payload(i))
        ]

    def _tunnelled(self, parsed: Parsed) -> list[Datagrams]:
        """Look at what else goes over media ports (C12); return the media in TURN channels."""
        inside = [self.media_ports.observe(datagrams) for datagrams in parsed.datagrams]
        return [found for found in inside if found is not None]

    def _introduce(self) -> None:
        """Tell the calls of streams that are new."""
        for stream in self.streams.started:
            self._by_id[stream.id] = stream
            self.calls.stream_started(stream)
        self.streams.started.clear()
        self._heed()

    def _heed(self) -> None:
        """Do with streams what their descriptions ask for by now: keep them whole, or take them for sound."""
        for like, mode in self.calls.guards.changed():
            stream = self._by_id.get(like.id)
            if stream is not None:
                self.streams.guard(stream, mode)

    def _join_fragments(self, parsed: Parsed) -> None:
        for fragment in parsed.fragments:
            payload = self.fragments.feed(fragment)
            if payload is not None:
                # What it adds to the list of fragments was in a tunnel: the loop comes to it.
                self._parser.reassembled(parsed, fragment, payload)

    def feed_apart(self, time_ns: int, src: Endpoint, dst: Endpoint, transport_name: str, raw: bytes) -> None:
        """Take one message or media packet that did not come in a frame."""
        datagram = synthetic(src, dst, raw, time_ns)
        if transport_name == "udp" and looks_like_rtp(datagram).all():
            self.streams.feed(datagram, None)
            self._introduce()
        else:
            self._feed_sip(time_ns, src, dst, transport_name, raw)

    def _feed_sip(self, time_ns: int, src: Endpoint, dst: Endpoint, transport_name: str, raw: bytes) -> None:
        if raw.startswith(HEP):
            feed_hep_of_wire(self, raw, time_ns)
            return
        message = parse_message(raw)
        if isinstance(message, str):
            self.counters["not-sip"] += 1
            return
        arrival = Arrival(time_ns, src, dst, transport_name, message, raw)
        self._take_sip(arrival)

    # Calls that are over.

    def _hand_out(self, call: Call) -> None:
        streams, media = [], []
        heard: list[tuple[Stream | RecoveredStream, Heard | None]] = []
        loss = joined_midway(call) or (self._interrupted and call.ended_by == "capture-end")
        if call.answered_ns is not None:
            answered_ns, ended_ns = call.answered_ns, call.ended_ns
            loss = loss or any(start <= ended_ns and answered_ns <= end for start, end in self._losses)
        resumed_ns = self._resumed.pop(call.call_id, None)
        if resumed_ns is not None and call.answered_ns is not None:
            loss = loss or call.answered_ns <= resumed_ns
        for claimed in call.streams:
            taken = self._take(claimed.stream)
            if taken is None:
                continue
            stream, file, memory = taken
            figures = stream.figures
            measures = stream.measures
            said = self.reports.forget(stream)
            heard.append((stream, said))
            loss = loss or measures is None or missed_audibly(measures, said) or stream.id in self._lossy
            self._lossy.discard(stream.id)
            exchange = self.media_ports.key_exchange(stream.src, stream.dst)
            media.append(media_of(stream, file, memory, claimed, exchange))
            streams.append(
                stream_object(
                    src=stream.src,
                    dst=stream.dst,
                    ssrc=stream.ssrc,
                    first_ns=stream.first_ns,
                    payload_types=stream.payload_types,
                    figures=figures,
                    formats=claimed.formats,
                    measures=measures,
                    heard=said,
                    srtp=claimed.encrypted or exchange is not None,
                    by=claimed.by,
                    tunnel=stream.tunnel,
                )
            )
        for number, ssrc in continued(heard).items():
            streams[number]["continues"] = f"{ssrc:#010x}"
        others = [self._set_aside(claimed) for claimed in call.other_streams]
        excluded = self.settings.excluded(call)
        root = self.settings.root
        job = Job(
            target=root / self.settings.target(call),
            streams=media,
            starts_ns=call.answered_ns,
            ends_ns=call.ended_ns,
            durable=self.settings.durable,
            write=excluded is None,
            digits=self.settings.digits,
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
        self._end(stream)
        self.calls.stream_ended(stream)
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

    def _drop(self, like: StreamLike) -> None:
        taken = self._take(like)
        if taken is None:
            return
        stream, file, memory = taken
        self.counters["unclaimed"] += 1
        described = stream_object(
            src=stream.src,
            dst=stream.dst,
            ssrc=stream.ssrc,
            first_ns=stream.first_ns,
            payload_types=stream.payload_types,
            figures=stream.figures,
            measures=stream.measures,
            heard=self.reports.forget(stream),
            tunnel=stream.tunnel,
        )
        if self.settings.keep_unclaimed:
            root = self.settings.root
            job = Job(
                target=root / self.settings.orphan_target(stream.first_ns, stream.id),
                streams=[media_of(stream, file, memory)],
                starts_ns=None,
                ends_ns=stream.last_ns + _PACKET_NS,
                durable=self.settings.durable,
                digits=self.settings.digits,
            )
            self._finished(Orphan(job, described, root, self._spool))
            return
        if file is not None:
            self._spool.recycle(file)
        if len(self._unclaimed) < MAX_UNCLAIMED_LISTED:
            self._unclaimed.append(described)
