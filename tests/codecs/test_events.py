"""Telephone events: one press is one digit (C15)."""

from __future__ import annotations

import numpy as np
import pytest

from bystander.codecs.events import look_like_events, measured_clock, presses
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
    return [(press.at_ns // 1_000_000, press.digit) for press in presses(run(packets), {101: 8000})]


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
        (0, 20, event(10, 160)),
        (0, 8191, event(10, 0xFFFF)),
        (0xFFFF, 8291, event(10, 800)),
        (0xFFFF, 8391, event(10, 1600, end=True)),
    ]
    assert digits(long) == [(20, "*")]


def test_other_payload_types_codes_and_scraps_are_not_digits() -> None:
    assert presses(run(PRESS, pt=8), {101: 8000}) == []
    assert digits([(0, 0, event(36, 160)), (0, 0, b"\x05"), (0, 0, b"")]) == []


def test_zeros_behind_an_event_are_padding_and_no_press_of_0() -> None:
    packets = [(1600, 100 + 20 * n, event(5, 160 * n) + bytes(4)) for n in range(1, 4)]
    assert digits(packets) == [(120, "5")]


def test_an_event_that_has_just_begun_is_a_press() -> None:
    """Its duration is still 0; perhaps no other packet of it came."""
    assert digits([(1600, 100, event(0, 0))]) == [(100, "0")]


def held(ts: int, at_ms: int, code: int, packets: int, clock_hz: int = 8000) -> list[tuple[int, int, bytes]]:
    """A key held for so many packets of 20 ms, then its end three times."""
    step = clock_hz // 50
    updates = [(ts, at_ms + 20 * n, event(code, step * (n + 1))) for n in range(packets)]
    last = at_ms + 20 * packets
    return updates + [(ts, last + 20 * n, event(code, step * (packets + 1), end=True)) for n in range(3)]


@pytest.mark.parametrize("clock_hz", [8000, 16000, 48000])
def test_c15_the_duration_is_counted_in_the_clock_of_the_payload_type(clock_hz: int) -> None:
    (press,) = presses(run(held(0xFFFF_FF00, 500, 3, 9, clock_hz)), {101: clock_hz})
    assert (press.at_ns, press.digit, press.duration_ms) == (500_000_000, "3", 200)
    assert measured_clock(run(held(0, 500, 3, 9, clock_hz))) == clock_hz


def test_c15_a_lost_beginning_is_reckoned_from_the_duration() -> None:
    """Only the three end packets came: the key went down 200 ms before the first of them."""
    (press,) = presses(run(held(800, 1000, 7, 9)[-3:]), {101: 8000})
    assert press.at_ns == 980_000_000 and press.duration_ms == 200


def test_c15_a_lost_end_leaves_what_was_seen() -> None:
    (press,) = presses(run(held(800, 1000, 7, 9)[:5]), {101: 8000})
    assert (press.at_ns, press.duration_ms) == (1_000_000_000, 100)


@pytest.mark.parametrize("lost_ends", [False, True])
def test_c15_a_key_held_for_twenty_seconds_is_one_press(lost_ends: bool) -> None:
    """Three segments (§2.5.1.3), each closed by no end packet; the last updates of a segment may be lost."""
    packets, ts, at = [], 0, 0
    for segment in range(3):
        length = 0xFFFF if segment < 2 else 28_930
        ticks = [*range(1600, length, 1600), length]
        packets += [(ts, at + tick // 8, event(5, tick)) for tick in ticks[: -2 if lost_ends else None]]
        at, ts = at + length // 8, ts + length
    packets.append((ts - 28_930, at, event(5, 28_930, end=True)))
    (press,) = presses(run(packets), {101: 8000})
    assert (press.at_ns, press.duration_ms) == (0, (2 * 0xFFFF + 28_930) // 8)


def test_c15_several_events_in_one_packet() -> None:
    """§2.5.1.5: contiguous events; each begins where the one before it ended."""
    packet = event(1, 400, end=True) + event(2, 800, end=True) + event(3, 160)
    assert digits([(5000, 200, packet), (5000, 220, packet)]) == [(30, "1"), (80, "2"), (200, "3")]


@pytest.mark.parametrize("ends", [1, 3])
def test_c15_a_sender_that_moves_the_timestamp_with_each_packet_presses_once(ends: int) -> None:
    packets = [(800 + 160 * n, 20 * n, event(9, 160 * (n + 1))) for n in range(6)]
    packets += [(800 + 160 * (6 + n), 120 + 20 * n, event(9, 1120, end=True)) for n in range(ends)]
    assert digits(packets) == [(0, "9")]


def test_c15_two_presses_whose_ends_were_lost_stay_two() -> None:
    again = held(800 + 8000, 1000, 5, 4)[:3]
    assert digits(held(800, 0, 5, 4)[:3] + again) == [(0, "5"), (1000, "5")]


def test_events_that_no_description_explains_are_known_by_what_they_do() -> None:
    assert look_like_events(run(held(800, 0, 5, 6)))
    assert look_like_events(run(held(800, 0, 5, 6) + held(8000, 900, 11, 3)))
    random = np.random.default_rng(2)
    noise = [(160 * n, 20 * n, random.bytes(4)) for n in range(50)]
    counting = [(160 * n, 20 * n, event(1, n)) for n in range(50)]
    for packets in (noise, counting, held(800, 0, 5, 6)[:2], [(0, 0, bytes(33))] * 9):
        assert not look_like_events(run(packets))


def test_flash_and_tones_are_no_digits_though_they_are_events() -> None:
    flash = held(800, 0, 16, 3)
    assert look_like_events(run(flash)) and digits(flash) == []


def test_c15_ends_far_from_each_other_are_two_presses() -> None:
    """Of two quick presses only the ends are left. A timestamp that moves with each copy moves less."""
    ends = [(800, 40, event(5, 480, end=True)), (800 + 960, 160, event(5, 480, end=True))]
    assert [digit for _, digit in digits(ends)] == ["5", "5"]
    moved = [(800, 40, event(5, 480, end=True)), (800 + 160, 60, event(5, 480, end=True))]
    assert [digit for _, digit in digits(moved)] == ["5"]
