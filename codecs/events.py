"""Telephone events (RFC 4733): which key was pressed, once per press.

An event is sent many times: updates while the key is down, then its end three times, all with the timestamp
of its beginning. So one timestamp and event code is one press, whatever is lost, repeated or reordered.
Events too long for the duration field go on as a new segment whose timestamp is where the last one ended.
"""

from __future__ import annotations

from dataclasses import dataclass

from bystander.codecs.packets import PacketRun

#: By event code (RFC 4733 section 3.2).
DIGITS = "0123456789*#ABCD"
_LONGEST_SEGMENT = 0xFFFF


@dataclass(slots=True, frozen=True)
class Press:
    """A key pressed: when its first packet was captured, and which."""

    at_ns: int
    digit: str


def presses(run: PacketRun, payload_types: set[int]) -> list[Press]:
    """Return the keys pressed in a stream's kept packets of the given payload types, in order of time."""
    seen: dict[tuple[int, int], int] = {}
    segment_ends: set[tuple[int, int]] = set()
    for pt, ts, time_ns, payload in zip(
        run.pt.tolist(), run.ts.tolist(), run.time_ns.tolist(), run.payloads(), strict=True
    ):
        if pt not in payload_types:
            continue
        # A packet may carry several events end to end (RFC 4733 §2.5.1.5), each four bytes.
        for at in range(0, len(payload) - 3, 4):
            code, duration = payload[at], payload[at + 2] << 8 | payload[at + 3]
            # Zeros behind an event are padding, not a press of 0.
            if code < len(DIGITS) and (duration or not at):
                if duration == _LONGEST_SEGMENT:
                    segment_ends.add((code, (ts + duration) & 0xFFFFFFFF))
                seen[code, ts] = min(seen.get((code, ts), time_ns), time_ns)
            ts = (ts + duration) & 0xFFFFFFFF
    found = [Press(at, DIGITS[code]) for (code, ts), at in seen.items() if (code, ts) not in segment_ends]
    return sorted(found, key=lambda press: press.at_ns)
