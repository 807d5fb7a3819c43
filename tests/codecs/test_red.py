"""Redundant packets (RFC 2198), opened."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bystander.codecs.packets import PacketRun
from bystander.codecs.red import blocks, opened


def red(*parts: tuple[int, int, bytes]) -> bytes:
    """A payload of (payload type, how much older, block); the last one is the primary."""
    heads = b"".join(
        (0x80 << 24 | pt << 24 | older << 10 | len(block)).to_bytes(4, "big")
        for pt, older, block in parts[:-1]
    )
    return heads + bytes([parts[-1][0]]) + b"".join(block for _, _, block in parts)


def run(packets: list[tuple[int, bytes]], pt: int = 97) -> PacketRun:
    """Packets of 20 ms, numbered; number and payload."""
    numbers = np.array([number for number, _ in packets], np.int64)
    return PacketRun(
        numbers + 1000,
        ((numbers * 160 + 0xFFFF_FF00) % 2**32).astype(np.uint32),
        np.full(len(packets), pt, np.uint8),
        numbers * 20_000_000,
        np.array([len(payload) for _, payload in packets], np.int32),
        np.frombuffer(b"".join(payload for _, payload in packets), np.uint8),
    )


def frame(number: int) -> bytes:
    return bytes([number]) * 20


def test_what_came_twice_is_there_once_and_what_was_lost_is_there_after_all() -> None:
    packets = [
        (n, red((8, 320, frame(n - 2)), (8, 160, frame(n - 1)), (8, 0, frame(n)))) for n in range(2, 20)
    ]
    lost = [packet for packet in packets if packet[0] not in (5, 9, 10, 15, 16, 17)]
    inside = opened(run(lost), 8000)
    assert set(inside.pt.tolist()) == {8}
    # Three in a row are one too many for two generations of redundancy.
    there = [n for n in range(20) if n != 15]
    assert [payload[0] for payload in inside.payloads()] == there
    assert (inside.seq - 1000).tolist() == there
    assert inside.ts.tolist() == [(n * 160 + 0xFFFF_FF00) % 2**32 for n in there]
    # When it would have come.
    assert inside.time_ns.tolist() == [n * 20_000_000 for n in there]


def test_blocks_of_several_payload_types() -> None:
    event = bytes([5, 10, 0, 160])
    inside = opened(run([(3, red((101, 160, event), (9, 160, b"old"), (9, 0, b"new")))]), 8000, {101})
    assert list(zip(inside.pt.tolist(), inside.payloads(), strict=True)) == [
        (101, event), (9, b"old"), (9, b"new")
    ]  # fmt: skip


def test_of_events_each_update_is_kept() -> None:
    """The primary of a packet lost said that the event was over; its timestamp is known already."""
    updates = [bytes([5, 10, 0, 160]), bytes([5, 10, 1, 64]), bytes([5, 0x8A, 1, 224])]
    packets = [(0, red((101, 0, updates[0]))), (2, red((101, 320, updates[1]), (101, 320, updates[2])))]
    assert opened(run(packets), 8000, {101}).payloads() == updates


def test_lengths_that_do_not_add_up_are_no_blocks() -> None:
    for payload in (b"", b"\x88", b"\x88\0\0", b"\x88\0\0\x05", b"\x88\0\0\x05\x08abc"):
        assert list(blocks(payload)) == []
    assert not len(opened(run([(0, b"\x88\0")]), 8000))


@given(st.binary(max_size=80))
def test_any_payload_is_survived(payload: bytes) -> None:
    assert sum(len(block) for _, _, block, _ in blocks(payload)) <= len(payload)


@given(
    st.lists(
        st.tuples(st.integers(0, 127), st.integers(0, 0x3FFF), st.binary(max_size=300)),
        min_size=1,
        max_size=4,
    )
)
def test_what_was_packed_is_unpacked(parts: list[tuple[int, int, bytes]]) -> None:
    found = [(pt, older, block) for pt, older, block, _ in blocks(red(*parts))]
    assert found == [*parts[:-1], (parts[-1][0], 0, parts[-1][2])]
