"""What RTCP says of the streams on the wire: their senders of themselves, their receivers of them.

A report is matched with a stream by hosts and SSRC: what comes from where the stream comes from speaks of it
as its sender, what comes from where it goes to as its receiver; ports decide where that leaves a choice
(C11). What is of no stream is not even read: the packets are chosen by array, by the SSRCs they begin with.

Reports are worked off second by second, when the packets before them have been counted, so that what the
receiver misses can be compared with what is missing here: packets that the receiver has, and the capture has
not, were lost by the capture (C23).
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.address import Endpoint
from bystander.sniffer.claims import StreamLike
from bystander.sniffer.datagrams import Datagrams, pick
from bystander.sniffer.rtcp import RR, Compound, ReportBlock, SenderReport, VoipMetrics, parse_rtcp
from bystander.sniffer.senderclock import Report, SenderReports
from bystander.sniffer.srtcp import SrtcpOpener
from bystander.sniffer.streams import Stream, StreamTable

#: Reports read in one block, and streams of one SSRC between two hosts that are looked at.
_MOST_WAITING: Final = 4096
_MOST_ALIKE: Final = 16
#: No telephone's RTCP is bigger.
_BIGGEST: Final = 2048
#: Sender reports remembered until a receiver refers to them.
_SENT: Final = 4
#: The same bytes between the same endpoints within this time were mirrored twice; so many are remembered.
_TWICE_NS: Final = 50_000_000
_REMEMBERED: Final = 1024
#: No round trip is longer.
_LONGEST_NS: Final = 10_000_000_000
#: Fewer packets than this, between two reports, were only on their way.
_ON_THEIR_WAY: Final = 3
#: Sender reports further apart than this tell the rates of clocks.
_CLOCKS_NS: Final = 20_000_000_000
_S: Final = 1_000_000_000


@dataclass(slots=True)
class Heard:
    """What RTCP has said of one stream.

    Of the sender: its reports, the first and the last as (capture time ns, NTP time ns, extended RTP
    timestamp), all of them thinned out, its CNAME, and when it said BYE. Of the receiver: its reports, the
    greatest fraction of 256 that it missed, its jitter in RTP units, and its cumulative loss with what was
    missing here, at its first and last report.
    """

    sender_reports: int = 0
    first: tuple[int, int, int] | None = None
    last: tuple[int, int, int] | None = None
    reported: SenderReports = field(default_factory=SenderReports)
    cname: bytes | None = None
    left_ns: int | None = None
    receiver_reports: int = 0
    fraction_most: int = 0
    jitter_sum: int = 0
    jitter_most: int = 0
    lost: int = 0
    begun: tuple[int, int] | None = None
    ended: tuple[int, int] | None = None
    round_trips: int = 0
    round_trip_sum_ns: int = 0
    round_trip_most_ns: int = 0
    metrics: VoipMetrics | None = None
    extended: set[int] = field(default_factory=set)
    sent: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_SENT))

    @property
    def capture_lost(self) -> int:
        """Packets that are missing here and that the receiver has, between its first and its last report."""
        if self.begun is None or self.ended is None:
            return 0
        missing, theirs = (late - early for early, late in zip(self.begun, self.ended, strict=True))
        lost = missing - max(0, theirs)
        return lost if lost >= _ON_THEIR_WAY else 0

    def clock_rates_ppm(self, clock_hz: int) -> tuple[float | None, float | None]:
        """Return how fast the sender's wall clock runs against that of the capture, and its RTP clock against
        its wall clock, in parts per million, by its own reports; None where that is not known."""
        if self.first is None or self.last is None:
            return None, None
        captured, wall, ticks = (late - early for early, late in zip(self.first, self.last, strict=True))
        if captured < _CLOCKS_NS or wall <= 0:
            return None, None
        return (wall / captured - 1) * 1e6, (ticks * _S / clock_hz / wall - 1) * 1e6 if clock_hz else None


class Reports:
    """All that RTCP has said of the streams of a table, until they are forgotten.

    ``srtcp`` opens what is protected. ``counters``: reports "matched" with a stream and "of-no-stream";
    packets that could not be read by reason, among them SRTCP that no key opens; "srtcp-opened".
    """

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.table: StreamTable | None = None
        self.srtcp: SrtcpOpener | None = None
        self._heard: dict[int, Heard] = {}
        self._streams: dict[tuple[str, str, int], list[Stream]] = {}
        self._ssrcs: Counter[int] = Counter()
        self._known: NDArray[np.uint32] | None = None
        self._waiting: deque[tuple[int, Endpoint, Endpoint, bytes]] = deque()
        #: What may be SRTCP, until the block that it came in is fed.
        self._locked: deque[tuple[int, Endpoint, Endpoint, bytes]] = deque(maxlen=_MOST_WAITING)
        self._left: dict[int, Stream] = {}
        self._latest: OrderedDict[tuple[Endpoint, Endpoint, int], int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._heard)

    # -- streams ----------------------------------------------------------------------------------------

    def opened(self, stream: Stream) -> None:
        """Listen for reports on a stream from now on."""
        self._streams.setdefault((stream.src[0], stream.dst[0], stream.ssrc), []).append(stream)
        self._ssrcs[stream.ssrc] += 1
        self._known = None

    def forget(self, stream: StreamLike) -> Heard | None:
        """Return what was heard of a stream, once, and listen for no more."""
        key = (stream.src[0], stream.dst[0], stream.ssrc)
        alike = self._streams.get(key, [])
        if isinstance(stream, Stream) and stream in alike:
            alike.remove(stream)
            if not alike:
                del self._streams[key]
            self._ssrcs[stream.ssrc] -= 1
            if not self._ssrcs[stream.ssrc]:
                del self._ssrcs[stream.ssrc]
            self._known = None
        self._left.pop(stream.id, None)
        return self._heard.pop(stream.id, None)

    def left(self, now_ns: int, quiet_ns: int) -> list[Stream]:
        """Return, once, the streams whose sender has said BYE and has been quiet since (RFC 3550 §6.3.7)."""
        over = []
        for stream in list(self._left.values()):
            heard = self._heard[stream.id]
            if heard.left_ns is None or not stream.alive or stream.last_ns > heard.left_ns + quiet_ns:
                del self._left[stream.id]  # a BYE that nobody meant
            elif now_ns - max(stream.last_ns, heard.left_ns) > quiet_ns:
                del self._left[stream.id]
                over.append(stream)
        return over

    # -- packets ----------------------------------------------------------------------------------------

    def feed(self, d: Datagrams, at: NDArray[np.int64]) -> None:
        """Take the datagrams numbered ``at``, which look like RTCP; they are worked off by `second`.

        Of a long block all are taken, because the streams that begin in it are not known yet.
        """
        at = at[d.size[at] <= _BIGGEST]
        if not len(at):
            return
        if int(d.time_ns[-1]) - int(d.time_ns[0]) < _S:
            at = at[self._of_interest(d, at)]
        room = max(0, _MOST_WAITING - len(self._waiting))
        if len(at) > room:
            self.counters["skipped"] += len(at) - room
        for i in at[:room].tolist():
            self._waiting.append((int(d.time_ns[i]), *d.endpoints(i), d.payload(i)))

    def _of_interest(self, d: Datagrams, at: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which packets come from a sender that is known, or begin with a report on one: bool[n]."""
        if self._known is None:
            self._known = np.fromiter(self._ssrcs, np.uint32, len(self._ssrcs))
        rows = pick(d.rows, at)
        # The sender's SSRC stands where RTP has its timestamp; a receiver's first block where RTP's SSRC is.
        known = np.isin(rows["ts"], self._known)
        about: NDArray[np.bool_] = np.isin(rows["ssrc"], self._known) & (rows["marker_pt"] == RR)
        return known | about

    def second(self, now_ns: int) -> None:
        """Work off what came before a time."""
        while self._waiting and self._waiting[0][0] < now_ns:
            self._read(*self._waiting.popleft())

    def flush(self) -> None:
        """Work off all that waits."""
        while self._waiting:
            self._read(*self._waiting.popleft())
        # By now calls have been told of the streams of the block, and have named their keys.
        while self._locked:
            packet = self._locked.popleft()
            self._believe(*packet, self._as_srtcp(*packet))

    def _mirrored_twice(self, time_ns: int, src: Endpoint, dst: Endpoint, raw: bytes) -> bool:
        """Tell whether this is the same packet at another mirrored port (C13); remember it if not."""
        key = (src, dst, hash(raw))
        before = self._latest.get(key)
        if before is not None and abs(time_ns - before) <= _TWICE_NS:
            return True
        self._latest[key] = time_ns
        self._latest.move_to_end(key)
        if len(self._latest) > _REMEMBERED:
            self._latest.popitem(last=False)
        return False

    def _read(self, time_ns: int, src: Endpoint, dst: Endpoint, raw: bytes) -> None:
        if self._mirrored_twice(time_ns, src, dst, raw):
            return
        found = parse_rtcp(raw)
        if found.problem is not None and self.srtcp is not None:
            self._locked.append((time_ns, src, dst, raw))
        else:
            self._believe(time_ns, src, dst, raw, found)

    def _believe(self, time_ns: int, src: Endpoint, dst: Endpoint, _raw: bytes, found: Compound) -> None:
        if found.problem is not None:
            self.counters[f"rtcp-{found.problem}"] += 1
            return
        for sender in found.senders:
            heard = self._of(src, dst, sender.ssrc)
            if heard is not None:
                _sender(heard, sender, time_ns)
        for block in found.blocks:
            stream = self._find(dst, src, block.ssrc)
            if stream is not None:
                self._receiver(stream, self._heard_of(stream), block, time_ns)
        self._rest(found, src, dst, time_ns)

    def _as_srtcp(self, _time_ns: int, src: Endpoint, dst: Endpoint, raw: bytes) -> Compound:
        """Return what a packet that is no RTCP says if it is SRTCP of a stream whose keys are known."""
        found = parse_rtcp(raw)
        stream = self._nearest(src, dst, found.ssrc)
        if self.srtcp is None or stream is None or not self.srtcp.has_keys(stream):
            return found
        plain = self.srtcp.open(stream, raw)
        if plain is not None:
            self.counters["srtcp-opened"] += 1
            return parse_rtcp(plain)
        if found.problem == "tail":
            found.problem = "unopened"
        return found

    def _rest(self, found: Compound, src: Endpoint, dst: Endpoint, time_ns: int) -> None:
        for ssrc, cname in found.cnames.items():
            heard = self._of(src, dst, ssrc)
            if heard is not None:
                heard.cname = cname
        for metrics in found.metrics:
            heard = self._of(dst, src, metrics.ssrc)
            if heard is not None:
                heard.metrics = metrics
                heard.extended.update(found.extended)
        for ssrc in found.left:
            stream = self._find(src, dst, ssrc)
            if stream is not None:
                self._heard_of(stream).left_ns = time_ns
                self._left[stream.id] = stream

    def _find(self, src: Endpoint, dst: Endpoint, ssrc: int) -> Stream | None:
        """Return the stream that a report speaks of, and count whether there is one."""
        found = self._nearest(src, dst, ssrc)
        self.counters["of-no-stream" if found is None else "matched"] += 1
        return found

    def _nearest(self, src: Endpoint, dst: Endpoint, ssrc: int) -> Stream | None:
        """Return the stream of an SSRC between two hosts that these ports are nearest to."""
        alike = self._streams.get((src[0], dst[0], ssrc))
        if not alike:
            return None
        if len(alike) == 1:
            return alike[0]

        def fit(stream: Stream) -> tuple[int, int]:
            near = [src[1] - stream.src[1] in (0, 1), dst[1] - stream.dst[1] in (0, 1)]
            return sum(near), stream.id

        return max(alike[-_MOST_ALIKE:], key=fit)

    def _of(self, src: Endpoint, dst: Endpoint, ssrc: int) -> Heard | None:
        stream = self._find(src, dst, ssrc)
        return None if stream is None else self._heard_of(stream)

    def _heard_of(self, stream: Stream) -> Heard:
        heard = self._heard.get(stream.id)
        if heard is None:
            heard = self._heard[stream.id] = Heard()
        return heard

    def _receiver(self, stream: Stream, heard: Heard, block: ReportBlock, time_ns: int) -> None:
        heard.receiver_reports += 1
        heard.fraction_most = max(heard.fraction_most, block.fraction)
        heard.jitter_sum += block.jitter
        heard.jitter_most = max(heard.jitter_most, block.jitter)
        heard.lost = block.lost
        if block.lsr:
            for middle, sent_ns in heard.sent:
                if middle == block.lsr:
                    trip_ns = time_ns - sent_ns - (block.dlsr * _S >> 16)
                    if 0 <= trip_ns < _LONGEST_NS:
                        heard.round_trips += 1
                        heard.round_trip_sum_ns += trip_ns
                        heard.round_trip_most_ns = max(heard.round_trip_most_ns, trip_ns)
        # A receiver that measures nothing (no jitter at all) is not believed to have lost nothing.
        if self.table is None or not block.jitter:
            return
        missing = self.table.missing_up_to(stream, block.highest & 0xFFFF)
        if missing is not None:
            heard.ended = (missing, block.lost)
            heard.begun = heard.begun or heard.ended


def _sender(heard: Heard, report: SenderReport, time_ns: int) -> None:
    heard.sender_reports += 1
    heard.sent.append((report.ntp >> 16 & 0xFFFFFFFF, time_ns))
    if not report.ntp:
        return  # without a clock (RFC 3550 §6.4.1)
    ntp_ns = (report.ntp >> 32) * _S + ((report.ntp & 0xFFFFFFFF) * _S >> 32)
    timestamp = report.rtp
    if heard.last is not None:
        timestamp = heard.last[2] + (report.rtp - heard.last[2] + 0x80000000) % 2**32 - 0x80000000
    heard.last = (time_ns, ntp_ns, timestamp)
    heard.first = heard.first or heard.last
    heard.reported.add(Report(*heard.last))
