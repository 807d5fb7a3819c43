"""Telephone events: one press is one digit (C15)."""

from __future__ import annotations

import numpy as np

from bystander.codecs.events import presses
from bystander.codecs.packets import PacketRun


def run(packets: list[tuple[int, int, bytes]], pt: int = 101) -> PacketRun:
    """Build a run of (timestamp, time in ms, payload)."""
    sizes = [len(payload) for _, _, payload in packets]
    n = len(packets)
    return PacketRun(
        np.arange(n, dtype=np.int64),
        np.array([ts for ts, _, _ in packets], np.uint32),
        np.full(n, pt, np.uint8),
        np.array([at * 1_000_000 for _, at, _ in packets], np.int64),
        np.array(sizes, np.int32),
        np.frombuffer(b"".join(payload for _, _, payload in packets), np.uint8),
    )


def event(code: int, duration: int, end: bool = False) -> bytes:
    return bytes([code, 0x80 if end else 0]) + duration.to_bytes(2, "big")


def digits(packets: list[tuple[int, int, bytes]]) -> list[tuple[int, str]]:
    return [(press.at_ns // 1_000_000, press.digit) for press in presses(run(packets), {101})]


PRESS = [
    (800, 0, event(5, 160)),
    (800, 20, event(5, 320)),
    *[(800, 40 + i, event(5, 480, end=True)) for i in range(4)],
]


def test_updates_and_four_ends_are_one_press() -> None:
    assert digits(PRESS) == [(0, "5")]


def test_reordered_and_without_its_end_or_its_beginning() -> None:
    assert digits(PRESS[::-1]) == [(0, "5")]
    assert digits(PRESS[:2]) == [(0, "5")]
    assert digits(PRESS[3:4]) == [(41, "5")]


def test_the_same_key_twice_is_two_presses() -> None:
    again = [(4000, 400 + at, payload) for _, at, payload in PRESS]
    assert digits(PRESS + again) == [(0, "5"), (400, "5")]


def test_a_key_held_down_beyond_the_duration_field_is_one_press() -> None:
    long = [
        (0, 0, event(10, 0xFFFF)),
        (0xFFFF, 8192, event(10, 800)),
        (0xFFFF, 8300, event(10, 1600, end=True)),
    ]
    assert digits(long) == [(0, "*")]


def test_other_payload_types_codes_and_scraps_are_not_digits() -> None:
    assert presses(run(PRESS, pt=8), {101}) == []
    assert digits([(0, 0, event(36, 160)), (0, 0, b"\x05"), (0, 0, b"")]) == []


def test_zeros_behind_an_event_are_padding_and_no_press_of_0() -> None:
    packets = [(1600, 100 + 20 * n, event(5, 160 * n) + bytes(4)) for n in range(1, 4)]
    assert digits(packets) == [(120, "5")]


def test_an_event_that_has_just_begun_is_a_press() -> None:
    """Its duration is still 0; perhaps no other packet of it came."""
    assert digits([(1600, 100, event(0, 0))]) == [(100, "0")]
