"""Timelines: where each packet's first sample lies, against one packet at a time, and against real clocks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.sniffer.clock import CLOCK_HZ, WINDOW_NS, Clocks
from bystander.sniffer.sequence import heads_of

MS = 1_000_000
S = 1_000_000_000
T0 = 1_790_000_000 * S
NS_PER_SAMPLE = 125_000

#: (stream, extended sequence number, timestamp, time in ns, size)
Packet = tuple[int, int, int, int, int]


def run(packets: list[Packet], cuts: list[int] | None = None, close: bool = True) -> tuple[Clocks, list[int]]:
    """Place packets in blocks, windows ending where the stream table ends them: positions in their order."""
    clocks = Clocks(4)
    streams = sorted({packet[0] for packet in packets})
    for stream in streams:
        clocks.start(stream)
    window, positions = None, []
    edges = {0, len(packets), *(c for c in cuts or [] if c < len(packets))}
    newest = -(2**63)
    for i, packet in enumerate(packets):
        if packet[3] // WINDOW_NS > newest:
            newest = packet[3] // WINDOW_NS
            edges.add(i)
    for start, stop in pairwise(sorted(edges)):
        batch = np.array(packets[start:stop], np.int64)
        now = int(batch[0, 3]) // WINDOW_NS
        if window is None or now > window:
            window = now
            clocks.end_window(np.array(streams), window)
        order = np.argsort(batch[:, 0], kind="stable")
        stream, extended, ts, time_ns, size = batch[order].T.copy()
        placed = clocks.place(stream, heads_of(stream), extended, ts & 0xFFFFFFFF, time_ns, size)
        positions += placed[np.argsort(order)].tolist()
    return clocks, positions


def steady(
    n: int, size: int = 160, ts: int = 4_294_960_000, stream: int = 0, start: int = T0
) -> list[Packet]:
    """A stream that sends by its clock, its timestamps about to wrap."""
    return [
        (stream, 1000 + i, (ts + i * size) % 2**32, start + i * size * NS_PER_SAMPLE, size) for i in range(n)
    ]


def changed(packets: list[Packet], which: range, ts: int = 0, time_ns: int = 0) -> list[Packet]:
    """Shift the timestamps and times of some packets."""
    return [
        (s, e, (t + ts) % 2**32, at + time_ns, size) if i in which else (s, e, t, at, size)
        for i, (s, e, t, at, size) in enumerate(packets)
    ]


moves = st.tuples(
    st.integers(0, 2),
    st.sampled_from([1, 1, 1, 1, 2, 3, -1, -2]),
    st.sampled_from([160, 160, 160, 160, 320, 20, 0, -160, 80, 100_000, -100_000, 2**31, 480]),
    st.one_of(
        st.sampled_from([20 * MS, 20 * MS, 0, 40 * MS, 5 * S, -3 * S, 300 * MS]), st.integers(0, 80 * MS)
    ),
    st.sampled_from([160, 160, 160, 80, 240, 480]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(moves, min_size=1, max_size=60), st.lists(st.integers(1, 60), max_size=6))
def test_places_do_not_depend_on_blocks(sent: list[tuple[int, int, int, int, int]], cuts: list[int]) -> None:
    """Whatever a sender does, the same packets lie in the same places, however they were split."""
    numbers, stamps, now, packets = [0] * 3, [7] * 3, T0, []
    used: set[tuple[int, int]] = set()
    for stream, step, add, wait_ns, size in sent:
        now += wait_ns
        numbers[stream] += step
        while (stream, numbers[stream]) in used:  # copies never come this far
            numbers[stream] += 1
        used.add((stream, numbers[stream]))
        stamps[stream] = (stamps[stream] + add) % 2**32
        packets.append((stream, numbers[stream], stamps[stream], now, size))
    whole, places = run(packets)
    split, again = run(packets, cuts)
    single, one_by_one = run(packets, list(range(len(packets))))
    assert places == again == one_by_one
    for stream in range(3):
        assert whole.anchor_ns(stream) == split.anchor_ns(stream) == single.anchor_ns(stream)
        assert whole.jitter_ms(stream) == pytest.approx(single.jitter_ms(stream), rel=1e-9)
    assert whole.jumps == split.jumps == single.jumps


@pytest.mark.parametrize("size", [80, 160, 240, 320, 480])
def test_timestamps_space_the_samples(size: int) -> None:
    """C14: packet times of 10 to 60 ms, a timestamp that wraps."""
    clocks, places = run(steady(400, size))
    assert places == [i * size for i in range(400)]
    assert clocks.anchor_ns(0) == T0


def test_packet_times_may_change() -> None:
    sizes = [80, 160, 160, 480, 80, 320] * 20
    at, packets = 0, []
    for i, size in enumerate(sizes):
        packets.append((0, i, at, T0 + at * NS_PER_SAMPLE, size))
        at += size
    assert run(packets)[1] == np.cumsum([0, *sizes[:-1]]).tolist()


@pytest.mark.parametrize("late_ms", [30, 400, 900])
@pytest.mark.parametrize("n", [20, 200])
def test_a_first_packet_that_was_held_up_does_not_make_the_stream_late(late_ms: int, n: int) -> None:
    """The earliest packet anchors the stream, even one that ends before the first window does."""
    packets = [
        (s, e, t, max(at, T0 + late_ms * MS) if i == 0 else at, size)
        for i, (s, e, t, at, size) in enumerate(steady(n + late_ms // 20))
    ]
    packets = [packets[0]] + [
        (s, e, t, max(at, T0 + late_ms * MS + i), size) for i, (s, e, t, at, size) in enumerate(packets[1:])
    ]
    clocks, _ = run(packets)
    assert abs(clocks.anchor_ns(0) - T0) <= NS_PER_SAMPLE


def test_a_jump_of_timestamps_without_time_passing_moves_nothing() -> None:
    """C14"""
    packets = changed(steady(200), range(100, 200), ts=1_000_000_000)
    clocks, places = run(packets)
    assert places == [i * 160 for i in range(200)]
    assert clocks.jumps == 1


def test_a_jump_of_timestamps_with_as_much_time_is_a_pause() -> None:
    packets = changed(steady(200), range(100, 200), ts=10 * CLOCK_HZ, time_ns=10 * S)
    _, places = run(packets)
    assert places == [i * 160 + (10 * CLOCK_HZ if i >= 100 else 0) for i in range(200)]


def test_timestamps_that_stood_still_through_a_hold_follow_the_clock() -> None:
    packets = changed(steady(200), range(100, 200), time_ns=90 * S)
    _, places = run(packets)
    assert places == [i * 160 + (90 * CLOCK_HZ if i >= 100 else 0) for i in range(200)]


def test_a_late_packet_from_before_a_jump_keeps_its_place() -> None:
    packets = changed(steady(100), range(50, 100), ts=-1_234_567_890)
    packets[49], packets[50] = packets[50], packets[49]
    _, places = run(packets)
    assert sorted(places) == [i * 160 for i in range(100)]
    assert places[49] == 50 * 160
    assert places[50] == 49 * 160


def milliseconds(n: int) -> list[Packet]:
    return [(0, i, i * 20, T0 + i * 20 * MS, 160) for i in range(n)]


@pytest.mark.parametrize("cuts", [[], [60], list(range(100))])
def test_a_sender_that_counts_milliseconds(cuts: list[int]) -> None:
    """C14: its packets follow each other, late ones have their places, a pause is a pause."""
    packets = milliseconds(100)
    packets[60], packets[61] = packets[61], packets[60]
    del packets[30]
    packets[79:] = [(s, e, t + 5000, at + 5 * S, size) for s, e, t, at, size in packets[79:]]
    _, places = run(packets, cuts)
    wanted = [e * 160 + (5 * CLOCK_HZ if at > T0 + 4 * S else 0) for _, e, _, at, _ in packets]
    assert places == wanted


def test_a_stall_and_the_burst_after_it_leave_the_places_alone() -> None:
    packets = [
        (s, e, t, T0 + 6 * S + i * 1000 if T0 + 2 * S < at < T0 + 6 * S else at, size)
        for i, (s, e, t, at, size) in enumerate(steady(1000))
    ]
    for cuts in ([], [110], list(range(1000))):
        _, places = run(packets, cuts)
        astray = [i for i, place in enumerate(places) if abs(place - i * 160) > 16]
        assert len(astray) <= 4  # what it takes to see that it is a burst


def test_a_hold_that_ends_in_a_small_burst_is_put_right() -> None:
    """The burst looks like the end of a stall; the next windows know better."""
    packets = [
        (s, e, t, max(at + 60 * S, T0 + 62 * S + 90 * MS + i) if i >= 100 else at, size)
        for i, (s, e, t, at, size) in enumerate(steady(500))
    ]
    _, places = run(packets)
    assert places[250:] == pytest.approx([i * 160 + 60 * CLOCK_HZ for i in range(250, 500)], abs=160)


@pytest.mark.parametrize("ppm", [-300, -100, 100, 300])
@pytest.mark.parametrize("ms_counter", [False, True])
def test_two_clocks_that_differ_are_no_further_apart_after_an_hour(ppm: int, ms_counter: bool) -> None:
    """C16: a sender's clock is wrong by some parts per million; its place stays within 10 ms of the time."""
    n = 3600 * 50
    index = np.arange(n)
    rng = np.random.default_rng(1)
    sent_ns = (index * 20 * MS * (1 - ppm * 1e-6)).astype(np.int64)
    time_ns = T0 + sent_ns + rng.exponential(0.3 * MS, n).astype(np.int64)
    clocks = Clocks(1)
    clocks.start(0)
    places = []
    for part in np.split(index, np.flatnonzero(np.diff(time_ns // WINDOW_NS)) + 1):
        clocks.end_window(np.zeros(1, np.int64), 0)
        ts = part * (20 if ms_counter else 160)
        places.append(
            clocks.place(
                np.zeros(len(part), np.int64),
                np.zeros(1, np.int64),
                part,
                ts,
                time_ns[part],
                np.full(len(part), 160),
            )
        )
    apart = np.concatenate(places) - (time_ns - clocks.anchor_ns(0)) / NS_PER_SAMPLE
    assert np.abs(apart[n // 2 :]).max() < CLOCK_HZ // 100 + 40
    steps = np.diff(np.concatenate(places)) - 160
    assert np.abs(steps).max() <= 4  # nobody hears half a millisecond


def test_jitter_is_the_recurrence_of_rfc_3550() -> None:
    """RFC 3550 §A.8, and its mean over the packets after the first."""
    rng = np.random.default_rng(3)
    packets = [(s, e, t, at + int(rng.integers(0, 15 * MS)), size) for s, e, t, at, size in steady(3000)]
    jitter = total = 0.0
    for before, now in pairwise(packets):
        advance = (now[2] - before[2] + 2**31) % 2**32 - 2**31
        jitter += (abs((now[3] - before[3]) / NS_PER_SAMPLE - advance) - jitter) / 16
        total += jitter
    clocks, _ = run(packets, [1, 2, 500, 501])
    assert clocks.jitter_ms(0) == pytest.approx(total / 2999 / 8, rel=1e-6)


def test_one_packet_has_no_jitter() -> None:
    clocks, _ = run(steady(1))
    assert clocks.jitter_ms(0) == 0.0


def test_a_time_that_is_nonsense_costs_its_packet_at_most() -> None:
    """C18: one capture time years away, either way."""
    for wrong_ns in (2**62, 0, -(2**62)):
        packets = steady(100)
        packets[50] = (*packets[50][:3], wrong_ns, 160)
        _, places = run(packets, list(range(100)))
        others = places[:50] + places[51:]
        assert others == pytest.approx([i * 160 for i in range(100) if i != 50], abs=161)


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**32 - 1)), max_size=20))
def test_no_time_and_no_timestamp_raises(pairs: list[tuple[int, int]]) -> None:
    packets = [(0, i, ts, at, 160) for i, (at, ts) in enumerate(pairs)]
    _, places = run(packets)
    assert len(places) == len(packets)


def test_a_number_given_anew_remembers_nothing() -> None:
    clocks, _ = run(milliseconds(50))
    clocks.start(0)
    assert not clocks.started(0)
    assert clocks.jitter_ms(0) == 0.0
    stream, extended, ts, time_ns, size = np.array(steady(50, ts=0)).T.copy()
    assert clocks.place(stream, heads_of(stream), extended, ts, time_ns, size).tolist() == [
        i * 160 for i in range(50)
    ]


def placed_by_arrival(
    sent_s: np.ndarray, late_s: np.ndarray, ticks: np.ndarray | None = None
) -> tuple[Clocks, np.ndarray]:
    """Place packets that were sent and delayed so; return when the recording has each, s after T0."""
    time_ns = T0 + np.rint((sent_s + late_s) * S).astype(np.int64)
    index = np.arange(len(sent_s))
    stamps = index * 160 if ticks is None else ticks
    clocks, places = Clocks(1), []
    clocks.start(0)
    for part in np.split(index, np.flatnonzero(np.diff(time_ns // WINDOW_NS)) + 1):
        clocks.end_window(np.zeros(1, np.int64), int(time_ns[part[0]]) // WINDOW_NS)
        zeros = np.zeros(len(part), np.int64)
        sizes = np.full(len(part), 160)
        places.append(clocks.place(zeros, zeros[:1], part, stamps[part] % 2**32, time_ns[part], sizes))
    return clocks, np.concatenate(places) / CLOCK_HZ + (clocks.anchor_ns(0) - T0) / S


@pytest.mark.parametrize("ppm", [-5000, -1000, -500, 500, 1000, 5000])
def test_c16_a_clock_that_is_no_crystal_is_followed(ppm: int) -> None:
    """A program that sleeps 20 ms between its packets is a thousandth slow and more: 20 ms are allowed."""
    n = 600 * 50
    sent = np.arange(n) * 0.02 / (1 + ppm * 1e-6)
    late = np.random.default_rng(1).exponential(0.002, n)
    _, where = placed_by_arrival(np.maximum.accumulate(sent + late), np.zeros(n))
    assert np.abs(where - sent)[90 * 50 :].max() < 0.02
    assert np.abs(where - sent).max() < 0.02 + 25 * abs(ppm) * 1e-6


@pytest.mark.parametrize("drains_s", [0.5, 3.0, 8.0])
def test_a_queue_that_drains_at_the_start_does_not_make_the_stream_late(drains_s: float) -> None:
    """300 ms of packets wait in the network as the call begins."""
    sent = np.arange(2000) * 0.02
    late = np.maximum(0, 0.3 * (1 - sent / drains_s))
    _, where = placed_by_arrival(sent, late)
    assert np.abs(where - sent).max() < 0.003


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=2, max_size=90), st.integers(0, 10**6))
def test_whatever_the_network_does_no_packet_lies_before_it_was_sent_or_after_it_came(
    seconds_ms: list[int], seed: int
) -> None:
    """Delays that change from second to second, whatever they look like, are at most followed."""
    n = 50 * len(seconds_ms)
    sent = np.arange(n) * 0.02
    late = np.interp(sent, np.arange(len(seconds_ms)), np.array(seconds_ms) / 1000)
    late += np.random.default_rng(seed).uniform(0, 0.03, n)
    came = np.maximum.accumulate(sent + late)
    _, where = placed_by_arrival(came, np.zeros(n))
    assert (where >= sent - 0.0005).all()
    assert (where <= sent + (came - sent).max() + 0.0005).all()
