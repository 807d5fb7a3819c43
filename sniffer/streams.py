"""RTP streams, tracked from the first packet, before any SDP says whose they are.

A stream is a 5-tuple and an SSRC (C11). Its packets are looked up, counted, put on its timeline and placed in
its row, all for a whole block at once. What may become a stream waits on probation until a second packet
agrees with the first, so that noise does not open rows; the first packet is kept and placed (C11: no peer's
first 200 ms are lost).

Two kinds of payload: G.711 is one byte a sample and goes to the arena; everything else (telephone events,
comfort noise, other codecs, payload types that no SDP has explained yet) keeps its packets as they are.

Streams that are SRTP by their descriptions keep whole packets, headers and tags included, and so do streams
that no description has explained and that do not look like plain G.711; ciphertext is never taken for sound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.g711 import PCMA, PCMU
from bystander.codecs.packets import PacketRun
from bystander.sniffer.address import Endpoint
from bystander.sniffer.arena import Arena
from bystander.sniffer.clock import WINDOW_NS, Clocks
from bystander.sniffer.datagrams import Datagrams
from bystander.sniffer.flowtable import ABSENT, FlowTable
from bystander.sniffer.keeping import PLAIN, STEP, WHOLE, bytes_held, looks_protected, runs_of
from bystander.sniffer.probation import Probation
from bystander.sniffer.rtp import RtpPackets, read_rtp
from bystander.sniffer.sequence import Sequences, heads_of
from bystander.sniffer.stream import Figures, Measures, Stream, StreamSink
from bystander.sniffer.timing import Timing
from bystander.sniffer.tunnels import tunnel_name

__all__ = ["Figures", "Measures", "Stream", "StreamObserver", "StreamSink", "StreamTable"]

#: More than this in one packet (half a second of G.711) is not telephone audio.
MAX_G711_BYTES: Final = 4000
#: Capture time that is this many windows behind was set back.
_SET_BACK: Final = 60
#: Kept packets are handed on in runs of about this many bytes.
_KEPT_BYTES: Final = 65536
#: Streams heard within this time count as active.
_LATELY_NS: Final = 1_500_000_000
#: A stream that has said nothing for so long gives up its place when places are short.
_SILENT_NS: Final = 2_000_000_000


class StreamObserver(Protocol):
    """Who wants to know of streams as they come, and of the seconds of the capture clock."""

    def opened(self, stream: Stream) -> None:
        """A stream has begun."""

    def second(self, now_ns: int) -> None:
        """All packets from before this time have been counted."""


class StreamTable:
    """All streams of the wire; bounded by ``capacity``, beyond which new ones are counted and not recorded.

    Before that the caller ends those that are ``overdue``.

    ``sink`` takes the media. ``expected(src, dst)`` says that SDP has announced a stream, which then needs
    no probation. ``guard(src, dst)`` says what to do with a stream's packets by its descriptions (PLAIN,
    WHOLE, SEALED of `keeping.py`), None if there are none yet. ``clock_of(stream, pt)`` says in Hz how
    timestamps of a payload type count, where that is audio and known. ``keep_packets`` keeps G.711 packets
    too, beside their audio (for comparisons).
    """

    def __init__(
        self,
        sink: StreamSink,
        *,
        capacity: int = 16384,
        expected: Callable[[Endpoint, Endpoint], bool] | None = None,
        guard: Callable[[Endpoint, Endpoint], int | None] | None = None,
        clock_of: Callable[[Stream, int], int | None] | None = None,
        observer: StreamObserver | None = None,
        keep_packets: bool = False,
        first_id: int = 1,
    ) -> None:
        self._sink = sink
        self._capacity = min(capacity, 65535)
        self._keep = keep_packets
        self._flows = FlowTable(self._capacity)
        self._streams: list[Stream | None] = [None] * self._capacity
        self._free = list(range(self._capacity - 1, -1, -1))
        self._alive: NDArray[np.int64] | None = np.zeros(0, np.int64)
        self._sequences = Sequences(self._capacity)
        self._clocks = Clocks(self._capacity)
        self._timing = Timing(self._capacity, clock_of)
        self._observer = observer
        self._last_pt = np.zeros(self._capacity, np.uint8)
        self._arena = Arena(self._capacity, self._flush_audio)
        self._guard = guard
        self._mode = np.zeros(self._capacity, np.uint8)
        self._diverted = 0
        self._probation = Probation(expected)
        self._window = 0
        self._next_id = first_id
        self.started: list[Stream] = []
        self.counters: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._flows)

    def __iter__(self) -> Iterator[Stream]:
        return iter([stream for stream in self._streams if stream is not None])

    @property
    def next_id(self) -> int:
        """The number of the next stream."""
        return self._next_id

    @property
    def on_probation(self) -> int:
        """Flows that wait for a second packet."""
        return len(self._probation)

    def feed(self, datagrams: Datagrams, which: NDArray[np.int64] | None) -> None:
        """Take the datagrams numbered ``which`` (None: all), which look like RTP.

        New streams are appended to ``started``, which the caller empties.
        """
        if which is None:
            which = np.arange(len(datagrams))
        if not len(which):
            return
        packets, broken = read_rtp(datagrams, which)
        self.counters["rtp-header"] += broken
        numbers = self._flows.find(packets.key)
        strange = numbers == ABSENT
        if strange.any():
            self._admit(datagrams, packets, np.flatnonzero(strange))
            numbers = self._flows.find(packets.key)
            known = numbers != ABSENT
            packets, numbers = packets.take(known), numbers[known]
        if len(packets):
            self._feed(packets, numbers, datagrams)

    def figures(self, number: int) -> Figures:
        """Return what is counted of the stream with this number."""
        sequences = self._sequences
        return Figures(
            packets=int(sequences.received[number]),
            lost=sequences.lost(number),
            duplicates=int(sequences.duplicates[number]),
            reordered=int(sequences.reordered[number]),
            jitter_ms=(self._clocks if self._clocks.started(number) else self._timing).jitter.mean_ms(number),
            last_ns=int(sequences.last_ns[number]),
            epoch_ns=self._clocks.anchor_ns(number) if self._clocks.started(number) else None,
        )

    def measures(self, number: int) -> Measures:
        """Return how the stream with this number came."""
        g711 = self._clocks.started(number)
        timed = self._clocks if g711 else self._timing
        return Measures(
            losses=self._sequences.losses.figures(number),
            delays=timed.delays.figures(number),
            timed=g711 or self._timing.measured(number),
            jitter_most_ms=timed.jitter.most_ms(number),
            late=int(timed.late[number]),
        )

    def missing_up_to(self, stream: Stream, seq: int) -> int | None:
        """Return how many packets up to a sequence number are missing, less the copies, as receivers count.

        None if that is not known.
        """
        missing = self._sequences.missing_up_to(stream.number, seq) if stream.alive else None
        return None if missing is None else missing - int(self._sequences.duplicates[stream.number])

    def last_ns(self, number: int) -> int:
        """Return the capture time of the latest packet of the stream with this number, ns."""
        return int(self._sequences.last_ns[number])

    def end(self, stream: Stream) -> bytes:
        """Hand on the rest of a stream's media, keep its figures, forget it; return its last audio as sent.

        Later packets make a new stream.
        """
        self._arena.flush(stream.number)
        self._flush_kept(stream)
        tail = self._arena.tail(stream.number)
        self._set_mode(stream.number, PLAIN)
        self._sequences.losses.end(stream.number)
        self._timing.forget(stream.number)
        stream.freeze()
        self._flows.remove(stream.key)
        self._streams[stream.number] = None
        self._free.append(stream.number)
        self._alive = None
        return tail

    def guard(self, stream: Stream, mode: int) -> None:
        """Do something else with a stream's packets from now on: descriptions have said what they are."""
        if not stream.alive:
            return
        if mode != PLAIN and self._mode[stream.number] == PLAIN:
            if stream.explained:
                self._arena.flush(stream.number)
            else:
                # It had looked like plain G.711, and was not.
                self.counters["media-disowned"] += stream.packets
                stream.kept.clear()
                self._sink.disown(stream)
            # Should it be plain again, its audio goes on there, with no silence laid over what comes between.
            self._arena.start(stream.number)
        stream.explained = True
        self._set_mode(stream.number, mode)

    def overdue(self, now_ns: int) -> list[Stream]:
        """Return the streams to end for want of room: none, or of a table nearly full those that are silent.

        A stream that was only paused goes on as a new one; a flood of SSRCs refuses nobody a place.
        """
        if len(self._free) > self._capacity // 8:
            return []
        silent_ns = now_ns - _SILENT_NS
        return [stream for stream in self if stream.last_ns < silent_ns]

    def flush_old(self) -> None:
        """Hand on what has been gathering for some seconds, so that little is lost if the process dies."""
        self._arena.flush_old(self._all())
        for stream in self:
            self._flush_kept(stream)

    def promote_expected(self) -> None:
        """Make streams of single packets on probation that SDP has announced by now."""
        for src, dst, waiting in self._probation.take_expected():
            for datagram in waiting:
                self._feed_waiting(datagram, src, dst)

    def _admit(self, datagrams: Datagrams, packets: RtpPackets, strange: NDArray[np.int64]) -> None:
        """Decide which unknown flows become streams, and start those."""
        for first, earlier in self._probation.judge(datagrams, packets, strange):
            which = int(packets.which[first])
            src, dst = datagrams.endpoints(which)
            for datagram in earlier:
                self._feed_waiting(datagram, src, dst)
            if not earlier:
                self._open(src, dst, int(datagrams.rows["ssrc"][which]), packets, first, datagrams.way(which))
        self.counters["probation-overflow"] = self._probation.overflow

    def _feed_waiting(self, datagram: Datagrams, src: Endpoint, dst: Endpoint) -> None:
        """Feed a packet that waited on probation; the first of a stream starts it."""
        packets, _ = read_rtp(datagram, np.zeros(1, np.int64))
        known = int(packets.key[0]) in self._flows
        ssrc, way = int(datagram.rows["ssrc"][0]), datagram.way(0)
        if known or self._open(src, dst, ssrc, packets, 0, way):
            self._feed(packets, self._flows.find(packets.key), datagram)

    def _open(
        self, src: Endpoint, dst: Endpoint, ssrc: int, packets: RtpPackets, first: int, way: int
    ) -> bool:
        if not self._free:
            self.counters["streams-refused"] += 1
            return False
        number = self._free.pop()
        time_ns = int(packets.time_ns[first])
        key = int(packets.key[first])
        stream = Stream(self, number, self._next_id, key, src, dst, ssrc, time_ns, tunnel_name(way))
        stream.payload_types.append(int(packets.pt[first]))
        if self._guard is not None:
            mode = self._guard(src, dst)
            stream.explained = mode is not None
            if mode is None and looks_protected(int(packets.pt[first]), int(packets.size[first])):
                mode = WHOLE
            self._set_mode(number, mode or PLAIN)
        self._next_id += 1
        self._streams[number] = stream
        self._alive = None
        self._flows.add(key, number)
        self._sequences.start(number, int(packets.seq[first]), time_ns)
        self._clocks.start(number)
        self._timing.start(number)
        self._arena.start(number)
        self._last_pt[number] = packets.pt[first]
        self.started.append(stream)
        if self._observer is not None:
            self._observer.opened(stream)
        return True

    def _set_mode(self, number: int, mode: int) -> None:
        self._diverted += (mode != PLAIN) - int(self._mode[number] != PLAIN)
        self._mode[number] = mode

    def _all(self) -> NDArray[np.int64]:
        if self._alive is None:
            self._alive = np.array([s.number for s in self._streams if s is not None], np.int64)
        return self._alive

    def _feed(self, packets: RtpPackets, numbers: NDArray[np.int32], datagrams: Datagrams) -> None:
        """Feed packets of known streams, cut at the ends of the clock's windows."""
        window = packets.time_ns // WINDOW_NS
        first, last = int(window[0]), int(window[-1])
        if first == last and (len(window) < 3 or bool((window == first).all())):
            self._enter(first)
            self._feed_window(packets, numbers, datagrams)
            return
        cuts = [*heads_of(window).tolist(), len(window)]
        for start, stop in pairwise(cuts):
            self._enter(int(window[start]))
            part = slice(start, stop)
            self._feed_window(packets.take(part), numbers[part], datagrams)

    def _enter(self, window: int) -> None:
        # A packet from before the window is out of order, unless the clock itself was set back.
        if window > self._window or window < self._window - _SET_BACK:
            before, self._window = self._window, window
            alive = self._all()
            self._clocks.end_window(alive, before)
            self._timing.end_window(alive, before)
            now_ns = window * WINDOW_NS
            heard = int(np.count_nonzero(self._sequences.last_ns[alive] > now_ns - _LATELY_NS))
            self._sequences.losses.settle(now_ns, heard)
            if self._observer is not None:
                self._observer.second(now_ns)

    def _feed_window(self, packets: RtpPackets, numbers: NDArray[np.int32], datagrams: Datagrams) -> None:
        # A stable sort of 16-bit numbers is a radix sort: streams come together, arrival order stays.
        order = np.argsort(numbers.astype(np.uint16), kind="stable")
        packets = packets.take(order)
        stream = numbers[order].astype(np.int64)
        heads = heads_of(stream)
        extended, duplicate = self._sequences.feed(stream, heads, packets.seq, packets.time_ns, packets.ts)
        if duplicate is not None:
            keep = np.flatnonzero(~duplicate)
            packets, stream, extended = packets.take(keep), stream[keep], extended[keep]
            heads = heads_of(stream)
            if not len(stream):
                return
        self._note_payload_types(stream, heads, packets.pt)
        if self._diverted:
            mode = self._mode[stream]
            aside = np.flatnonzero(mode)
            if len(aside):
                self._set_aside(packets.take(aside), stream[aside], extended[aside], mode[aside], datagrams)
                rest = np.flatnonzero(mode == PLAIN)
                if not len(rest):
                    return
                packets, stream, extended = packets.take(rest), stream[rest], extended[rest]
                heads = heads_of(stream)
        plain = (packets.pt == PCMA) | (packets.pt == PCMU)
        sound = plain & (packets.size <= MAX_G711_BYTES) & (packets.size > 0)
        if not sound.all():
            self.counters["g711-oversized"] += int(np.count_nonzero(plain & (packets.size > MAX_G711_BYTES)))
            other = np.flatnonzero(~plain)
            self._measure(packets.take(other), stream[other])
            self._keep_packets(packets.take(other), stream[other], extended[other])
            at = np.flatnonzero(sound)
            if self._keep:
                self._keep_packets(packets.take(plain), stream[plain], extended[plain])
            if not len(at):
                return
            packets, stream, extended = packets.take(at), stream[at], extended[at]
            heads = heads_of(stream)
        elif self._keep:
            self._keep_packets(packets, stream, extended)
        position = self._clocks.place(stream, heads, extended, packets.ts, packets.time_ns, packets.size)
        self._arena.place(packets.data, stream, heads, packets.pt, position, packets.offset, packets.size)

    def _note_payload_types(
        self, stream: NDArray[np.int64], heads: NDArray[np.int64], pt: NDArray[np.uint8]
    ) -> None:
        """Remember the payload types of each stream, in order of appearance."""
        before = np.empty_like(pt)
        before[1:] = pt[:-1]
        before[heads] = self._last_pt[stream[heads]]
        changed = np.flatnonzero(before != pt)
        for number, kind in set(zip(stream[changed].tolist(), pt[changed].tolist(), strict=True)):
            owner = self._streams[number]
            if owner is not None and kind not in owner.payload_types:
                owner.payload_types.append(kind)
        tails = np.append(heads[1:], len(pt)) - 1
        self._last_pt[stream[tails]] = pt[tails]

    def _set_aside(
        self,
        packets: RtpPackets,
        stream: NDArray[np.int64],
        extended: NDArray[np.int64],
        mode: NDArray[np.uint8],
        datagrams: Datagrams,
    ) -> None:
        """Keep whole, or only count, the packets of streams that are or may be protected."""
        g711 = np.flatnonzero((packets.pt == PCMA) | (packets.pt == PCMU))
        if len(g711):
            # Timed like any other, for the jitter; a tag is shorter than the step of payloads' lengths.
            timed, who = packets.take(g711), stream[g711]
            size = np.maximum(timed.size // STEP, 1) * STEP
            self._clocks.place(who, heads_of(who), extended[g711], timed.ts, timed.time_ns, size)
        if len(g711) < len(packets):
            other = np.flatnonzero((packets.pt != PCMA) & (packets.pt != PCMU))
            self._measure(packets.take(other), stream[other])
        at = np.flatnonzero(mode == WHOLE)
        whole = packets.take(at)
        offset, size = datagrams.offset[whole.which], datagrams.size[whole.which]
        for number, run in runs_of(whole, stream[at], extended[at], offset, size):
            owner = self._streams[number]
            if owner is not None:
                owner.whole.append(run)
                if bytes_held(owner.whole) > _KEPT_BYTES:
                    self._flush_kept(owner)

    def _measure(self, packets: RtpPackets, stream: NDArray[np.int64]) -> None:
        """Measure how packets that are not G.711 came."""
        for number in np.unique(stream[~self._timing.known(stream)]).tolist():
            owner = self._streams[number]
            if owner is not None:
                self._timing.wait_for_clock(owner)
        self._timing.feed(stream, packets.pt, packets.ts, packets.time_ns)

    def _keep_packets(
        self, packets: RtpPackets, stream: NDArray[np.int64], extended: NDArray[np.int64]
    ) -> None:
        """Keep packets as they are: one run per stream and block."""
        for number, run in runs_of(packets, stream, extended, packets.offset, packets.size):
            owner = self._streams[number]
            if owner is not None:
                owner.kept.append(run)
                if bytes_held(owner.kept) > _KEPT_BYTES:
                    self._flush_kept(owner)

    def _flush_kept(self, stream: Stream) -> None:
        if stream.kept:
            self._sink.packets(stream, PacketRun.join(stream.kept))
            stream.kept.clear()
        if stream.whole:
            run = PacketRun.join(stream.whole)
            stream.whole.clear()
            stream.note_whole(run)
            self._sink.whole(stream, run)

    def _flush_audio(self, number: int, position: int, law: int, samples: NDArray[np.uint8]) -> None:
        stream = self._streams[number]
        if stream is not None:
            self._sink.audio(stream, position, law, samples)
