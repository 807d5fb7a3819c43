"""Streams end to end: what was sent lies where it belongs, however packets came and were split."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.codecs.g711 import PCMA, PCMU, SILENCE
from bystander.codecs.packets import PacketRun
from bystander.sniffer import keeping
from bystander.sniffer.datagrams import Datagrams, synthetic
from bystander.sniffer.streams import Stream, StreamTable

T0 = 1_790_000_000_000_000_000
MS = 1_000_000


@dataclass
class Sent:
    """One packet on the wire."""

    time_ns: int
    seq: int
    ts: int
    payload: bytes
    pt: int = PCMA
    ssrc: int = 0xDECAFBAD
    port: int = 4000

    def rtp(self) -> bytes:
        head = bytes([0x80, self.pt]) + (self.seq & 0xFFFF).to_bytes(2, "big")
        return head + (self.ts & 0xFFFFFFFF).to_bytes(4, "big") + self.ssrc.to_bytes(4, "big") + self.payload


@dataclass
class Sink:
    """Keeps what the table hands on; later runs win."""

    audio_of: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    runs: list[tuple[int, int, int]] = field(default_factory=list)
    kept: dict[int, list[PacketRun]] = field(default_factory=lambda: defaultdict(list))

    def audio(self, stream: Stream, position: int, law: int, samples: np.ndarray) -> None:
        self.runs.append((position, len(samples), law))
        self.audio_of[stream.ssrc].update(
            zip(range(position, position + len(samples)), samples.tolist(), strict=True)
        )

    def packets(self, stream: Stream, run: PacketRun) -> None:
        self.kept[stream.ssrc].append(run)


def block(packets: list[Sent]) -> Datagrams:
    """Join packets to one block, as a parser hands it over."""
    ones = [synthetic(("10.0.0.1", p.port), ("10.0.0.2", 5000), p.rtp(), p.time_ns) for p in packets]
    starts = np.cumsum([0, *(len(one.data) for one in ones[:-1])])
    return Datagrams(
        np.concatenate([one.data for one in ones]),
        np.concatenate([one.rows.view("V56") for one in ones]).view(ones[0].rows.dtype),
        np.concatenate([one.flow for one in ones]),
        np.concatenate([one.offset for one in ones]) + starts,
        np.concatenate([one.size for one in ones]),
        np.concatenate([one.time_ns for one in ones]),
    )


def feed(packets: list[Sent], cuts: list[int] | None = None) -> tuple[Sink, list[Stream]]:
    """Feed packets split at ``cuts`` and end every stream."""
    sink = Sink()
    table = StreamTable(sink, capacity=64, expected=lambda src, dst: True)
    edges = sorted({0, len(packets), *(cuts or [])})
    for start, stop in pairwise(edges):
        table.feed(block(packets[start:stop]), None)
    streams = list(table)
    for stream in streams:
        table.end(stream)
    return sink, streams


def call(n: int, size: int = 160, seq: int = 100, ts: int = 5000, seed: int = 1, **more: int) -> list[Sent]:
    """A stream without faults, a packet every ``size`` samples."""
    audio = np.random.default_rng(seed).integers(0, 256, n * size, dtype=np.uint8).tobytes()
    return [
        Sent(T0 + i * size * 125_000, seq + i, ts + i * size, audio[i * size : (i + 1) * size], **more)
        for i in range(n)
    ]


def expected(packets: list[Sent]) -> dict[int, int]:
    """Where each byte belongs: by timestamp, from the first packet to come."""
    first = packets[0].ts
    return {p.ts - first + i: byte for p in packets for i, byte in enumerate(p.payload)}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 120),
    st.sampled_from([80, 160, 240, 320, 480]),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 200), max_size=6),
    st.randoms(use_true_random=False),
)
def test_loss_duplicates_and_reordering_however_split(n, size, seq, ts, cuts, chance) -> None:  # type: ignore[no-untyped-def]
    """C13, C14: every byte that came is in its place, all else is silence, the figures are exact."""
    sent = call(n, size, seq, ts)
    first, last = sent[0], sent[-1]
    lost = {i for i in range(1, n - 1) if chance.random() < 0.1}
    came = [p for i, p in enumerate(sent) if i not in lost]
    # A late packet is overtaken by the next one or two; nothing comes before it was sent.
    arrivals = []
    for packet in came:
        late = (
            chance.random() * 2.2 * size * 125_000
            if packet not in (first, last) and chance.random() < 0.1
            else 0
        )
        arrivals.append(Sent(packet.time_ns + int(late), packet.seq, packet.ts, packet.payload))
        if chance.random() < 0.1:
            arrivals.append(Sent(packet.time_ns + int(late) + 1000, packet.seq, packet.ts, packet.payload))
    wire = sorted(arrivals, key=lambda packet: packet.time_ns)
    sink, streams = feed(wire, [cut for cut in cuts if cut < len(wire)])
    (stream,) = streams
    figures = stream.figures
    assert figures.packets == len(came)
    assert figures.lost == len(lost)
    assert figures.duplicates == len(arrivals) - len(came)
    audio = sink.audio_of[stream.ssrc]
    wanted = expected(came)
    assert {at: audio[at] for at in wanted} == wanted
    assert all(value == SILENCE[PCMA] for at, value in audio.items() if at not in wanted)


def test_a_batch_longer_than_a_row_loses_nothing() -> None:
    sent = call(1500)
    sink, (stream,) = feed(sent)
    assert sink.audio_of[stream.ssrc] == expected(sent)


@pytest.mark.parametrize("cuts", [[], list(range(1, 700)), [350]])
def test_the_law_may_change_in_mid_stream(cuts: list[int]) -> None:
    """C6: a re-INVITE changes the codec, the SSRC stays."""
    sent = call(700)
    for packet in sent[350:]:
        packet.pt = PCMU
    sink, (stream,) = feed(sent, cuts)
    assert stream.payload_types == [PCMA, PCMU]
    assert sink.audio_of[stream.ssrc] == expected(sent)
    law_at = {at: law for position, length, law in sink.runs for at in (position, position + length - 1)}
    assert all(law == (PCMA if at < 350 * 160 else PCMU) for at, law in law_at.items())


def test_an_hour_of_hold_is_neither_lost_nor_written_down() -> None:
    """C8, C16: the position goes on, the silence takes no space."""
    sent = call(100)
    hour = 3600 * 8000
    later = call(100, seq=200, ts=5000 + 100 * 160 + hour, seed=2)
    for i, packet in enumerate(later):
        packet.time_ns = T0 + (100 * 160 + hour + i * 160) * 125_000
    sink, (stream,) = feed(sent + later, [100])
    wanted = expected(sent + later)
    assert {at: sink.audio_of[stream.ssrc][at] for at in wanted} == wanted
    assert sum(length for _, length, _ in sink.runs) < 200 * 160 + 16000


def test_timestamps_that_stand_still_during_a_hold_are_anchored_anew() -> None:
    sent = call(100)
    later = call(100, seq=200, ts=5000 + 100 * 160, seed=2)
    for i, packet in enumerate(later):
        packet.time_ns = T0 + (100 * 160 + 80_000 + i * 160) * 125_000
    sink, (stream,) = feed(sent + later, [100])
    audio = sink.audio_of[stream.ssrc]
    start = 100 * 160 + 80_000
    assert [audio[start + i] for i in range(160)] == list(later[0].payload)


def test_a_sender_that_counts_milliseconds_is_understood() -> None:
    """C14: timestamps advance by 20 where the packets hold 160 samples."""
    sent = call(200)
    wanted = expected(sent)
    for i, packet in enumerate(sent):
        packet.ts = 5000 + i * 20
    sink, (stream,) = feed(sent)
    assert sink.audio_of[stream.ssrc] == wanted


def test_streams_are_told_apart_by_port_and_ssrc() -> None:
    """C11: two SSRCs on one pair of ports, and one SSRC on two."""
    one, two = call(50, seed=1), call(50, seed=2, ssrc=7)
    three = call(50, seed=3, port=4002)
    mixed = [p for trio in zip(one, two, three, strict=True) for p in trio]
    _, streams = feed(mixed)
    assert sorted((s.src[1], s.ssrc, s.packets) for s in streams) == [
        (4000, 7, 50),
        (4000, 0xDECAFBAD, 50),
        (4002, 0xDECAFBAD, 50),
    ]


def test_other_payloads_keep_their_packets() -> None:
    """C15: events share the sequence with audio; the audio goes on, the events are kept as they came."""
    sent = call(20)
    sent[10] = Sent(sent[10].time_ns, sent[10].seq, sent[9].ts, b"\x05\x0a\x00\xa0", pt=101)
    sink, (stream,) = feed(sent)
    (run,) = sink.kept[stream.ssrc]
    assert run.payloads() == [b"\x05\x0a\x00\xa0"]
    assert stream.payload_types == [8, 101]
    assert stream.figures.lost == 0


def test_noise_opens_no_stream_and_the_first_packet_is_never_lost() -> None:
    sink = Sink()
    table = StreamTable(sink, capacity=64)
    for i in range(200):
        table.feed(block([Sent(T0 + i, i * 777, i, bytes(160), ssrc=i + 1)]), None)
    assert len(table) == 0
    sent = call(3)
    for packet in sent:
        table.feed(block([packet]), None)
    (stream,) = list(table)
    table.end(stream)
    assert stream.first_ns == T0
    assert sink.audio_of[stream.ssrc] == expected(sent)


def test_a_full_table_refuses_and_counts() -> None:
    table = StreamTable(Sink(), capacity=4, expected=lambda src, dst: True)
    table.feed(block([Sent(T0, 1, 1, bytes(160), ssrc=i) for i in range(10)]), None)
    assert len(table) == 4
    assert table.counters["streams-refused"] == 6


def test_jitter_is_the_mean_of_the_recurrence_of_rfc_3550() -> None:
    rng = np.random.default_rng(5)
    sent = call(400)
    for i, packet in enumerate(sent):
        packet.time_ns = T0 + i * 20 * MS + int(rng.integers(0, 8 * MS))
    jitter = total = 0.0
    for before, now in pairwise(sent):
        difference = abs((now.time_ns - before.time_ns) / 125_000 - (now.ts - before.ts))
        jitter += (difference - jitter) / 16
        total += jitter
    for cuts in ([], [7, 100], list(range(400))):
        _, (stream,) = feed(sent, cuts)
        assert stream.figures.jitter_ms == pytest.approx(total / 399 / 8, rel=1e-6)


class Whole(Sink):
    """A sink that keeps whole packets too, and forgets what is disowned."""

    def __init__(self) -> None:
        super().__init__()
        self.raw: list[bytes] = []

    def whole(self, stream: Stream, run: PacketRun) -> None:
        self.raw += run.payloads()

    def disown(self, stream: Stream) -> None:
        self.audio_of.pop(stream.ssrc, None)
        self.kept.pop(stream.ssrc, None)


def talk(sizes: int, n: int = 60, pt: int = PCMA, first: int = 0) -> list[Sent]:
    return [
        Sent(T0 + k * 20 * MS, k + 1, 160 * k, bytes([k % 200 + 1]) * sizes, pt)
        for k in range(first, first + n)
    ]


@pytest.mark.parametrize(
    ("mode", "size", "pt", "whole", "placed"),
    [
        (keeping.PLAIN, 160, PCMA, 0, 60),
        (keeping.PLAIN, 170, PCMA, 0, 60),
        (keeping.WHOLE, 160, PCMA, 60, 0),
        (keeping.WHOLE, 170, PCMA, 60, 0),
        (keeping.WHOLE, 30, 18, 60, 0),
        (keeping.SEALED, 170, PCMA, 0, 0),
        (None, 160, PCMA, 0, 60),
        (None, 240, PCMU, 0, 60),
        (None, 164, PCMA, 60, 0),
        (None, 170, PCMA, 60, 0),
        (None, 176, PCMA, 60, 0),
        (None, 20, 18, 60, 0),
    ],
)
def test_what_a_stream_may_be_decides_how_it_is_kept(
    mode: int | None, size: int, pt: int, whole: int, placed: int
) -> None:
    """By its descriptions; before there are any (None) by whether it looks like plain G.711."""
    sink = Whole()
    table = StreamTable(sink, guard=lambda _src, _dst: mode)
    sent = talk(size, pt=pt)
    for part in (sent[:7], sent[7:]):
        table.feed(block(part), None)
    (stream,) = table
    table.end(stream)
    assert sink.raw == [packet.rtp() for packet in sent][:whole]
    assert len(set(sink.audio_of[0xDECAFBAD].values())) == placed
    assert stream.figures.packets == 60
    assert stream.figures.jitter_ms == 0.0


@pytest.mark.parametrize("tag", [4, 10, 16])
def test_what_seemed_to_be_plain_and_was_not_is_disowned(tag: int) -> None:
    """Descriptions that come late, of a stream whose lengths say nothing; what comes then is kept whole."""
    sink = Whole()
    table = StreamTable(sink, guard=lambda _src, _dst: None)
    sent = talk(160)
    table.feed(block(sent[:30]), None)
    (stream,) = table
    table.guard(stream, keeping.WHOLE)
    table.feed(block(sent[30:]), None)
    table.end(stream)
    assert not sink.audio_of[0xDECAFBAD]
    assert sink.raw == [packet.rtp() for packet in sent[30:]]


def test_plain_srtp_and_plain_again_on_one_stream() -> None:
    sink = Whole()
    table = StreamTable(sink, guard=lambda _src, _dst: keeping.PLAIN)
    sent = talk(160, 300)
    table.feed(block(sent[:100]), None)
    (stream,) = table
    table.guard(stream, keeping.WHOLE)
    table.feed(block(sent[100:200]), None)
    table.guard(stream, keeping.PLAIN)
    table.feed(block(sent[200:]), None)
    table.end(stream)
    placed = sink.audio_of[0xDECAFBAD]
    assert sink.raw == [packet.rtp() for packet in sent[100:200]]
    assert sorted(placed) == [*range(16_000), *range(32_000, 48_000)], "no silence is laid over what was kept"
    assert all(placed[at] == at // 160 % 200 + 1 for at in placed)


def test_streams_of_all_kinds_in_one_block() -> None:
    modes = {4000: keeping.PLAIN, 4002: keeping.WHOLE, 4004: keeping.SEALED}
    sink = Whole()
    table = StreamTable(sink, guard=lambda src, _dst: modes[src[1]])
    sent = [
        Sent(T0 + k * 20 * MS, k + 1, 160 * k, bytes([k + 1]) * 170, PCMA, port, port)
        for k in range(40)
        for port in modes
    ]
    for start in range(0, len(sent), 17):
        table.feed(block(sent[start : start + 17]), None)
    for stream in table:
        assert stream.figures.packets == 40
        table.end(stream)
    assert sink.raw == [packet.rtp() for packet in sent if packet.port == 4002]
    assert set(sink.audio_of) == {4000}
    assert table._diverted == 0


@pytest.mark.parametrize(("streams", "ended"), [(13, 0), (14, 14), (16, 16)])
def test_c24_a_table_nearly_full_ends_what_is_silent(streams: int, ended: int) -> None:
    """Of 16 places two are the eighth that is kept free for calls that begin."""
    table = StreamTable(Sink(), capacity=16, expected=lambda src, dst: True)
    for number in range(streams):
        table.feed(block(call(2, ssrc=number + 1)), None)
    last_ns = T0 + 20 * MS
    assert table.overdue(last_ns + 1_900 * MS) == []
    assert len(table.overdue(last_ns + 2_100 * MS)) == ended


def test_what_looked_like_sound_and_was_not_is_disowned() -> None:
    """A description that comes late says that it is SRTP: nothing of it may be heard as G.711."""
    disowned = []

    class Told(Sink):
        def disown(self, stream: Stream) -> None:
            disowned.append(stream.ssrc)

    table = StreamTable(Told(), capacity=4, expected=lambda src, dst: True, guard=lambda src, dst: None)
    table.feed(block(call(4)), None)
    (stream,) = table
    table.guard(stream, keeping.WHOLE)
    assert disowned == [0xDECAFBAD]
    assert table.counters["media-disowned"] == 4
    table.guard(stream, keeping.PLAIN)
    table.guard(stream, keeping.WHOLE)
    assert len(disowned) == 1, "what came as described stays"


def test_nobody_is_asked_for_the_clock_of_a_stream_that_is_over() -> None:
    """Its place may be another's by then, which would be measured with that clock."""
    asked = []

    def clock_of(stream: Stream, pt: int) -> None:
        asked.append((stream.ssrc, pt))

    table = StreamTable(Sink(), capacity=4, expected=lambda src, dst: True, clock_of=clock_of)
    table.feed(block(call(3, pt=96, ssrc=1)), None)
    assert (1, 96) in asked
    for stream in list(table):
        table.end(stream)
    asked.clear()
    table.feed(block(call(200, pt=97, ssrc=2)), None)
    assert set(asked) == {(2, 97)}
