"""Telephone events (RFC 4733): which key was pressed, once per press, when and for how long.

An event is sent many times: updates while the key is down, then its end three times, all with the timestamp
of its beginning. So one timestamp and event code is one press, whatever is lost, repeated or reordered: its
beginning, its end, or all but one packet. Events too long for the duration field go on as a new segment whose
timestamp is where the last one ended (§2.5.1.3). A packet may carry several events end to end (§2.5.1.5).
Markers decide nothing: some senders set them on every packet, some on none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bystander.codecs.packets import PacketRun

#: By event code (RFC 4733 section 3.2). Beyond them: flash, and tones of modems and fax, which are no keys.
DIGITS: Final = "0123456789*#ABCD"
_LONGEST_SEGMENT: Final = 0xFFFF
#: An event first heard of when it was older than this has lost its beginning.
_LATE_NS: Final = 60_000_000
#: Packets of one event are not further apart than this, loss included.
_NEAR_NS: Final = 200_000_000
#: Three packets of 20 ms at 8 kHz.
_SHORT_TICKS: Final = 480
#: What is not explained is taken for events if so many of its packets look like them, and at least so few.
_MOST: Final = 0.95
_FEWEST: Final = 3
_KNOWN_CODES: Final = 17
CLOCKS_HZ: Final = (8000, 16000, 32000, 48000)


@dataclass(slots=True, frozen=True)
class Press:
    """A key pressed: when, on the capture clock, which, and how long as far as it was seen."""

    at_ns: int
    digit: str
    duration_ms: int


@dataclass(slots=True)
class _Event:
    """``age`` is how old it was in its first packet, in ticks."""

    code: int
    ts: int
    first_ns: int
    age: int
    last_ns: int
    duration: int
    ended: bool
    only_ends: bool


def presses(run: PacketRun, clocks: Mapping[int, int]) -> list[Press]:
    """Return the keys pressed in a stream's kept packets, in order of time.

    ``clocks`` has the RTP clock in Hz of each payload type that is telephone events.
    """
    found: list[Press] = []
    for pt, clock_hz in clocks.items():
        found += [_press(event, clock_hz) for event in _joined(_events(run.of_type(pt)))]
    return sorted(found, key=lambda press: press.at_ns)


def _press(event: _Event, clock_hz: int) -> Press:
    before_ns = event.age * 1_000_000_000 // clock_hz
    at_ns = event.first_ns - before_ns if before_ns > _LATE_NS else event.first_ns
    return Press(at_ns, DIGITS[event.code], event.duration * 1000 // clock_hz)


def _events(run: PacketRun) -> list[_Event]:
    """Return the events of packets of one payload type, in the order they began; of keys only."""
    seen: dict[tuple[int, int], _Event] = {}
    order = np.argsort(run.seq, kind="stable").tolist()
    payloads = run.payloads()
    stamps, times = run.ts.tolist(), run.time_ns.tolist()
    for i in order:
        payload, ts, now_ns = payloads[i], stamps[i], times[i]
        parts = [payload[at : at + 4] for at in range(0, len(payload) - 3, 4)]
        #: Ticks from an event's beginning until the packet was sent.
        age = sum(part[2] << 8 | part[3] for part in parts)
        for at, part in enumerate(parts):
            code, end, duration = part[0], bool(part[1] & 0x80), part[2] << 8 | part[3]
            # Zeros behind an event are padding, not a press of 0.
            if code < len(DIGITS) and (duration or not at):
                event = seen.get((code, ts))
                if event is None:
                    seen[code, ts] = _Event(code, ts, now_ns, age, now_ns, duration, end, end)
                else:
                    if now_ns < event.first_ns:
                        event.first_ns, event.age = now_ns, age
                    event.last_ns = max(event.last_ns, now_ns)
                    event.duration = max(event.duration, duration)
                    event.ended = event.ended or end
                    event.only_ends = event.only_ends and end
            ts = (ts + duration) & 0xFFFFFFFF
            age -= duration
    return list(seen.values())


def _joined(events: list[_Event]) -> list[_Event]:
    """Join the segments of long events, and what senders with timestamps of their own make several of."""
    joined: list[_Event] = []
    #: By code: the last segment seen, and the press that it belongs to.
    last: dict[int, tuple[_Event, _Event]] = {}
    for event in events:
        before, whole = last.get(event.code, (None, None))
        if before is not None and whole is not None and _is_next_segment(before, event):
            whole.duration = (event.ts - whole.ts & 0xFFFFFFFF) + event.duration
        elif before is not None and whole is not None and _has_moved(before, event):
            whole.duration = max(whole.duration, event.duration)
        else:
            whole = replace(event)
            joined.append(whole)
        last[event.code] = (event, whole)
    return joined


def _is_next_segment(before: _Event, event: _Event) -> bool:
    """Tell whether a key was held beyond what the duration field can say, and this is how it went on."""
    step = event.ts - before.ts & 0xFFFFFFFF
    if step == _LONGEST_SEGMENT:
        # Also where the segment's last packets were lost.
        return not before.ended or before.duration == _LONGEST_SEGMENT
    return not before.ended and step == before.duration > _SHORT_TICKS and _soon(before, event)


def _has_moved(before: _Event, event: _Event) -> bool:
    """Tell whether this is the same press by a sender that moves the timestamp on with each packet."""
    step = event.ts - before.ts & 0xFFFFFFFF
    if not step or not _soon(before, event):
        return False
    if before.ended:
        return event.only_ends and event.duration == before.duration and step <= _SHORT_TICKS
    return event.age > before.duration and step == event.age - before.duration


def _soon(before: _Event, event: _Event) -> bool:
    return event.first_ns - before.last_ns < _NEAR_NS


def look_like_events(run: PacketRun) -> bool:
    """Tell whether packets whose payload type nobody has explained are telephone events.

    Four bytes each, a known code, the reserved bit clear; and what no codec does: the same timestamp several
    times, with a duration that grows.
    """
    if len(run) < _FEWEST or not (run.size == 4).mean() > _MOST:
        return False
    rows = np.frombuffer(b"".join(p for p in run.payloads() if len(p) == 4), np.uint8).reshape(-1, 4)
    stamps = run.ts[run.size == 4]
    if not ((rows[:, 0] < _KNOWN_CODES) & ((rows[:, 1] & 0x40) == 0)).mean() > _MOST:
        return False
    duration = rows[:, 2].astype(np.int64) << 8 | rows[:, 3]
    same = (stamps[1:] == stamps[:-1]) & (rows[1:, 0] == rows[:-1, 0])
    return bool(same.mean() >= 0.5) and bool((np.diff(duration)[same] >= 0).mean() > _MOST)


def measured_clock(run: PacketRun) -> int:
    """Return the clock that events count in, by how their durations grow with time: one of CLOCKS_HZ."""
    first: dict[tuple[int, int], tuple[int, int]] = {}
    ticks = time_ns = 0
    for ts, now_ns, payload in zip(run.ts.tolist(), run.time_ns.tolist(), run.payloads(), strict=True):
        if len(payload) < 4 or payload[1] & 0x80:
            continue
        duration = payload[2] << 8 | payload[3]
        began_ns, began = first.setdefault((payload[0], ts), (now_ns, duration))
        if now_ns > began_ns and duration > began:
            ticks += duration - began
            time_ns += now_ns - began_ns
    if not time_ns:
        return CLOCKS_HZ[0]
    rate = ticks * 1e9 / time_ns
    return min(CLOCKS_HZ, key=lambda hz: abs(np.log(rate / hz)))
