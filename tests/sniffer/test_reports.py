"""RTCP matched with the streams it speaks of: loss, round trips, clocks, BYE; strangers are not read."""

from __future__ import annotations

import numpy as np
import pytest

from bystander.sniffer import reports as module
from bystander.sniffer.datagrams import Datagrams, synthetic
from bystander.sniffer.reports import Heard, Reports
from bystander.sniffer.streams import Stream, StreamTable
from tests.sniffer import rtcpmade as made
from tests.sniffer.test_streams import MS, T0, Sent, Sink, block, call

S = 1_000_000_000
SSRC, OTHER = 0xDECAFBAD, 0xBEEF
SENDER, RECEIVER = ("10.0.0.1", 4001), ("10.0.0.2", 5001)


class Wire:
    """A table of streams, and the reports beside it, as the pipeline joins them."""

    def __init__(self) -> None:
        self.reports = Reports()
        self.table = StreamTable(Sink(), capacity=64, expected=lambda src, dst: True, observer=self.reports)
        self.reports.table = self.table

    def media(self, packets: list[Sent]) -> None:
        self.table.feed(block(packets), None)
        self.reports.flush()

    def control(self, raw: bytes, at_ns: int, src=SENDER, dst=RECEIVER) -> None:  # type: ignore[no-untyped-def]
        self.reports.feed(synthetic(src, dst, raw, at_ns), np.arange(1))
        self.reports.flush()

    def stream(self, ssrc: int = SSRC) -> Stream:
        (found,) = [stream for stream in self.table if stream.ssrc == ssrc]
        return found

    def heard(self) -> Heard:
        heard = self.reports.forget(self.stream())
        assert heard is not None
        return heard


@pytest.fixture
def wire() -> Wire:
    made_wire = Wire()
    made_wire.media(call(100, seq=65_500))
    return made_wire


def test_what_the_receiver_missed_and_how_long_it_took(wire: Wire) -> None:
    """RFC 3550 §6.4.1: the round trip from here to the receiver and back, without the time it waited."""
    sent_ns = T0 + 2 * S
    ntp = (0x1234 << 48) | (0x5678ABCD << 16) & 0xFFFFFFFFFFFF
    wire.control(made.sender_report(SSRC, ntp, 1), sent_ns)
    lsr, waited = ntp >> 16 & 0xFFFFFFFF, 1 << 15  # half a second
    block_ = made.report_block(SSRC, 64, 7, 65_599, 24, lsr, waited)
    metrics = made.extended_report(OTHER, made.voip_metrics(SSRC, loss=3, r=88))
    report = made.receiver_report(OTHER, block_) + metrics
    wire.control(report, sent_ns + 530 * MS, RECEIVER, SENDER)
    heard = wire.heard()
    assert (heard.sender_reports, heard.receiver_reports) == (1, 1)
    assert (heard.lost, heard.fraction_most, heard.jitter_most) == (7, 64, 24)
    assert (heard.round_trips, heard.round_trip_sum_ns, heard.round_trip_most_ns) == (1, 30 * MS, 30 * MS)
    assert heard.metrics is not None
    assert heard.metrics.r == 88


@pytest.mark.parametrize("ports", [(4000, 5000), (4001, 5001), (4001, 5000), (9000, 9001)])
def test_ports_are_those_of_the_media_or_the_next_or_others(wire: Wire, ports: tuple[int, int]) -> None:
    """rtcp-mux (RFC 5761), the port after, or where a=rtcp says (RFC 3605): hosts and SSRC decide."""
    wire.control(
        made.receiver_report(OTHER, made.report_block(SSRC)),
        T0 + S,
        ("10.0.0.2", ports[1]),
        ("10.0.0.1", ports[0]),
    )
    assert wire.heard().receiver_reports == 1


def test_c11_of_two_streams_of_one_ssrc_the_ports_decide() -> None:
    wire = Wire()
    wire.media(sorted(call(50) + call(50, seed=2, port=4010), key=lambda packet: packet.time_ns))
    one, two = sorted(wire.table, key=lambda stream: stream.src[1])
    wire.control(made.sender_report(SSRC, 1, 1), T0 + S, ("10.0.0.1", 4011), ("10.0.0.2", 5001))
    wire.control(made.bye(SSRC), T0 + S, ("10.0.0.1", 4001), ("10.0.0.2", 5001))
    first, second = wire.reports.forget(one), wire.reports.forget(two)
    assert first is not None
    assert second is not None
    assert (first.sender_reports, first.left_ns) == (0, T0 + S)
    assert (second.sender_reports, second.left_ns) == (1, None)


def test_strangers_are_not_read(wire: Wire) -> None:
    wire.control(made.sender_report(OTHER, 1, 1), T0 + S)
    wire.control(made.receiver_report(7, made.report_block(OTHER)), T0 + S, RECEIVER, SENDER)
    wire.control(made.sender_report(SSRC, 1, 1), T0 + S, ("10.0.0.9", 4001))
    assert wire.reports.counters == {"of-no-stream": 1}
    assert wire.reports.forget(wire.stream()) is None


def test_srtcp_is_not_believed(wire: Wire) -> None:
    raw = made.sender_report(SSRC, 0xABCDEF << 32, 77) + b"\x00\x00\x00\x05" + bytes(10)
    wire.control(raw, T0 + S)
    assert wire.reports.forget(wire.stream()) is None
    assert wire.reports.counters["rtcp-tail"] == 1


def test_rates_of_the_senders_clocks(wire: Wire) -> None:
    """The wall clock runs 40 ppm fast against ours, its samples 25 ppm slow against that; timestamps wrap."""
    for n in range(13):
        wall = (0xEE000000 << 32) + round(n * 5 * (1 + 40e-6) * 2**32)
        ticks = round(n * 5 * (1 + 40e-6) * 8000 * (1 - 25e-6))
        wire.control(made.sender_report(SSRC, wall, (2**32 - 99_999 + ticks) % 2**32), T0 + n * 5 * S)
    wall_ppm, media_ppm = wire.heard().clock_rates_ppm(8000)
    assert wall_ppm == pytest.approx(40, abs=0.1)
    assert media_ppm == pytest.approx(-25, abs=3)


def test_bye_ends_a_stream_that_is_quiet_then(wire: Wire) -> None:
    stream = wire.stream()
    wire.control(made.bye(SSRC), stream.last_ns + MS)
    assert wire.reports.left(stream.last_ns + 200 * MS, 300 * MS) == []
    assert wire.reports.left(stream.last_ns + 400 * MS, 300 * MS) == [stream]
    assert wire.reports.left(stream.last_ns + 900 * MS, 300 * MS) == []


def test_a_bye_that_is_not_meant_ends_nothing(wire: Wire) -> None:
    """Anybody can send one; the stream goes on."""
    stream = wire.stream()
    wire.control(made.bye(SSRC), T0 + S)
    assert wire.reports.left(T0 + 3 * S, 300 * MS) == []
    assert wire.reports.left(T0 + 60 * S, 300 * MS) == []
    assert wire.heard().left_ns == T0 + S
    assert stream.alive


def lossy(receiver_misses: int, jitter: int = 9, ahead: int = 0) -> Heard:
    """20 s of a stream of which 30 packets are missing here, between two reports of its receiver."""
    wire = Wire()
    sent = call(1000, seq=100)
    wire.media([packet for i, packet in enumerate(sent[:300]) if i != 120])
    for end, lost in ((300, 1), (900, 1 + receiver_misses)):
        if end == 900:
            wire.media([packet for i, packet in enumerate(sent[300:900], 300) if not 500 <= i < 530])
        about = made.report_block(SSRC, 0, lost, 99 + end + ahead, jitter)
        wire.control(made.receiver_report(OTHER, about), sent[end - 1].time_ns + MS, RECEIVER, SENDER)
    return wire.heard()


def test_c23_what_the_receiver_has_and_we_miss_the_capture_has_lost() -> None:
    assert lossy(0).capture_lost == 30
    assert lossy(10).capture_lost == 20
    assert lossy(30).capture_lost == 0
    assert lossy(80).capture_lost == 0


def test_c23_what_is_lost_after_a_report_is_not_held_against_it() -> None:
    """Reports are worked off a little later, when more may be missing."""
    wire = Wire()
    sent = call(1000, seq=100)
    came = [packet for i, packet in enumerate(sent) if not (280 <= i < 290 or 905 <= i < 925)]
    wire.table.feed(block(came[:10]), None)
    for at, lost in ((300, 10), (900, 10)):
        about = made.report_block(SSRC, 0, lost, 99 + at, 9)
        raw = made.receiver_report(OTHER, about)
        wire.reports.feed(synthetic(RECEIVER, SENDER, raw, sent[at - 1].time_ns + MS), np.arange(1))
    wire.table.feed(block(came[10:]), None)
    wire.reports.flush()
    heard = wire.heard()
    assert heard.receiver_reports == 2
    assert heard.capture_lost == 0


def test_c23_copies_count_against_losses_as_receivers_count_them() -> None:
    """RFC 3550 §6.4.1: ten packets lost and ten doubled are no loss in a report."""
    wire = Wire()
    sent = call(900, seq=100)
    wire.media(sent[:300])
    first = made.receiver_report(OTHER, made.report_block(SSRC, 0, 0, 399, 9))
    wire.control(first, sent[299].time_ns + MS, RECEIVER, SENDER)
    rest = [packet for i, packet in enumerate(sent[300:], 300) if not 500 <= i < 510]
    wire.media(sorted(rest + rest[20:30], key=lambda packet: packet.time_ns))
    last = made.receiver_report(OTHER, made.report_block(SSRC, 0, 0, 999, 9))
    wire.control(last, sent[899].time_ns + MS, RECEIVER, SENDER)
    assert wire.heard().capture_lost == 0


def test_c23_a_receiver_that_measures_nothing_is_not_believed() -> None:
    """No jitter ever, or sequence numbers of something else: a report made up."""
    assert lossy(0, jitter=0).capture_lost == 0
    assert lossy(0, ahead=5000).capture_lost == 0


def test_what_waits_is_bounded(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 10)
    one = synthetic(SENDER, RECEIVER, made.sender_report(SSRC, 1, 1), T0)
    at = np.zeros(25, np.int64)
    # A tenth of a second apart, or they were one packet mirrored twice (C13).
    times = one.time_ns[at] + np.arange(25) * 40 * MS
    times[1:] += 20 * MS * np.arange(1, 25)
    flood = Datagrams(one.data, one.rows[at], one.flow[at], one.offset[at], one.size[at], times)
    wire.reports.feed(flood, np.arange(25))
    wire.reports.flush()
    assert (wire.heard().sender_reports, wire.reports.counters["skipped"]) == (10, 15)


def test_nothing_is_left_of_what_is_forgotten(wire: Wire) -> None:
    wire.control(made.sender_report(SSRC, 1, 1) + made.bye(SSRC), T0 + S)
    stream = wire.stream()
    assert wire.reports.forget(stream) is not None
    assert wire.reports.forget(stream) is None
    assert len(wire.reports) == 0
    wire.control(made.sender_report(SSRC, 1, 1), T0 + 2 * S)
    assert wire.reports.left(T0 + 60 * S, 1) == []
    assert len(wire.reports) == 0
