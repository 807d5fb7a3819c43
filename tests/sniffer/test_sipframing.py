"""Messages cut out of a byte stream (C4)."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.sipframing import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_LINE_BYTES,
    SipFramer,
    holds_start_line,
)


def message(number: int, body: bytes = b"", *, start: str = "", end: bytes = b"\r\n") -> bytes:
    line = start or ("SIP/2.0 200 OK" if number % 2 else "INVITE sip:a@b SIP/2.0")
    lines = [line.encode(), b"Call-ID: %d" % number, b"Content-Length: %d" % len(body)]
    return end.join(lines) + end + end + body


def framer(in_step: bool = True) -> SipFramer:
    return SipFramer(Counter(), in_step=in_step)


FIRST, SECOND, THIRD = message(0, b"v=0\r\n"), message(1), message(2, b"x" * 50)


def test_several_messages_in_one_segment_keep_their_order() -> None:
    assert framer().feed(FIRST + SECOND + THIRD) == [FIRST, SECOND, THIRD]


def test_one_message_over_many_segments() -> None:
    one = framer()
    stream = FIRST + SECOND
    found = [m for i in range(len(stream)) for m in one.feed(stream[i : i + 1])]
    assert found == [FIRST, SECOND]
    assert len(one) == 0


def test_keep_alives_are_passed_over() -> None:
    """RFC 5626 section 3.5.1."""
    one = framer()
    assert one.feed(b"\r\n\r\n") == []
    assert one.feed(FIRST + b"\r\n\r\n" + SECOND + b"\r\n") == [FIRST, SECOND]
    assert one.counters["keep-alives"] == 3
    assert one.counters["skipped-bytes"] == 0


@pytest.mark.parametrize("header", [b"l:5", b"Content-Length : 5 ", b"CONTENT-LENGTH:\r\n 5"])
def test_content_length_in_its_forms(header: bytes) -> None:
    """C5."""
    raw = b"SIP/2.0 200 OK\r\nCall-ID: 1\r\n" + header + b"\r\n\r\nhello"
    assert framer().feed(raw + SECOND) == [raw, SECOND]


def test_bare_line_feeds() -> None:
    """C5."""
    raw = message(0, b"a\n\nb", end=b"\n")
    assert framer().feed(raw + SECOND) == [raw, SECOND]


def test_a_body_without_content_length_is_what_came_with_it() -> None:
    raw = b"INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
    assert framer().feed(raw) == [raw]
    assert framer().feed(raw + SECOND) == [raw, SECOND]
    bare = b"SIP/2.0 200 OK\r\nCall-ID: 1\r\n\r\n"
    assert framer().feed(bare + SECOND) == [bare, SECOND]


def test_a_content_length_that_is_too_small_costs_no_other_message() -> None:
    raw = b"INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 2\r\n\r\nab"
    one = framer()
    assert one.feed(raw + b"cdef\r\n" + SECOND + THIRD) == [raw, SECOND, THIRD]
    assert one.counters["resynchronised"] == 1


@pytest.mark.parametrize("length", [b"%d" % (MAX_BODY_BYTES + 1), b"9" * 5000])
def test_an_absurd_content_length_is_not_waited_for(length: bytes) -> None:
    raw = b"INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: " + length + b"\r\n\r\n"
    one = framer()
    assert one.feed(raw + b"junk\r\n" + SECOND) == [raw, SECOND]
    assert one.counters["oversize"] == 1


def test_start_in_mid_stream() -> None:
    """C4: the rest of a body, then whole messages."""
    one = framer(in_step=False)
    assert one.feed(b"a=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n" + SECOND + THIRD) == [SECOND, THIRD]
    assert one.counters["skipped-bytes"] == 34
    assert one.confirmed


def test_start_in_mid_stream_behind_a_body_without_line_ends() -> None:
    """The next segment begins with a start line, though no line does."""
    one = framer(in_step=False)
    assert one.feed(b"...</presence>") == []
    assert one.feed(SECOND) == [SECOND]


def test_a_start_line_split_over_segments_is_found_in_mid_stream() -> None:
    one = framer(in_step=False)
    assert one.feed(b"a=x\r\nINVITE sip:a@b S") == []
    assert one.feed(FIRST[16:]) == [FIRST]


def test_a_quoted_start_line_is_not_believed() -> None:
    """A NOTIFY of a transfer (C8) carries a start line as its body (RFC 3515)."""
    one = framer(in_step=False)
    assert one.feed(b"SIP/2.0 100 Trying\r\n" + FIRST) == [FIRST]
    other = framer(in_step=False)
    assert other.feed(b"SIP/2.0 100 Trying\r\n\r\n" + SECOND + FIRST) == [SECOND, FIRST]


def test_in_step_a_quoted_start_line_is_body() -> None:
    notify = message(4, b"SIP/2.0 200 OK\r\n\r\n" + SECOND, start="NOTIFY sip:a@b SIP/2.0")
    assert framer().feed(notify + THIRD) == [notify, THIRD]


def test_a_gap_cuts_the_message_at_hand() -> None:
    """C4: what is known of it is handed out if its header section is whole."""
    one = framer()
    one.feed(THIRD[:-10])
    assert one.gap() == THIRD[:-10]
    assert one.feed(b"lost\r\n" + SECOND) == [SECOND]
    one.feed(FIRST[:20])
    assert one.gap() is None
    assert one.gap() is None
    assert one.counters["cut-messages"] == 1


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"hello",
        b"\r\n\r\nSSH-2.0-x\r\n",
        b"A" * 100,
        b"a b\0",
    ],
)
def test_a_stream_that_does_not_begin_like_sip_is_foreign(data: bytes) -> None:
    one = framer()
    assert one.feed(data + b"\r\n") == []
    assert one.foreign
    assert not one.confirmed


@pytest.mark.parametrize(
    "data", [b"I", b"INVITE", b"INVITE sip:a", b"SIP/2.", b"\r\n\r\n", b"SIP/2.0 200 OK\r"]
)
def test_too_little_to_tell_is_not_foreign(data: bytes) -> None:
    one = framer()
    one.feed(data)
    assert not one.foreign


def test_nothing_grows_without_bound() -> None:
    """A line, a header section, or junk without end."""
    for start, limit in ((b"", MAX_LINE_BYTES), (b"INVITE sip:a@b SIP/2.0\r\nX: ", MAX_HEAD_BYTES)):
        for in_step in (True, False):
            one = framer(in_step)
            one.feed(start)
            for _ in range(200):
                one.feed(b"y" * 1000)
                assert len(one) <= limit + 1000
    one = framer()
    one.feed(b"INVITE sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 20_000)
    assert one.counters["oversize"] == 1
    assert one.feed(SECOND) == [SECOND]


@pytest.mark.parametrize("filler", [b"\n", b"\r\n", b" ", b" SIP/2.0", b"\nA a:", b"\nSIP/2.0 200\n"])
def test_the_longest_segment_costs_no_more_than_its_length(filler: bytes) -> None:
    """Anything worse than linear would take minutes here."""
    one = framer(in_step=False)
    one.feed(b"A a:" + filler * (65000 // len(filler)))
    assert len(one) <= MAX_HEAD_BYTES


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (FIRST, True),
        (b"\r\n\r\n" + FIRST, True),
        (b"junk\r\n" + FIRST, True),
        (b"</x>" + FIRST, False),
        (b"X: y SIP/2.0\r\n", False),
        (b"GET / HTTP/1.1\r\nUser-Agent: SIP/2.0\r\n\r\n", False),
        (b"", False),
    ],
)
def test_start_lines_are_seen_at_the_start_of_a_segment_or_line(data: bytes, found: bool) -> None:
    assert holds_start_line(data) is found


BODIES = st.binary(max_size=60) | st.sampled_from([b"", b"v=0\r\n", b"SIP/2.0 200 OK\r\n\r\n", SECOND])


@given(
    st.lists(BODIES, max_size=6),
    st.lists(st.integers(1, 400), max_size=12),
    st.sampled_from([b"", b"\r\n\r\n"]),
)
def test_any_segmentation_gives_the_messages_back(bodies: list[bytes], cuts: list[int], blank: bytes) -> None:
    messages = [message(number, body) for number, body in enumerate(bodies)]
    stream = blank.join(messages)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    one = framer()
    found = [m for a, b in pairwise(edges) for m in one.feed(stream[a:b])]
    assert found == messages
    assert one.counters["skipped-bytes"] == 0


@given(
    st.lists(
        st.binary(max_size=50) | st.sampled_from([FIRST, SECOND, FIRST[:30], b"\r\n", b"SIP/2.0 200 OK\r\n"])
    ),
    st.booleans(),
)
def test_random_streams_never_raise_and_come_back_to_sip(chunks: list[bytes], in_step: bool) -> None:
    one = framer(in_step)
    for chunk in chunks:
        one.feed(chunk)
    one.gap()
    assert one.feed(THIRD) == [THIRD]


def test_the_longest_body_is_read_whole() -> None:
    longest = message(0, bytes(MAX_BODY_BYTES))
    one = framer()
    assert one.feed(longest + SECOND) == [longest, SECOND]
    assert one.counters["oversize"] == 0
