"""SIP over TCP: segments in any order, from any point, with holes (C4)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.address import Endpoint
from bystander.sniffer.tcp import FIN, RST, SYN, WINDOW_BYTES, Segment, SipOverTcp

PHONE: Endpoint = ("10.0.0.1", 40000)
SERVER: Endpoint = ("10.0.0.2", 5060)
SECOND_NS = 1_000_000_000
TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00"


def message(number: int, body: bytes = b"v=0\r\n") -> bytes:
    line = b"SIP/2.0 200 OK" if number % 2 else b"INVITE sip:a@b SIP/2.0"
    return line + b"\r\nCall-ID: %d\r\nContent-Length: %d\r\n\r\n" % (number, len(body)) + body


FIRST, SECOND, THIRD = message(0), message(1, b""), message(2, b"x" * 100)


class Wire:
    """One direction of a connection as it is captured; every segment is a millisecond after the last."""

    def __init__(self, sip: SipOverTcp, *, initial_seq: int = 1000, back: bool = False) -> None:
        self.sip = sip
        self.src, self.dst = (SERVER, PHONE) if back else (PHONE, SERVER)
        self.initial_seq = initial_seq
        self.now_ns = 0
        self.times: list[int] = []

    def send(
        self, at: int, payload: bytes = b"", flags: int = 0, *, later_ns: int = 1_000_000
    ) -> list[bytes]:
        """Capture a segment ``at`` bytes into the stream."""
        self.now_ns += later_ns
        seq = (self.initial_seq + 1 + at) % (1 << 32)
        found = self.sip.feed(Segment(self.src, self.dst, seq, flags, payload, self.now_ns))
        self.times += [time_ns for time_ns, *_ in found]
        assert all((src, dst) == (self.src, self.dst) for _, src, dst, _, _ in found)
        return [raw for *_, raw in found]

    def open(self) -> None:
        assert self.send(-1, b"", SYN) == []


def opened(**settings: float) -> Wire:
    wire = Wire(SipOverTcp(**settings))  # type: ignore[arg-type]
    wire.open()
    return wire


def test_messages_in_one_segment_share_its_time_and_keep_their_order() -> None:
    wire = opened()
    assert wire.send(0, FIRST + SECOND + THIRD) == [FIRST, SECOND, THIRD]
    assert wire.times == [2_000_000] * 3


def test_a_message_bears_the_time_of_the_segment_that_completed_it() -> None:
    wire = opened()
    assert wire.send(0, FIRST[:20]) == []
    assert wire.send(20, FIRST[20:]) == [FIRST]
    assert wire.times == [3_000_000]


def test_reordered_segments_wait_for_the_missing_one() -> None:
    wire = opened()
    stream = FIRST + SECOND + THIRD
    assert wire.send(60, stream[60:90]) == []
    assert wire.send(90, stream[90:]) == []
    assert wire.send(0, stream[:60]) == [FIRST, SECOND, THIRD]
    assert wire.sip.counters["reordered"] == 2
    assert wire.sip.held_bytes == 0


def test_retransmissions_and_overlaps_are_trimmed() -> None:
    wire = opened()
    assert wire.send(0, FIRST) == [FIRST]
    assert wire.send(0, FIRST) == []
    assert wire.send(10, (FIRST + SECOND)[10:]) == [SECOND]
    assert wire.send(-1, b"\0") == []  # a keep-alive of TCP itself
    assert wire.sip.counters["retransmitted"] == 2


def test_sequence_numbers_wrap() -> None:
    sip = SipOverTcp()
    wire = Wire(sip, initial_seq=(1 << 32) - 30)
    wire.open()
    stream = FIRST + SECOND
    assert wire.send(40, stream[40:]) == []
    assert wire.send(0, stream[:40]) == [FIRST, SECOND]


def test_a_lost_segment_is_passed_over_after_a_while() -> None:
    """C4: the stream goes on at the next start line; the message cut short is handed out."""
    wire = opened(hold_s=5)
    assert wire.send(0, THIRD[:-50]) == []
    at = len(THIRD)
    assert wire.send(at, SECOND) == []
    assert wire.send(at + len(SECOND), FIRST, later_ns=4 * SECOND_NS) == []
    at += len(SECOND + FIRST)
    assert wire.send(at, THIRD, later_ns=2 * SECOND_NS) == [THIRD[:-50], SECOND, FIRST, THIRD]
    assert wire.sip.counters["holes"] == 1
    assert wire.times == sorted(wire.times)
    assert wire.times[1] == 3_000_000
    assert wire.send(at + len(THIRD), SECOND) == [SECOND]


def test_a_lost_connection_opening_is_passed_over() -> None:
    wire = opened()
    wire.send(len(FIRST), SECOND)
    assert wire.send(len(FIRST + SECOND), THIRD, later_ns=6 * SECOND_NS) == [SECOND, THIRD]


def test_another_connection_ends_the_wait() -> None:
    wire = opened()
    wire.send(50, SECOND)
    other = Segment(("9.9.9.9", 1), ("9.9.9.8", 2), 0, 0, b"x", 10 * SECOND_NS)
    assert [raw for *_, raw in wire.sip.feed(other)] == [SECOND]


def test_the_wait_is_bounded_in_segments_and_bytes() -> None:
    wire = opened()
    found = [m for i in range(wire.sip.MAX_HELD + 1) for m in wire.send(50 + i * len(SECOND), SECOND)]
    assert found == [SECOND] * (wire.sip.MAX_HELD + 1)
    wire = opened()
    body = message(0, b"x" * 60_000)
    found = [m for i in range(18) for m in wire.send(50 + i * len(body), body)]
    assert found == [body] * 18


@pytest.mark.parametrize("rest", [b"", b"a=rtpmap:8 PCMA/8000\r\n", b"\r\n\r\n", THIRD[-80:] + b"\r\n"])
def test_start_in_mid_stream(rest: bytes) -> None:
    wire = Wire(SipOverTcp())
    assert wire.send(5_000, rest + SECOND) == [SECOND]
    assert wire.send(5_000 + len(rest + SECOND), THIRD) == [THIRD]


def test_start_in_mid_message() -> None:
    """C4: segments before the next start line tell nothing, and cost nothing."""
    wire = Wire(SipOverTcp())
    assert wire.send(0, FIRST[30:]) == []
    assert len(wire.sip) == 0
    assert wire.send(len(FIRST) - 30, SECOND[:20]) == []
    assert wire.send(len(FIRST) - 10, SECOND[20:]) == [SECOND]


def test_an_answer_is_followed_before_its_first_start_line() -> None:
    sip = SipOverTcp()
    assert Wire(sip).send(0, FIRST) == [FIRST]
    back = Wire(sip, back=True)
    assert back.send(0, b"v=0\r\nSIP/2.0 20") == []
    assert back.send(15, SECOND[10:]) == [SECOND]


def test_on_connection_names_each_direction_once() -> None:
    """Before its first message is whole: the caller must not filter the rest of it away."""
    found: list[tuple[Endpoint, Endpoint]] = []
    sip = SipOverTcp(on_connection=lambda src, dst: found.append((src, dst)))
    wire = Wire(sip)
    wire.send(0, FIRST[:30])
    assert found == [(PHONE, SERVER)]
    wire.send(30, FIRST[30:] + SECOND)
    Wire(sip, back=True).send(0, SECOND)
    assert found == [(PHONE, SERVER), (SERVER, PHONE)]


def test_a_connection_that_does_not_begin_like_sip_is_rejected() -> None:
    wire = opened()
    assert wire.send(0, TLS_HELLO) == []
    assert (len(wire.sip), wire.sip.held_bytes) == (0, 0)
    assert wire.sip.counters["rejected-connections"] == 1
    assert wire.send(len(TLS_HELLO), FIRST) == []
    assert Wire(wire.sip, back=True).send(0, TLS_HELLO) == []
    assert wire.sip.counters["rejected-segments"] == 2
    # The ports are used again.
    wire.initial_seq += 1_000_000
    wire.open()
    assert wire.send(0, FIRST) == [FIRST]


def test_rejection_spares_nothing_behind_a_fin() -> None:
    wire = opened()
    assert wire.send(0, TLS_HELLO, FIN) == []
    assert (len(wire.sip), wire.sip.held_bytes) == (0, 0)


def test_a_foreign_line_does_not_reject_what_the_other_direction_confirms() -> None:
    sip = SipOverTcp()
    Wire(sip, back=True).send(0, SECOND)
    wire = Wire(sip)
    wire.open()
    assert wire.send(0, b"junk\r\n") == []
    assert wire.send(6, FIRST) == [FIRST]


def test_patience_with_a_connection_in_mid_stream_ends() -> None:
    wire = Wire(SipOverTcp())
    for i in range(wire.sip.PATIENCE):
        wire.send(i, b"x")
    assert wire.send(100, FIRST) == []
    assert wire.sip.counters["rejected-segments"] == 1
    assert wire.send(0, b"", RST) == []
    assert wire.send(100, FIRST) == [FIRST]


def test_tables_are_bounded() -> None:
    sip = SipOverTcp(max_directions=10)
    sip.MAX_REMEMBERED = 20  # type: ignore[misc]
    for port in range(100):
        sip.feed(Segment(("10.0.0.1", port), SERVER, 0, SYN, b"", port))
    for port in range(100):
        sip.feed(Segment(("10.0.0.3", port), SERVER, 0, 0, FIRST, port))
        sip.feed(Segment(("10.0.0.4", port), SERVER, 0, 0, b"x", port))
    assert len(sip) == 10
    assert sip.counters["evicted"] == 90
    assert len(sip._openings) == len(sip._suspects) == 20
    sip = SipOverTcp(max_bytes=100_000)
    for port in range(100):
        sip.feed(Segment(("10.0.0.3", port), SERVER, 0, 0, THIRD[:-1] + b"", port))
        sip.feed(Segment(("10.0.0.3", port), SERVER, 5000, 0, b"y" * 10_000, port))
        assert sip.held_bytes <= 100_000
    assert 5 < len(sip) < 20


def test_a_syn_once_more_changes_nothing() -> None:
    wire = opened()
    wire.send(0, FIRST[:20])
    wire.open()
    assert wire.send(20, FIRST[20:]) == [FIRST]


def test_a_late_syn_is_told_from_a_new_connection() -> None:
    wire = Wire(SipOverTcp())
    wire.send(0, FIRST[:30])
    wire.open()
    assert wire.send(30, FIRST[30:]) == [FIRST]


def test_the_ports_may_be_used_again() -> None:
    wire = opened()
    wire.send(0, THIRD[:-50])
    wire.initial_seq += 100_000
    assert wire.send(-1, b"", SYN) == [THIRD[:-50]]
    assert wire.send(0, FIRST) == [FIRST]


def test_the_ports_may_be_used_again_unseen() -> None:
    wire = opened()
    assert wire.send(0, FIRST) == [FIRST]
    wire.initial_seq += 1 << 30
    assert wire.send(500, b"stray") == []
    assert wire.sip.counters["out-of-window"] == 1
    assert wire.send(700, SECOND) == [SECOND]
    assert wire.send(700 + len(SECOND), THIRD) == [THIRD]
    assert wire.sip.held_bytes == 0


def test_fin_ends_the_stream_and_late_copies_are_known() -> None:
    """C13: the last segment may be mirrored twice."""
    wire = opened()
    assert wire.send(0, FIRST + THIRD[:-10], FIN) == [FIRST, THIRD[:-10]]
    assert wire.send(0, FIRST + THIRD[:-10], FIN) == []
    wire.sip.feed(Segment(("9.9.9.9", 1), SERVER, 0, 0, b"x", wire.now_ns + 61 * SECOND_NS))
    assert len(wire.sip) == 0


def test_a_fin_behind_a_hole_waits_for_it() -> None:
    wire = opened()
    assert wire.send(len(FIRST), SECOND, FIN) == []
    assert wire.send(0, FIRST) == [FIRST, SECOND]


def test_reset_gives_up_the_holes() -> None:
    wire = opened()
    wire.send(len(FIRST), SECOND)
    assert wire.send(len(FIRST), b"", RST) == [SECOND]


def test_an_idle_connection_is_forgotten_by_segment_time() -> None:
    wire = opened(idle_s=100)
    wire.send(0, FIRST)
    wire.sip.feed(Segment(("9.9.9.9", 1), SERVER, 0, 0, b"x", wire.now_ns + 99 * SECOND_NS))
    assert len(wire.sip) == 1
    wire.sip.feed(Segment(("9.9.9.9", 1), SERVER, 0, 0, b"x", wire.now_ns + 102 * SECOND_NS))
    assert len(wire.sip) == 0
    assert wire.sip.counters["expired"] == 1
    assert wire.send(len(FIRST), SECOND) == [SECOND]


def test_flush_hands_out_what_waits_behind_holes() -> None:
    wire = opened()
    wire.send(len(FIRST), SECOND + THIRD[:-5])
    assert [raw for *_, raw in wire.sip.flush()] == [SECOND, THIRD[:-5]]
    assert wire.sip.flush() == []
    assert (len(wire.sip), wire.sip.held_bytes) == (0, 0)


BODIES = st.binary(max_size=40) | st.sampled_from(
    [b"", b"v=0\r\n", b"SIP/2.0 200 OK\r\n", SECOND, b"\r\n\r\n"]
)


@st.composite
def captures(draw: st.DrawFn) -> tuple[list[bytes], list[tuple[int, bytes]]]:
    """Messages, and segments that carry them: cut anywhere, overlapping, twice, in any order."""
    messages = [
        message(number, body) for number, body in enumerate(draw(st.lists(BODIES, min_size=1, max_size=5)))
    ]
    stream = draw(st.sampled_from([b"", b"\r\n\r\n"])).join(messages)
    cuts = sorted({0, len(stream), *draw(st.lists(st.integers(1, len(stream) - 1), max_size=10))})
    spans = list(pairwise(cuts))
    ends = st.integers(0, len(stream))
    spans += draw(st.lists(st.tuples(ends, ends).filter(lambda span: span[0] < span[1]), max_size=6))
    return messages, [(start, stream[start:stop]) for start, stop in draw(st.permutations(spans))]


@given(captures(), st.sampled_from([0, 1000, (1 << 31) - 20, (1 << 32) - 100, (1 << 32) - 1]))
def test_any_segmentation_duplication_and_order_gives_the_messages(
    case: tuple[list[bytes], list[tuple[int, bytes]]], initial_seq: int
) -> None:
    """C4."""
    messages, segments = case
    wire = Wire(SipOverTcp(), initial_seq=initial_seq)
    wire.open()
    found = [raw for at, payload in segments for raw in wire.send(at, payload)]
    assert found == messages
    assert wire.times == sorted(wire.times)
    assert wire.sip.held_bytes == 0
    assert wire.sip.counters["messages"] == len(messages)


@given(captures(), st.data())
def test_after_any_loss_the_stream_is_found_again(
    case: tuple[list[bytes], list[tuple[int, bytes]]], data: st.DataObject
) -> None:
    """C4: messages behind the loss arrive, whatever went before."""
    _, segments = case
    wire = opened()
    for at, payload in segments:
        if data.draw(st.booleans()):
            wire.send(at, payload)
    end = max(at + len(payload) for at, payload in segments)
    found = wire.send(end + 10, THIRD)
    found += wire.send(end + 10 + len(THIRD), SECOND, later_ns=20 * SECOND_NS)
    assert found[-2:] == [THIRD, SECOND]


SEGMENTS = st.builds(
    Segment,
    st.sampled_from([PHONE, SERVER]),
    st.sampled_from([PHONE, SERVER, ("::1", 1)]),
    st.integers(0, 300) | st.integers(0, (1 << 32) - 1),
    st.sampled_from([0, 0, 0, SYN, FIN, RST, 255]),
    st.binary(max_size=30)
    | st.sampled_from([FIRST, SECOND, THIRD, THIRD[:60], b"\r\n", b"SIP/2.0 200 OK\r\n"]),
    st.integers(0, 20 * SECOND_NS) | st.integers(-(1 << 62), 1 << 62),
)


@given(st.lists(SEGMENTS, max_size=40))
def test_random_segments_never_raise_and_are_accounted(segments: list[Segment]) -> None:
    """C18: times that run backwards included."""
    sip = SipOverTcp(max_directions=3, max_bytes=600)
    count = 0
    for segment in segments:
        count += len(sip.feed(segment))
        assert len(sip) <= 3
        assert sip.held_bytes == sum(direction.cost for direction in sip._directions.values())
    count += len(sip.flush())
    assert sip.counters["messages"] == count


def test_an_opening_says_nothing_of_what_is_far_from_it() -> None:
    """The connection that it opened was never seen, and its ports are used again."""
    wire = opened()
    assert wire.send(WINDOW_BYTES + 1000, FIRST) == [FIRST]


def test_of_two_segments_behind_a_hole_the_longer_one_is_kept() -> None:
    """RFC 9293 section 3.8.1: what is sent again may be packed anew."""
    wire = opened()
    assert wire.send(20, FIRST[20:40]) == []
    assert wire.send(20, FIRST[20:]) == []
    assert wire.send(0, FIRST[:20]) == [FIRST]
