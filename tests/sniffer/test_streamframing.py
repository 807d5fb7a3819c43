"""What a connection speaks is told by its first bytes, or by the first segment that shows it."""

from __future__ import annotations

from collections import Counter

import pytest

from bystander.sniffer.streamframing import StreamFramer, worth_following
from tests.websocketkit import frame, switching, upgrade

SIP = b"REGISTER sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n"
LONG = SIP[:-2] + b"X: " + b"y" * 200 + b"\r\n\r\n"
MASK = b"abcd"


@pytest.mark.parametrize(
    ("stream", "transport"),
    [(SIP * 2, "tcp"), (upgrade() + frame(LONG, mask=MASK) * 2, "ws"), (switching() + frame(LONG) * 2, "ws")],
)
@pytest.mark.parametrize("size", [1, 3, 7, 5000])
def test_the_first_bytes_tell(stream: bytes, transport: str, size: int) -> None:
    made = StreamFramer(Counter(), in_step=True)
    found = [message for at in range(0, len(stream), size) for message in made.feed(stream[at : at + size])]
    assert found == [SIP if transport == "tcp" else LONG] * 2
    assert (made.transport, made.confirmed, made.foreign) == (transport, True, False)


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n\r\n", switching("mqtt"), b"\x16\x03\x01\x02\x00\x01" * 3]
)
def test_what_is_neither_is_foreign(first: bytes) -> None:
    made = StreamFramer(Counter(), in_step=True)
    made.feed(first)
    assert made.foreign
    assert not made.confirmed
    assert not worth_following(first)


def test_in_mid_stream_the_first_segment_that_shows_it_tells() -> None:
    made = StreamFramer(Counter(), in_step=False)
    assert made.feed(b"rubbish") == []
    assert made.feed(frame(LONG)) == [LONG]
    assert made.transport == "ws"


def test_the_other_direction_tells() -> None:
    server = StreamFramer(Counter(), in_step=True)
    server.feed(switching())
    client = StreamFramer(Counter(), in_step=False, like=server)
    whole = frame(LONG, mask=MASK)
    assert client.feed(whole[100:]) == []
    assert client.feed(whole) == [LONG]
    assert client.transport == "ws"


def test_a_gap_before_anything_was_seen() -> None:
    made = StreamFramer(Counter(), in_step=True)
    assert made.feed(b"G") == []
    assert made.gap() is None
    assert made.feed(SIP) == [SIP]
