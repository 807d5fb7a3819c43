"""Rows of G.711: whatever is placed is found again where it belongs, and silence everywhere else."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bystander.codecs.g711 import PCMA, PCMU, SILENCE
from bystander.sniffer.arena import FLUSH_SAMPLES, ROW, TAIL, Arena
from bystander.sniffer.sequence import heads_of

#: (stream, law, position, payload)
Packet = tuple[int, int, int, bytes]


class Tape:
    """Takes runs; later ones win. Keeps (law, byte) for each sample."""

    def __init__(self) -> None:
        self.samples: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
        self.runs: list[tuple[int, int]] = []

    def __call__(self, stream: int, position: int, law: int, samples: NDArray[np.uint8]) -> None:
        self.runs.append((position, len(samples)))
        for at, byte in enumerate(samples.tolist(), position):
            self.samples[stream][at] = (law, byte)


def place(arena: Arena, packets: list[Packet]) -> None:
    """Place one batch, in order of arrival."""
    packets = sorted(packets, key=lambda packet: packet[0])
    stream = np.array([p[0] for p in packets], np.int64)
    sizes = np.array([len(p[3]) for p in packets], np.int64)
    data = np.frombuffer(b"".join(p[3] for p in packets) + bytes(2048), np.uint8)
    arena.place(
        data,
        stream,
        heads_of(stream),
        np.array([p[1] for p in packets], np.uint8),
        np.array([p[2] for p in packets], np.int64),
        np.cumsum(sizes) - sizes,
        sizes,
    )


def play(packets: list[Packet], cuts: list[int], flush: random.Random | None = None) -> tuple[Arena, Tape]:
    tape = Tape()
    arena = Arena(4, tape)
    for stream in range(4):
        arena.start(stream)
    for start, stop in pairwise(sorted({0, len(packets), *(c for c in cuts if c < len(packets))})):
        place(arena, packets[start:stop])
        if flush is not None and flush.random() < 0.3:
            arena.flush_old(np.arange(4))
        if flush is not None and flush.random() < 0.1:
            arena.flush(flush.randrange(4))
    for stream in range(4):
        arena.flush(stream)
    return arena, tape


def check(packets: list[Packet], tape: Tape) -> None:
    wanted: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for stream, law, position, payload in packets:
        wanted[stream].update((at, (law, byte)) for at, byte in enumerate(payload, position))
    for stream, samples in wanted.items():
        found = tape.samples[stream]
        assert {at: found.get(at) for at in samples} == samples
        silent = [pair for at, pair in found.items() if at not in samples]
        assert all(byte == SILENCE[law] for law, byte in silent)


def payload(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from([1, 1, 1, 1, 2, 5, 40, 200, 5000, -1, -3, -60]),
            st.sampled_from([160, 160, 160, 80, 240, 480, 1, 33]),
            st.sampled_from([PCMA] * 8 + [PCMU]),
        ),
        min_size=1,
        max_size=120,
    ),
    st.lists(st.integers(1, 120), max_size=8),
    st.one_of(st.none(), st.randoms(use_true_random=False)),
)
def test_what_is_placed_is_found(
    moves: list[tuple[int, int, int, int]], cuts: list[int], flush: random.Random | None
) -> None:
    """C14: pauses, late packets, packet times and laws in any order and any blocks, flushed at any time."""
    at, packets = [0] * 4, []
    used: set[tuple[int, int]] = set()
    for n, (stream, step, size, law) in enumerate(moves):
        at[stream] = max(0, at[stream] + step)
        while (stream, at[stream]) in used:
            at[stream] += 1
        used.add((stream, at[stream]))
        packets.append((stream, law, at[stream] * 480, payload(size, n)))
    _, tape = play(packets, cuts, flush)
    check(packets, tape)


@pytest.mark.parametrize("size", [80, 160, 480, 4000])
def test_a_batch_longer_than_a_row(size: int) -> None:
    n = 3 * ROW // size
    packets = [(1, PCMU, i * size, payload(size, i)) for i in range(n)]
    _, tape = play(packets, [])
    check(packets, tape)


def test_a_batch_of_many_sizes() -> None:
    sizes = [random.Random(i).randrange(1, 400) for i in range(200)]
    packets = [
        (0, PCMA, int(at), payload(size, i))
        for i, (at, size) in enumerate(zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True))
    ]
    _, tape = play(packets, [])
    check(packets, tape)


def test_a_pause_of_an_hour_is_not_written_down() -> None:
    """C16: the silence is in the positions, not in bytes."""
    hour = 3600 * 8000
    packets = [(0, PCMA, base + i * 160, payload(160, base + i)) for base in (0, hour) for i in range(50)]
    for cuts in ([], [50], list(range(100))):
        _, tape = play(packets, cuts)
        check(packets, tape)
        assert sum(length for _, length in tape.runs) < 100 * 160 + ROW


def test_the_first_packet_may_have_been_overtaken() -> None:
    packets = [(0, PCMA, place, payload(160, place)) for place in (0, -160, -320, 160)]
    for cuts in ([], [1, 2, 3]):
        _, tape = play(packets, cuts)
        check(packets, tape)
        assert min(position for position, _ in tape.runs) == -320


@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 3, 4, 5, 6, 7]])
def test_laws_that_change_while_packets_overtake_each_other(cuts: list[int]) -> None:
    """C6: a re-INVITE changes the codec on one SSRC, and the network shuffles what lies around the change."""
    order = [(PCMA, 0), (PCMA, 1), (PCMU, 4), (PCMA, 2), (PCMU, 5), (PCMA, 3), (PCMU, 6), (PCMA, 7)]
    packets = [(2, law, place * 160, payload(160, place)) for law, place in order]
    _, tape = play(packets, cuts)
    check(packets, tape)


def test_a_packet_across_the_edge_of_what_was_handed_on_is_whole() -> None:
    """The silence of the row must not be laid over the second half of it."""
    tape = Tape()
    arena = Arena(1, tape)
    arena.start(0)
    packets = [
        (0, PCMA, 0, payload(160, 1)),
        (0, PCMA, 156, payload(160, 2)),
        (0, PCMA, 316, payload(160, 3)),
    ]
    for packet in packets:
        place(arena, [packet])
        arena.flush(0)
    place(arena, [(0, PCMA, 2000, payload(160, 4))])
    arena.flush(0)
    check([*packets, (0, PCMA, 2000, payload(160, 4))], tape)
    assert arena.stragglers > 0


def test_stragglers_are_counted() -> None:
    tape = Tape()
    arena = Arena(1, tape)
    arena.start(0)
    place(arena, [(0, PCMA, 0, payload(160, 1))])
    place(arena, [(0, PCMA, 100_000, payload(160, 2))])
    place(arena, [(0, PCMA, 1600, payload(160, 3))])
    assert arena.stragglers == 1


def test_one_place_years_ahead_does_not_make_stragglers_of_the_rest() -> None:
    """C18: a nonsense capture time."""
    places = [0, 160, 10**13, *range(320, 16_000, 160)]
    packets = [(0, PCMA, place, payload(160, i)) for i, place in enumerate(places)]
    for cuts in ([], [3], list(range(len(packets)))):
        arena, tape = play(packets, cuts)
        check(packets, tape)
        assert arena.stragglers < 3


def test_old_audio_is_handed_on_and_the_last_half_second_waits_for_stragglers() -> None:
    tape = Tape()
    arena = Arena(2, tape)
    arena.start(0)
    arena.start(1)
    place(arena, [(0, PCMA, i * 160, payload(160, i)) for i in range(FLUSH_SAMPLES // 160 + 1)])
    place(arena, [(1, PCMA, 0, payload(160, 1))])
    arena.flush_old(np.array([0, 1]))
    ((position, length),) = tape.runs
    assert position == 0
    assert FLUSH_SAMPLES - 4096 <= length <= FLUSH_SAMPLES
    arena.flush_old(np.array([0, 1]))
    assert len(tape.runs) == 1


def test_the_tail_is_the_last_audio_whether_handed_on_or_not() -> None:
    tape = Tape()
    arena = Arena(1, tape)
    arena.start(0)
    sent = b"".join(payload(160, i) for i in range(200))
    for i in range(200):
        place(arena, [(0, PCMA, i * 160, sent[i * 160 : (i + 1) * 160])])
    assert arena.tail(0) == sent[-TAIL:]
    arena.flush(0)
    assert arena.tail(0) == sent[-TAIL:]


def test_a_row_given_to_another_stream_holds_nothing_of_the_last() -> None:
    """C10: no voice of one call in another."""
    tape = Tape()
    arena = Arena(1, tape)
    arena.start(0)
    place(arena, [(0, PCMU, i * 160, bytes(160)) for i in range(40)])
    arena.flush(0)
    tape.samples.clear()
    arena.start(0)
    arena.flush(0)
    assert not tape.samples[0]
    packets = [(0, PCMA, 0, payload(160, 1)), (0, PCMA, 3200, payload(160, 2))]
    place(arena, packets)
    arena.flush(0)
    check(packets, tape)
    assert all(law == PCMA for law, _ in tape.samples[0].values())
