"""Sequence numbers of many streams at once, against one stream and one packet at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.sniffer.sequence import Sequences, differences, heads_of, running_sum

MS = 1_000_000
STREAMS = 4

#: (stream, sequence number, time in ns), and the timestamp where there is one
Packet = tuple[int, ...]


@dataclass
class Reference:
    """RFC 3550 §A.1 for one stream, packet by packet."""

    last_seq: int
    last_ns: int
    number: int = 0
    top: int = 0
    seen: set[int] = field(default_factory=set)
    fallen: int = 0
    last_ts: int = 0
    duplicates: int = 0
    reordered: int = 0

    def feed(self, seq: int, time_ns: int, ts: int = 0) -> tuple[int, bool]:
        step = (seq - self.last_seq + 32768) % 65536 - 32768
        ahead = (ts - self.last_ts + (1 << 31)) % (1 << 32) - (1 << 31)
        elapsed_ns = max(0, time_ns - self.last_ns)
        if not self.seen:
            self.number = self.top = 0
        elif step < -500 or step > 200 + elapsed_ns // (4 * MS) or (step <= -4 and ahead > 0):
            self.number, self.fallen = self.top + 1, 0  # started over
        elif self.fallen == 2 and step == 1:
            self.number, self.fallen = self.top + 1, 0  # ... as three in a row have shown
        elif step <= -50 and self.number + step < min(self.seen):
            self.number, self.fallen = self.top + 1, 0  # ... before which there was nothing
        else:
            self.number += step
            if step <= -50 and self.fallen >= 0:
                self.fallen = 1
            elif step and self.fallen > 0:
                self.fallen = self.fallen + 1 if step == 1 else -1
        self.last_seq, self.last_ns, self.last_ts = seq, time_ns, ts
        copy = self.number in self.seen
        if copy:
            self.duplicates += 1
        elif self.seen and self.number < self.top:
            self.reordered += 1
        self.seen.add(self.number)
        self.top = max(self.top, self.number)
        return self.number, copy

    @property
    def lost(self) -> int:
        return self.top - min(self.seen) + 1 - len(self.seen)


def run(packets: list[Packet], cuts: list[int]) -> tuple[Sequences, list[tuple[int, int, bool]]]:
    """Feed packets in blocks: the table, and (stream, extended number from the first, copy) of each."""
    table = Sequences(STREAMS)
    base: dict[int, int] = {}
    told = []
    for start, stop in pairwise(sorted({0, len(packets), *(c for c in cuts if c < len(packets))})):
        batch = packets[start:stop]
        for stream, seq, time_ns, *_ in batch:
            if stream not in base:
                table.start(stream, seq, time_ns)
                base[stream] = int(table.last[stream]) + 1
        columns = np.array(batch, np.int64)
        order = np.argsort(columns[:, 0], kind="stable")
        stream, seq, time_ns, *ts = columns[order].T.copy()
        extended, copy = table.feed(stream, heads_of(stream), seq, time_ns, *ts)
        copies = np.zeros(len(order), bool) if copy is None else copy
        back = np.argsort(order)
        told += [
            (int(s), int(e) - base[int(s)], bool(c))
            for s, e, c in zip(stream[back], extended[back], copies[back], strict=True)
        ]
    return table, told


def compare(packets: list[Packet], cuts: list[int]) -> None:
    table, told = run(packets, cuts)
    references: dict[int, Reference] = {}
    for (stream, *packet), (_, number, copy) in zip(packets, told, strict=True):
        reference = references.setdefault(stream, Reference(packet[0], packet[1]))
        assert reference.feed(*packet) == (number, copy)
    for stream, reference in references.items():
        assert int(table.received[stream]) == len(reference.seen)
        assert int(table.duplicates[stream]) == reference.duplicates
        assert int(table.reordered[stream]) == reference.reordered
        assert table.lost(stream) == reference.lost
        assert int(table.last_ns[stream]) == reference.last_ns


steps = st.one_of(
    st.just(1),
    st.just(1),
    st.just(1),
    st.integers(-5, 8),
    st.sampled_from([-501, -500, -300, -50, -49, 200, 201, 199, 32767, -32768, -20000, 700]),
)
advances = st.sampled_from([160, 160, 160, 0, -160, -8000, 1 << 31])
times = st.one_of(st.just(20 * MS), st.integers(-5 * MS, 60 * MS), st.just(10_000 * MS))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, STREAMS - 1), steps, times), min_size=1, max_size=80),
    st.lists(st.integers(0, 65535), min_size=STREAMS, max_size=STREAMS),
    st.lists(st.integers(1, 80), max_size=6),
)
def test_figures_are_those_of_one_packet_at_a_time(
    moves: list[tuple[int, int, int]], first: list[int], cuts: list[int]
) -> None:
    """C14: loss, copies, reordering, wrap and senders that start over, in whatever blocks they come."""
    at, now, packets = list(first), 0, []
    for stream, step, wait_ns in moves:
        now += wait_ns
        at[stream] = (at[stream] + step) % 65536
        packets.append((stream, at[stream], now))
    compare(packets, cuts)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), steps, advances), min_size=1, max_size=80),
    st.lists(st.integers(1, 80), max_size=6),
)
def test_c14_timestamps_tell_who_started_over(moves: list[tuple[int, int, int]], cuts: list[int]) -> None:
    """A number that falls while its timestamp goes on is no late packet, however blocks are cut."""
    at, clock, packets = [100, 65_500], [0, 0xFFFF_FF00], []
    for n, (stream, step, advance) in enumerate(moves):
        at[stream] = (at[stream] + step) % 65536
        clock[stream] = (clock[stream] + advance) % (1 << 32)
        packets.append((stream, at[stream], n * 20 * MS, clock[stream]))
    compare(packets, cuts)


@pytest.mark.parametrize("back", [5, 30, 200, 499])
def test_c14_numbers_that_begin_again_soon_are_no_copies(back: int) -> None:
    """A sender that starts over within seconds, its timestamps going on: not a packet is thrown away."""
    numbers = [*range(1000, 1500), *range(1500 - back, 1500)]
    packets = [(0, seq, i * 20 * MS, i * 160) for i, seq in enumerate(numbers)]
    for cuts in ([], list(range(1, 1000))):
        table, _ = run(packets, cuts)
        assert (int(table.received[0]), int(table.duplicates[0]), table.lost(0)) == (500 + back, 0, 0)


def test_c14_what_is_played_again_with_the_same_numbers_is_no_copy() -> None:
    """The same eight seconds over and over, packet by packet (a test tool, a prompt): two are lost."""
    packets = [(0, i % 400, i * 20 * MS, i % 400 * 160) for i in range(1200)]
    for cuts in ([], list(range(1, 1200))):
        table, _ = run(packets, cuts)
        assert (int(table.received[0]), int(table.duplicates[0])) == (1196, 4)


def test_c13_copies_from_a_capture_whose_clock_is_seconds_off_are_copies() -> None:
    """Two captures of one call, merged: each packet comes again three seconds later, among the others."""
    first = [(i * 20 * MS, i) for i in range(600)]
    merged = sorted(first + [(at + 3001 * MS, seq) for at, seq in first])
    packets = [(0, 7000 + seq, at, seq * 160) for at, seq in merged]
    for cuts in ([], [100, 101, 500]):
        table, _ = run(packets, cuts)
        assert (int(table.received[0]), int(table.duplicates[0]), table.lost(0)) == (600, 600, 0)


def test_numbers_wrap_without_loss() -> None:
    packets = [(0, (65000 + i) % 65536, i * 20 * MS) for i in range(140_000)]
    table, _ = run(packets, [700, 66_000, 66_001])
    assert (int(table.received[0]), table.lost(0), int(table.duplicates[0])) == (140_000, 0, 0)


def test_a_copy_is_known_as_one_across_blocks_after_the_sender_started_over() -> None:
    """C13: mirrored twice, and the sender began anew meanwhile."""
    numbers = [10, 10, 11, 11, 40_000, 40_000, 40_001, 40_001, 40_002, 40_002]
    packets = [(0, seq, i * 10 * MS) for i, seq in enumerate(numbers)]
    for cuts in ([], list(range(1, 10)), [5], [7]):
        table, _ = run(packets, cuts)
        assert (int(table.received[0]), int(table.duplicates[0]), table.lost(0)) == (5, 5, 0)


def test_a_sender_that_starts_over_behind_a_late_packet_loses_nothing() -> None:
    packets = [(0, seq, i * 20 * MS) for i, seq in enumerate([1, 3, 2, 50_000, 50_001])]
    for cuts in ([], [3], [1, 2, 3, 4]):
        _, told = run(packets, cuts)
        assert [copy for _, _, copy in told] == [False] * 5


def test_packets_from_before_the_first_count() -> None:
    packets = [(0, seq, i * MS) for i, seq in enumerate([5, 3, 4, 6])]
    table, _ = run(packets, [])
    assert (int(table.received[0]), table.lost(0), int(table.reordered[0])) == (4, 0, 2)


def test_numbers_that_only_fall_do_not_touch_other_streams() -> None:
    falling = [(0, (-400 * i) % 65536, i) for i in range(6000)]
    mixed = [packet for i, f in enumerate(falling) for packet in (f, (1, i % 65536, i), (2, i % 65536, i))]
    table, _ = run(mixed, [5000, 5001, 12_345])
    for stream in (1, 2):
        assert (int(table.received[stream]), int(table.duplicates[stream])) == (6000, 0)


def test_times_out_of_all_bounds_do_not_raise() -> None:
    """C18"""
    times_ns = [0, 2**63 - 1, -(2**63), 5, 2**62]
    table, told = run([(0, i, at) for i, at in enumerate(times_ns)], [2])
    assert [number for _, number, _ in told] == [0, 1, 2, 3, 4]
    assert int(table.received[0]) == 5


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-10, 10)), max_size=40))
def test_running_sums_begin_anew_in_each_run(pairs: list[tuple[int, int]]) -> None:
    pairs.sort(key=lambda pair: pair[0])
    stream = np.array([who for who, _ in pairs], np.int64)
    step = np.array([by for _, by in pairs], np.int64)
    heads = heads_of(stream)
    start = np.arange(len(heads), dtype=np.int64) * 1000
    wanted, at = [], -1
    for i, (_, by) in enumerate(pairs):
        if i in heads:
            at += 1
            total = at * 1000
        total += by
        wanted.append(total)
    total_of = running_sum(step, heads, start)
    assert total_of.tolist() == wanted
    assert differences(total_of, heads, start).tolist() == step.tolist()
