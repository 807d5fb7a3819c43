"""Bursts and gaps by RFC 3611 §4.7.2, read one packet at a time; what the capture itself has lost (C23)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.sniffer import losses as module
from bystander.sniffer.losses import GMIN, Holes, Losses
from bystander.sniffer.sequence import Sequences, heads_of
from bystander.sniffer.streams import StreamTable
from tests.sniffer.test_streams import MS, T0, Sent, Sink, block, call

S = 1_000_000_000


def slowly(came: list[bool]) -> dict[str, int]:
    """RFC 3611 §4.7.2, word by word: a burst is the longest stretch that begins and ends with a lost packet
    and holds no run of Gmin received ones; a loss that is alone in such a stretch is the gap's."""
    figures = {"runs": 0, "bursts": 0, "burst_packets": 0, "burst_lost": 0, "isolated": 0}
    at = 0
    while at < len(came):
        if came[at]:
            at += 1
            continue
        end = here = at
        while here < len(came) and here - end <= GMIN:
            if not came[here]:
                end = here
            here += 1
        stretch = came[at : end + 1]
        lost = stretch.count(False)
        if lost == 1:
            figures["isolated"] += 1
        else:
            figures["bursts"] += 1
            figures["burst_packets"] += len(stretch)
            figures["burst_lost"] += lost
        at = end + 1
    figures["runs"] = sum(1 for one, two in pairwise([True, *came]) if one and not two)
    return figures


def of_stream(came: list[bool], cuts: list[int], order: list[int] | None = None) -> dict[str, int]:
    """The same by the table of streams, packets fed in blocks, 20 ms apart."""
    sent = [packet for packet, there in zip(call(len(came)), came, strict=True) if there]
    if order is not None:
        sent = [Sent(T0 + n * 20 * MS, sent[i].seq, sent[i].ts, sent[i].payload) for n, i in enumerate(order)]
    table = StreamTable(Sink(), capacity=8, expected=lambda src, dst: True)
    edges = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    for start, stop in pairwise(edges):
        table.feed(block(sent[start:stop]), None)
    (stream,) = table
    table.end(stream)
    found = stream.measures.losses
    assert stream.figures.lost == came.count(False)
    return {name: getattr(found, name) for name in slowly([])}


@st.composite
def journeys(draw: st.DrawFn) -> list[bool]:
    """Which packets come: good times and bad ones in turn; the first and the last come."""
    came = [True]
    for _ in range(draw(st.integers(1, 12))):
        share = draw(st.sampled_from([0.0, 0.02, 0.3, 0.7, 1.0]))
        length = draw(st.integers(1, 60))
        chance = draw(st.randoms(use_true_random=False))
        came += [chance.random() >= share for _ in range(length)]
    return [*came, True]


@settings(max_examples=60, deadline=None)
@given(journeys(), st.lists(st.integers(1, 700), max_size=8))
def test_bursts_and_gaps_are_those_of_rfc_3611(came: list[bool], cuts: list[int]) -> None:
    assert of_stream(came, cuts) == slowly(came)


@settings(max_examples=40, deadline=None)
@given(journeys(), st.lists(st.integers(1, 700), max_size=8), st.randoms(use_true_random=False))
def test_what_only_came_late_is_not_lost(came: list[bool], cuts: list[int], chance) -> None:  # type: ignore[no-untyped-def]
    """C13: neighbours that overtake each other leave no hole."""
    order = list(range(came.count(True)))
    at = 1
    while at + 2 < len(order):
        if chance.random() < 0.2:
            order[at], order[at + 1] = order[at + 1], order[at]
            at += 1
        at += 1
    found, expected = of_stream(came, cuts, order), slowly(came)
    # A hole that a late packet has split in two and that its neighbours join again is the same hole.
    found.pop("runs"), expected.pop("runs")
    assert found == expected


def test_the_longest_gap_is_measured_by_the_clock() -> None:
    sent = [packet for i, packet in enumerate(call(200)) if not 50 <= i < 60 and i != 100]
    table = StreamTable(Sink(), capacity=8, expected=lambda src, dst: True)
    table.feed(block(sent), None)
    (stream,) = table
    table.end(stream)
    assert stream.measures.losses.longest_ns == 11 * 20 * MS


def test_a_number_used_again_knows_nothing_of_the_stream_before() -> None:
    sequences = Sequences(4)
    for start in (100, 7000):
        sequences.start(1, start, T0)
        numbers = np.array([start, start + 1, start + 5, start + 6], np.int64)
        stream = np.ones(4, np.int64)
        sequences.feed(stream, heads_of(stream), numbers, T0 + np.arange(4) * 20 * MS)
        sequences.losses.end(1)
    found = sequences.losses.figures(1)
    assert (found.runs, found.bursts, found.burst_lost) == (1, 1, 3)


def streams_with(outages: dict[int, list[tuple[int, int]]], count: int, seconds: int = 6) -> list[int]:
    """Streams of 20 ms packets, some without those of certain times (ms): what each lost by the capture."""
    table = StreamTable(Sink(), capacity=64, expected=lambda src, dst: True)
    packets = [
        packet
        for n in range(count)
        for i, packet in enumerate(call(seconds * 50, seed=n, ssrc=n + 1, port=4000 + 2 * n))
        if not any(begin <= i * 20 + n < end for begin, end in outages.get(n, []))
    ]
    for packet in packets:
        packet.time_ns += packet.ssrc * MS
    packets.sort(key=lambda packet: packet.time_ns)
    for start in range(0, len(packets), 97):
        table.feed(block(packets[start : start + 97]), None)
    found = {}
    for stream in list(table):
        table.end(stream)
        found[stream.ssrc] = stream.measures.losses.capture
    return [found[n + 1] for n in range(count)]


def test_c23_what_all_streams_miss_at_once_the_capture_has_lost() -> None:
    assert streams_with({n: [(2000, 2100)] for n in range(6)}, 6) == [5] * 6


def test_c23_what_one_direction_misses_the_network_has_lost() -> None:
    """Half of the streams: all that came in over one line."""
    assert streams_with({n: [(2000, 2400)] for n in range(3)}, 6) == [0] * 6
    assert streams_with({0: [(2000, 2400)]}, 2) == [0, 0]


def test_c23_of_one_call_both_directions() -> None:
    """Three packets in a row both ways are no chance; single ones may be."""
    assert streams_with({0: [(2000, 2060)], 1: [(2000, 2060)]}, 2) == [3, 3]
    assert streams_with({0: [(2000, 2020)], 1: [(2000, 2020)]}, 2) == [0, 0]
    assert streams_with({0: [(2000, 2060)], 1: [(3000, 3060)]}, 2) == [0, 0]


@pytest.mark.parametrize("at", [1960, 1480, 3540, 480])
def test_c23_wherever_the_seconds_end(at: int) -> None:
    """Holes of one outage that are noted on both sides of a second belong together all the same."""
    assert streams_with({n: [(at, at + 100)] for n in range(8)}, 8) == [5] * 8


def test_holes_without_end_are_settled_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_HOLES", 100)
    monkeypatch.setattr(module, "_MOST_NUMBERS", 50)
    losses = Losses(4, lambda stream, number: np.zeros(len(stream), bool))
    for n in range(1000):
        first = np.array([n * 100], np.int64)
        time = np.array([T0 + n], np.int64)
        losses.note(Holes(np.zeros(1, np.int64), first, first + 9, time, time))
        assert sum(map(len, losses._waiting)) <= 100
    losses.end(0)
    found = losses.figures(0)
    assert (found.runs, found.bursts, found.burst_lost) == (1000, 1000, 10_000)
