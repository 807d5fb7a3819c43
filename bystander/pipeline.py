"""Joins the rooms: frames in, finished calls out. Between them arrays and events; no sockets, no tasks.

One pipeline serves a capture file and a live mirror alike. Its clock is the capture clock: time passes when
frames say so, or when :meth:`Pipeline.advance` is told so on a quiet wire. What it is made of: `intake.py`
brings frames to messages and media, `tospool.py` takes the media of streams, `handout.py` lets go of calls
that are over.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from bystander.finished import Finished
from bystander.handout import HandOut
from bystander.hepinput import feed_hep_of_wire
from bystander.intake import Intake, Taken
from bystander.pipelinesettings import PipelineSettings
from bystander.sniffer.address import Endpoint
from bystander.sniffer.calls import CallTable
from bystander.sniffer.datagrams import synthetic
from bystander.sniffer.frames import NONSENSE_NS, Frames, mended
from bystander.sniffer.hep import MAGIC as HEP
from bystander.sniffer.recovered import RecoveredStream
from bystander.sniffer.reports import Reports
from bystander.sniffer.rtp import looks_like_rtp
from bystander.sniffer.sip import Arrival, parse_message
from bystander.sniffer.srtcp import SrtcpOpener
from bystander.sniffer.streams import StreamTable
from bystander.sniffer.takeover import audio_endpoints
from bystander.sniffer.tcp import TimedMessage
from bystander.storage.spool import Spool
from bystander.tospool import ToSpool

__all__ = ["Pipeline", "PipelineSettings"]

_TICK_NS = 250_000_000
_FLUSH_NS = 1_000_000_000
#: Descriptions in one block that its media is divided at where some of it is SRTP.
_MAX_TURNS = 64
#: Frames of several sources are out of order by less than this; beyond, somebody set the clock.
_SET_BACK_NS = 60_000_000_000
#: A stream of an ended call is over when it has been quiet for this long: its address may be another's next.
_QUIET_NS = 300_000_000


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
        self._arrived = arrived
        self.counters: Counter[str] = Counter()
        self.reports = Reports()
        self._intake = Intake(settings, self.reports, self.counters)
        # What was skipped and seen on the way in, where the metrics and the doctor look for it.
        self.fragments, self.coalesced = self._intake.fragments, self._intake.coalesced
        self.tcp, self.tls = self._intake.tcp, self._intake.tls
        self.media_ports = self._intake.media_ports
        self.bad, self.tunnels = self._intake.bad, self._intake.tunnels
        self.calls = CallTable(settings.calls)
        self._sink = ToSpool(spool, self.counters, self.calls.owner_began_ns, durable=settings.durable)
        self.streams = StreamTable(
            self._sink,
            capacity=settings.max_streams,
            expected=self.calls.expects,
            guard=self.calls.guards.mode,
            clock_of=self.calls.clock_of,
            observer=self.reports,
            first_id=first_stream_id,
        )
        self.reports.table = self.streams
        self.reports.srtcp = SrtcpOpener(self.calls.keys_of)
        self._out = HandOut(
            settings,
            spool,
            finished,
            self.calls,
            self.streams,
            self.reports,
            self.media_ports,
            self.counters,
            self._sink.lossy,
        )
        self.now_ns = self.last_frame_ns = 0
        self._next_tick_ns = self._next_flush_ns = 0
        self._srtp_seen = False

    @property
    def short_since_ns(self) -> int | None:
        """Since when there is room only for calls in progress then (C19); None: there is room."""
        return self._sink.short_since_ns

    @short_since_ns.setter
    def short_since_ns(self, since_ns: int | None) -> None:
        self._sink.short_since_ns = since_ns

    @property
    def unclaimed(self) -> list[dict[str, Any]]:
        """Stream objects of the streams that no call claimed and that are over."""
        return self._out.unclaimed

    # The way of the data.

    def feed(self, frames: Frames) -> None:
        """Take one block of frames."""
        if not len(frames):
            return
        self.counters["frames"] += len(frames)
        self.counters["bytes"] += int(frames.length.sum())
        frames.time_ns = mended(frames.time_ns)
        taken = self._intake.take(frames)
        self.last_frame_ns = int(frames.time_ns[-1])
        if abs(self.last_frame_ns - int(frames.time_ns[0])) > NONSENSE_NS:
            self.last_frame_ns = int(np.median(frames.time_ns))
        # Signalling first: streams that it announces need no probation.
        divided_ns, turns = int(frames.time_ns[0]), 0
        for message in taken.messages:
            time_ns = message[0]
            if divided_ns + _QUIET_NS < time_ns <= self.last_frame_ns and self._may_reuse(message[4]):
                # What was over before this message is over before the media that it announces.
                self._feed_rtp(taken, time_ns)
                self.advance(time_ns)
                divided_ns = time_ns
            elif turns < _MAX_TURNS and (
                self._may_turn(message[4]) or self._may_take_over(message[4], message[1])
            ):
                # What came before a new description is as the description before it says, and its call's.
                turns += 1
                self._feed_rtp(taken, time_ns)
            self._feed_sip(*message)
        self._feed_rtp(taken)
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
            self._out.call(call)
        for stream in self.calls.unclaimed_expired(self.now_ns):
            self._out.drop(stream)
        for silent in self.streams.overdue(self.now_ns):
            self._out.end(silent)
            self.calls.stream_ended(silent)
        for left in self.reports.left(self.now_ns, _QUIET_NS):
            self._out.end(left)
            self.calls.stream_ended(left)
        for ended in self.calls.streams_of_ended_calls():
            own = self._out.own(ended.id)
            if own is not None and own.alive and self.now_ns - own.last_ns > _QUIET_NS:
                self._out.end(own)
        if self.settings.durable and self.now_ns >= self._next_flush_ns:
            self._next_flush_ns = self.now_ns + _FLUSH_NS
            began = time.monotonic()
            self.streams.flush_old()
            self.settings.observe_flush(time.monotonic() - began)

    def close(self, *, interrupted: bool = False) -> None:
        """End of the capture: everything still open is handed out.

        ``interrupted``: the wire goes on without us, so calls in progress are recorded only in part.
        """
        self._out.interrupted = interrupted
        for message in self._intake.flush():
            self._feed_sip(*message)
        self.streams.promote_expected()
        self._introduce()
        for stream in list(self.streams):
            self._out.end(stream)
        for call in self.calls.close(self.now_ns):
            self._out.call(call)
        for like in self._out.left:
            self._out.drop(like)

    def note_loss(self, from_ns: int, to_ns: int) -> None:
        """Frames were lost between two times: calls answered then were recorded in part."""
        self._out.note_loss(from_ns, to_ns)

    def replay(self, arrival: Arrival) -> None:
        """Take one SIP message that an earlier process logged: calls it had answered were missed in part."""
        self._out.resumed[arrival.message.call_id] = arrival.time_ns
        self._attend(arrival)

    def expect_opened(self, messages: list[TimedMessage]) -> None:
        """Take messages of TLS connections, each to be fed when its time comes."""
        self._intake.expect_opened(messages)

    def take_opened(self, messages: list[TimedMessage]) -> None:
        """Take messages of TLS connections that were opened a little after they came."""
        for time_ns, src, dst, transport_name, raw in messages:
            self._feed_sip(time_ns, *self.tls.opened(src, dst), transport_name, raw)

    def feed_apart(self, time_ns: int, src: Endpoint, dst: Endpoint, transport_name: str, raw: bytes) -> None:
        """Take one message or media packet that did not come in a frame."""
        datagram = synthetic(src, dst, raw, time_ns)
        if transport_name == "udp" and looks_like_rtp(datagram).all():
            self.streams.feed(datagram, None)
            self._introduce()
        else:
            self._feed_sip(time_ns, src, dst, transport_name, raw)

    def recover(self, stream: RecoveredStream) -> None:
        """Bring back a stream of an earlier process whose media is in the spool."""
        self._out.recover(stream)
        self.calls.stream_started(stream)

    def _may_reuse(self, raw: bytes) -> bool:
        """Tell whether a message may announce media where that of a call just ended was (C10).

        A block of a quiet wire spans minutes. Were it fed whole, a stream would run on from one call into
        the next that has its addresses and SSRC.
        """
        return self.calls.any_ended and raw.startswith((b"INVITE ", b"SIP/2.0 200 "))

    def _may_take_over(self, raw: bytes, src: Endpoint) -> bool:
        """Tell whether a message may claim a stream of a call that is over."""
        return self.calls.any_ended and any(map(self.calls.ended_at, audio_endpoints(raw, src[0])))

    def _may_turn(self, raw: bytes) -> bool:
        """Tell whether a message may protect media that was plain, or the reverse."""
        if b"m=audio" not in raw:
            return False
        self._srtp_seen = self._srtp_seen or b"SAVP" in raw or b"a=crypto" in raw
        return self._srtp_seen

    def _feed_rtp(self, taken: Taken, before_ns: int | None = None) -> None:
        """Feed the media of a block: all that is left, or what is older and then unmark it."""
        for datagrams, mask in taken.media:
            if before_ns is not None:
                part = mask & (datagrams.time_ns < before_ns)
                mask &= ~part
                self.streams.feed(datagrams, np.flatnonzero(part))
            else:
                self.streams.feed(datagrams, None if mask.all() else np.flatnonzero(mask))
        if self.streams.started:
            self._introduce()

    def _introduce(self) -> None:
        """Tell the calls of streams that are new."""
        for stream in self.streams.started:
            self._out.introduce(stream)
            self.calls.stream_started(stream)
        self.streams.started.clear()
        self._heed()

    def _heed(self) -> None:
        """Do with streams what descriptions ask for by now: end, keep whole, take for sound."""
        for ended in self.calls.streams_taken_over():
            own = self._out.own(ended.id)
            if own is not None:
                self._out.end(own)
        for like, mode in self.calls.guards.changed():
            stream = self._out.own(like.id)
            if stream is not None:
                self.streams.guard(stream, mode)

    def _feed_sip(self, time_ns: int, src: Endpoint, dst: Endpoint, transport_name: str, raw: bytes) -> None:
        if raw.startswith(HEP):
            feed_hep_of_wire(self, raw, time_ns)
            return
        message = parse_message(raw)
        if isinstance(message, str):
            self.counters["not-sip"] += 1
            return
        self._take_sip(Arrival(time_ns, src, dst, transport_name, message, raw))
        message.forget()

    def _take_sip(self, arrival: Arrival) -> None:
        if self._arrived is not None:
            self._arrived(arrival)
        self._attend(arrival)

    def _attend(self, arrival: Arrival) -> None:
        self.calls.feed(arrival)
        self._heed()
