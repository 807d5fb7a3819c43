"""From frames to messages and media: what lies between a block of frames and calls and streams."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bystander.pipelinesettings import PipelineSettings
from bystander.sniffer.coalesced import Splitter, messages_in
from bystander.sniffer.datagrams import Datagrams, Parsed
from bystander.sniffer.fragments import Reassembler
from bystander.sniffer.frames import Frames
from bystander.sniffer.mediaports import MediaPorts
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.reports import Reports
from bystander.sniffer.rtp import looks_like_rtcp, looks_like_rtp
from bystander.sniffer.signalling import may_be_sip
from bystander.sniffer.tcp import SipOverTcp, TimedMessage
from bystander.sniffer.tls import TlsConnections
from bystander.sniffer.tunnels import tally

_Mask: TypeAlias = NDArray[np.bool_]


@dataclass(slots=True)
class Taken:
    """What a block of frames held.

    ``messages`` may be SIP, in order of time. ``media`` are datagrams, each with a mask of those that look
    like RTP and were not fed yet.
    """

    messages: list[TimedMessage]
    media: list[tuple[Datagrams, _Mask]]


class Intake:
    """Frames in, messages and media out; RTCP goes to ``reports`` on the way.

    ``bad`` counts what was skipped by reason, ``tunnels`` frames inside tunnels by the way to them.
    """

    def __init__(self, settings: PipelineSettings, reports: Reports, counters: Counter[str]) -> None:
        self._parser = FrameParser(settings.separate, settings.vlan_groups)
        self._parser.tcp.ports = (5060, *settings.tls_ports)
        self._reports = reports
        self._counters = counters
        self.fragments = Reassembler()
        self.coalesced = Splitter()
        self.tcp = SipOverTcp(on_connection=self._parser.watch_tcp)
        self.tls = TlsConnections(settings.tls_ports, take=settings.tls_take)
        self.media_ports = MediaPorts()
        #: Messages of TLS connections that were opened beforehand, in order of time.
        self._opened: deque[TimedMessage] = deque()
        self.bad: Counter[str] = Counter()
        self.tunnels: Counter[int] = Counter()

    def take(self, frames: Frames) -> Taken:
        """Take one block of frames, at least one."""
        parsed = self._parser.parse(frames)
        if parsed.fragments:
            self._join_fragments(parsed)
        parsed.datagrams += self._tunnelled(parsed)
        media = [self.coalesced.split(d, looks_like_rtp(d)) for d in parsed.datagrams]
        messages: list[TimedMessage] = []
        for datagrams, mask in media:
            if not mask.all():
                messages += self._messages(datagrams, np.flatnonzero(~mask))
        for segment in parsed.segments:
            self.tls.feed(segment)
            messages += self.tcp.feed(segment)
        opened = self._due_opened(int(frames.time_ns[-1]))
        messages += opened
        if len(media) > 1 or parsed.segments or opened:
            # An INVITE in fragments comes before its answer, though it was put together after it.
            messages.sort(key=lambda message: message[0])
        if parsed.bad:
            self.bad.update(parsed.bad)
        if parsed.tunnels:
            tally(self.tunnels, parsed.tunnels)
        return Taken(messages, media)

    def flush(self) -> list[TimedMessage]:
        """Give up waiting for anything (end of the capture); return the messages left."""
        return [*self.tcp.flush(), *self._due_opened(None)]

    def expect_opened(self, messages: list[TimedMessage]) -> None:
        """Take messages of TLS connections, each to be fed when its time comes."""
        self._opened.extend(messages)

    def _due_opened(self, until_ns: int | None) -> list[TimedMessage]:
        due = []
        while self._opened and (until_ns is None or self._opened[0][0] <= until_ns):
            time_ns, src, dst, transport_name, raw = self._opened.popleft()
            due.append((time_ns, *self.tls.opened(src, dst), transport_name, raw))
        return due

    def _messages(self, datagrams: Datagrams, other: NDArray[np.int64]) -> list[TimedMessage]:
        """Return what may be SIP among the datagrams that are not RTP, and count RTCP."""
        rtcp = np.flatnonzero(looks_like_rtcp(datagrams))
        self._counters["rtcp"] += len(rtcp)
        self._reports.feed(datagrams, rtcp)
        return [
            (int(datagrams.time_ns[i]), *datagrams.endpoints(i), "udp", message)
            for i in may_be_sip(datagrams, other).tolist()
            for message in messages_in(datagrams.payload(i))
        ]

    def _tunnelled(self, parsed: Parsed) -> list[Datagrams]:
        """Look at what else goes over media ports (C12); return the media in TURN channels."""
        inside = [self.media_ports.observe(datagrams) for datagrams in parsed.datagrams]
        return [found for found in inside if found is not None]

    def _join_fragments(self, parsed: Parsed) -> None:
        for fragment in parsed.fragments:
            payload = self.fragments.feed(fragment)
            if payload is not None:
                # What it adds to the list of fragments was in a tunnel: the loop comes to it.
                self._parser.reassembled(parsed, fragment, payload)
