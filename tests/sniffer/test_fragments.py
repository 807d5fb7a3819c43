"""Fragments in any order, twice, overlapping, and never complete (C1, C2)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.fragments import MAX_PAYLOAD_BYTES, Fragment, Reassembler

KEY = ((), 4, b"\x0a\0\0\1", b"\x0a\0\0\2", 17, 7)
SECOND_NS = 1_000_000_000


def piece(
    offset: int, payload: bytes, more: bool, *, key: tuple[object, ...] = KEY, time_ns: int = 0
) -> Fragment:
    return Fragment(key, offset, more, payload, time_ns, 17)


def split(payload: bytes, size: int) -> list[Fragment]:
    return [
        piece(at, payload[at : at + size], at + size < len(payload)) for at in range(0, len(payload), size)
    ]


PAYLOAD = bytes(range(256)) * 12


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("size", [8, 1480, 4000])
def test_in_order_and_reversed(step: int, size: int) -> None:
    """C2."""
    reassembler = Reassembler()
    *before, last = [reassembler.feed(fragment) for fragment in split(PAYLOAD, size)[::step]]
    assert last == PAYLOAD
    assert not any(before)
    assert (len(reassembler), reassembler.held_bytes) == (0, 0)
    assert reassembler.counters["reassembled"] == 1


def test_ipv6_shares_the_class_and_needs_no_multiple_of_eight() -> None:
    key = ((), 6, b"\0" * 16, b"\1" * 16, 17, 0xDEADBEEF)
    reassembler = Reassembler()
    assert reassembler.feed(piece(3, b"de", False, key=key)) is None
    assert reassembler.feed(piece(0, b"abc", True, key=key)) == b"abcde"


def test_an_atomic_fragment_is_whole_at_once() -> None:
    """RFC 6946."""
    assert Reassembler().feed(piece(0, b"abc", False)) == b"abc"


def test_the_right_sum_with_a_hole_is_not_complete() -> None:
    """C2: 16 + 16 bytes came of 32, but twice the same ones."""
    reassembler = Reassembler()
    assert reassembler.feed(piece(0, b"a" * 16, True)) is None
    assert reassembler.feed(piece(0, b"a" * 16, True)) is None
    assert reassembler.feed(piece(24, b"b" * 8, False)) is None
    assert reassembler.counters["duplicate"] == 1
    assert reassembler.feed(piece(16, b"c" * 8, True)) == b"a" * 16 + b"c" * 8 + b"b" * 8


def test_where_fragments_overlap_the_first_copy_wins() -> None:
    reassembler = Reassembler()
    reassembler.feed(piece(8, b"bbbbbbbb", True))
    reassembler.feed(piece(0, b"a" * 24, True))
    assert reassembler.counters["conflicting"] == 1
    assert reassembler.feed(piece(24, b"c", False)) == b"a" * 8 + b"b" * 8 + b"a" * 8 + b"c"


def test_the_key_keeps_vlans_and_directions_apart() -> None:
    """C2."""
    reassembler = Reassembler()
    other = ((100,), *KEY[1:])
    reassembler.feed(piece(0, b"a" * 8, True))
    assert reassembler.feed(piece(8, b"x", False, key=other)) is None
    assert len(reassembler) == 2
    assert reassembler.feed(piece(8, b"b", False)) == b"a" * 8 + b"b"


@pytest.mark.parametrize(
    "late", [piece(16, b"x" * 8, True), piece(0, b"x" * 8, False), piece(32, b"x", False)]
)
def test_fragments_that_contradict_the_end_are_left_out(late: Fragment) -> None:
    reassembler = Reassembler()
    reassembler.feed(piece(8, b"b" * 8, False))
    assert reassembler.feed(late) is None
    assert reassembler.counters["contradictory-end"] == 1
    assert reassembler.feed(piece(0, b"a" * 8, True)) == b"a" * 8 + b"b" * 8


def test_an_end_before_what_is_held_is_left_out() -> None:
    reassembler = Reassembler()
    reassembler.feed(piece(16, b"c" * 8, True))
    assert reassembler.feed(piece(8, b"b" * 4, False)) is None
    assert reassembler.counters["contradictory-end"] == 1


def test_no_datagram_is_longer_than_ip_allows() -> None:
    reassembler = Reassembler()
    assert reassembler.feed(piece(65528, b"x" * 100, False)) is None
    assert reassembler.feed(piece(-8, b"x", True)) is None
    assert reassembler.counters["oversize"] == 2
    assert reassembler.feed(piece(8, b"", True)) is None
    assert reassembler.counters["empty"] == 1
    assert (len(reassembler), reassembler.held_bytes) == (0, 0)


def test_an_empty_last_fragment_ends_the_datagram() -> None:
    reassembler = Reassembler()
    reassembler.feed(piece(0, b"a" * 8, True))
    assert reassembler.feed(piece(8, b"", False)) == b"a" * 8


def test_what_never_completes_ages_out() -> None:
    reassembler = Reassembler(max_age_s=30)
    reassembler.feed(piece(0, b"a" * 8, True))
    reassembler.feed(piece(0, b"a" * 8, True, key=("b",), time_ns=30 * SECOND_NS))
    assert len(reassembler) == 2
    assert reassembler.feed(piece(8, b"b", False, time_ns=31 * SECOND_NS)) is None
    assert reassembler.counters["expired"] == 1
    assert len(reassembler) == 2


def test_a_flood_evicts_the_oldest_first() -> None:
    reassembler = Reassembler(max_datagrams=10, max_bytes=1 << 20)
    for number in range(100):
        reassembler.feed(piece(0, b"a" * 8, True, key=(number,)))
    assert len(reassembler) == 10
    assert reassembler.counters["evicted"] == 90
    assert reassembler.feed(piece(8, b"b", False, key=(99,))) == b"a" * 8 + b"b"
    assert reassembler.feed(piece(8, b"b", False, key=(0,))) is None


@pytest.mark.parametrize("size", [1, 8000])
def test_a_flood_is_bounded_in_bytes(size: int) -> None:
    """Small pieces are charged for what holding them costs."""
    reassembler = Reassembler(max_bytes=50_000)
    for number in range(500):
        reassembler.feed(piece(8 * (number % 50) + 8, b"x" * size, True, key=(number // 50,)))
        assert reassembler.held_bytes <= 50_000
    assert reassembler.counters["evicted"] > 0


@st.composite
def fragmentations(draw: st.DrawFn) -> tuple[bytes, list[Fragment]]:
    """A payload and fragments of it that cover it, some twice, some overlapping, in any order."""
    payload = draw(st.binary(min_size=2, max_size=300))
    cuts = sorted({0, len(payload), *draw(st.lists(st.integers(1, len(payload) - 1), max_size=8))})
    spans = list(pairwise(cuts))
    ends = st.integers(0, len(payload))
    extra = draw(st.lists(st.tuples(ends, ends).filter(lambda span: span[0] < span[1]), max_size=6))
    spans = draw(st.permutations(spans + extra))
    return payload, [piece(start, payload[start:stop], stop < len(payload)) for start, stop in spans]


@given(fragmentations())
def test_any_fragmentation_gives_the_payload_back(case: tuple[bytes, list[Fragment]]) -> None:
    """C2: order, duplication and overlap change nothing."""
    payload, fragments = case
    reassembler = Reassembler()
    whole = [result for fragment in fragments if (result := reassembler.feed(fragment)) is not None]
    assert whole[0] == payload
    assert set(whole) == {payload}
    assert reassembler.counters["conflicting"] == 0


@given(fragmentations(), st.data())
def test_a_hole_never_completes(case: tuple[bytes, list[Fragment]], data: st.DataObject) -> None:
    """C2."""
    payload, fragments = case
    hole = data.draw(st.integers(0, len(payload) - 1))
    reassembler = Reassembler()
    for fragment in fragments:
        if not fragment.offset <= hole < fragment.offset + len(fragment.payload):
            assert reassembler.feed(fragment) is None


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(-8, MAX_PAYLOAD_BYTES),
            st.booleans(),
            st.binary(max_size=40),
            st.integers(0, 40),
        ),
        max_size=60,
    )
)
def test_random_fragments_never_raise_and_are_accounted(
    rows: list[tuple[int, int, bool, bytes, int]],
) -> None:
    reassembler = Reassembler(max_datagrams=2, max_bytes=1000)
    for number, offset, more, payload, second in rows:
        reassembler.feed(piece(offset, payload, more, key=(number,), time_ns=second * SECOND_NS))
        assert len(reassembler) <= 2
        assert 0 <= reassembler.held_bytes <= 1000
        assert (reassembler.held_bytes == 0) == (len(reassembler) == 0)
