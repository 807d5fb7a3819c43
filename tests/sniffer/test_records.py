"""The walk along a chain of records must give what a plain loop gives, whatever it guesses on the way."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.sniffer import records
from bystander.sniffer.frames import PAD
from bystander.sniffer.records import Batch, Layout, Mark, join, walk

SECONDS = 1_700_000_000


def layout(order: str, unit: int = 1) -> Layout:
    if unit == 1:
        first = 2 if order == "<" else 0
        return Layout(16, 8, 16, order, 1, 16, 5000, (Mark(first, "u1"), Mark(first + 1, "u1")))
    return Layout(8, 4, 0, order, 4, 12, 5000, (Mark(0, order + "u4", 6),))


def plain(data: bytes, start: int, stop: int, shape: Layout) -> tuple[list[int], int]:
    starts = []
    while start + shape.header_bytes <= stop:
        (length,) = struct.unpack_from(shape.order + "I", data, start + shape.length_at)
        size = length + shape.extra
        if size < shape.smallest or size > shape.biggest or size % shape.unit or start + size > stop:
            break
        starts.append(start)
        start += size
    return starts, start


def check(data: bytes, start: int, shape: Layout) -> None:
    padded = np.frombuffer(data + bytes(PAD), np.uint8)
    starts, end = walk(padded, start, len(data), shape)
    assert (starts.tolist(), end) == plain(data, start, len(data), shape)


def record(order: str, size: int, filler: bytes, seconds: int = SECONDS) -> bytes:
    return struct.pack(order + "IIII", seconds, 0, size, size) + filler[:size]


def block(order: str, size: int, filler: bytes, kind: int = 6) -> bytes:
    size = size // 4 * 4
    return struct.pack(order + "II", kind, size + 12) + filler[:size] + struct.pack(order + "I", size + 12)


def mixed(order: str, unit: int, count: int, seed: int) -> bytes:
    rng = random.Random(seed)
    filler = rng.randbytes(1 << 16)
    pieces = []
    for number in range(count):
        size = 214 if rng.random() < 0.7 else rng.randrange(0, 1500)
        at = rng.randrange(len(filler) - 1500)
        if unit == 1:
            pieces.append(record(order, size, filler[at : at + size], SECONDS + number // 100))
        else:
            pieces.append(block(order, size, filler[at : at + size], rng.choice((6, 6, 6, 6, 5))))
    return b"".join(pieces)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("unit", [1, 4])
@pytest.mark.parametrize("seed", range(4))
def test_mixed_sizes_through_full_size_lanes(order: str, unit: int, seed: int) -> None:
    data = mixed(order, unit, 3000, seed)
    check(data, 0, layout(order, unit))
    check(data[:-7], 0, layout(order, unit))


def test_lanes_are_really_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.frombuffer(mixed("<", 1, 3000, 9) + bytes(PAD), np.uint8)
    found = records._lanes(data, 0, len(data) - PAD, layout("<"))
    assert len(found) > 2500
    # Without a single record left to the plain loop between lanes.
    monkeypatch.setattr(records, "_plain", None)
    assert np.array_equal(records._lanes(data, 0, len(data) - PAD, layout("<")), found)


def test_equal_sizes_are_one_run() -> None:
    data = b"".join(record("<", 214, bytes(214)) for _ in range(2000))
    padded = np.frombuffer(data + bytes(PAD), np.uint8)
    run = records._equal_run(padded, 0, len(data), 230, layout("<"))
    assert run.tolist() == list(range(0, len(data), 230))
    check(data + record("<", 7, bytes(7)) + data[:-1], 0, layout("<"))


@pytest.mark.parametrize("odd_at", [0, 1, 255, 256, 257, 511, 512, 4351, 4352, 4353, 4999])
def test_one_odd_size_anywhere_in_a_run(odd_at: int) -> None:
    pieces = [record("<", 60, bytes(60))] * 5000
    pieces[odd_at] = record("<", 61, bytes(61))
    check(b"".join(pieces), 0, layout("<"))


def test_payload_that_quotes_records_is_not_followed() -> None:
    """Each frame carries records itself, as a capture sent over the network does: every lane starts wrong."""
    inner = b"".join(record("<", 60, bytes(60)) for _ in range(12))
    rng = random.Random(5)
    frames = [rng.randbytes(rng.randrange(40)) + inner for _ in range(2000)]
    check(b"".join(record("<", len(frame), frame) for frame in frames), 0, layout("<"))


@pytest.mark.parametrize("unit", [1, 4])
def test_an_insane_length_ends_the_chain(unit: int) -> None:
    good = mixed("<", unit, 1500, 3)
    for length in (0, 3, 5001, 1 << 20, (1 << 32) - 1):
        wrong = struct.pack("<IIII", SECONDS if unit == 1 else 6, length if unit == 4 else 0, length, length)
        check(good + wrong + good, 0, layout("<", unit))


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(records, "_LANE_BYTES", 100)
    patch.setattr(records, "_WINDOW_BYTES", 64)
    patch.setattr(records, "_FEWEST_LANES", 3)
    patch.setattr(records, "_SHORT_RUN", 4)
    patch.setattr(records, "_MOST_STEPS", 6)
    patch.setattr(records, "PAD", 64)


sizes = st.lists(
    st.one_of(st.just(20), st.integers(0, 120), st.sampled_from([0, 4, 5001])), min_size=1, max_size=120
)


@given(
    st.sampled_from(["<", ">"]), st.sampled_from([1, 4]), sizes, st.integers(0, 1 << 30), st.integers(0, 40)
)
@settings(max_examples=300, deadline=None)
def test_any_sizes_through_small_lanes(
    order: str, unit: int, lengths: list[int], seed: int, cut: int
) -> None:
    rng = random.Random(seed)
    pieces = []
    for length in lengths:
        # Payload full of what looks like marks: seconds, or a block type.
        filler = (rng.randbytes(3) + struct.pack(order + "II", SECONDS if unit == 1 else 6, 40)) * 12
        pieces.append((record if unit == 1 else block)(order, length, filler))
    data = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        check(data[: max(len(data) - cut, 0)], 0, layout(order, unit))


@given(
    st.binary(max_size=3000), st.sampled_from(["<", ">"]), st.sampled_from([1, 4]), st.integers(0, 1 << 30)
)
@settings(max_examples=200, deadline=None)
def test_mutated_chains_through_small_lanes(noise: bytes, order: str, unit: int, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(mixed(order, unit, 40, seed) + noise)
    for _ in range(rng.randrange(6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        check(bytes(data), 0, layout(order, unit))


def batch(times: list[int], linktype: int) -> Batch:
    column = np.array(times, np.int64)
    return Batch(column, column, column, column, linktype)


def test_join_keeps_one_link_type_as_a_number_and_different_ones_per_frame() -> None:
    same = join([batch([1, 2], 1), batch([], 7), batch([3], 1)])
    assert (same.linktype, same.time_ns.tolist()) == (1, [1, 2, 3])
    different = join([batch([1, 2], 1), batch([3], 113)])
    assert isinstance(different.linktype, np.ndarray)
    assert different.linktype.tolist() == [1, 1, 113]
    assert len(join([])) == 0


def test_a_long_record_cut_by_the_end_of_the_buffer() -> None:
    shape = Layout(16, 8, 16, "<", 1, 16, 300_000, (Mark(2, "u1"), Mark(3, "u1")))
    good = mixed("<", 1, 1500, 3)
    check(good + record("<", 250_000, bytes(250_000))[:9000], 0, shape)
    check(good + record("<", 250_000, bytes(250_000)) + good, 0, shape)
