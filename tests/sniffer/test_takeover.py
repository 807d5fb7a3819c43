"""Streams that go on in the next call: whose they are from when on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.calls import CallTable
from bystander.sniffer.takeover import audio_endpoints

A, B, C = ("10.0.0.1", 4000), ("10.0.0.2", 5000), ("10.0.0.3", 6000)


def over_of(table: CallTable, messages: list[Any], streams: list[Any]) -> set[int]:
    """Feed messages, and streams after the third; return those that are over."""
    over: set[int] = set()
    for number, arrival in enumerate(messages):
        if number == 3:
            for stream in streams:
                table.stream_started(stream)
        table.feed(arrival)
        over |= {stream.id for stream in table.streams_taken_over()}
    return over


@pytest.mark.parametrize(
    ("offer", "answer", "taken"),
    [(A, B, True), (B, A, True), (A, C, False), (C, B, False), (A, None, False), (None, None, False)],
)
def test_c10_both_ends_are_another_call_s(kit: Any, offer: Any, answer: Any, taken: bool) -> None:
    first = kit.Scene()
    second = kit.Scene(call_id="next@x", from_tag="n", to_tag="m")
    messages = [*first.normal(bye=12)]
    messages.append(second.request(12.1, "INVITE", 1, kit.sdp(*offer) if offer else b""))
    messages.append(second.response(12.2, 200, 1, kit.sdp(*answer) if answer else b""))
    streams = first.media(last=14)
    table = CallTable()
    over = over_of(table, messages, streams)
    assert over == ({one.id for one in streams} if taken else set())
    assert table.streams_taken_over() == []
    assert all(table.ended_at(endpoint) for endpoint in (A, B))
    assert not table.ended_at(C)


def test_c10_what_is_named_while_the_first_call_lasts_is_not_taken(kit: Any) -> None:
    """A back-to-back user agent that only signals names the same ends on both sides of it."""
    first = kit.Scene()
    second = kit.Scene(call_id="other@x", from_tag="n", to_tag="m")
    messages = [
        *first.normal(bye=None),
        second.request(3, "INVITE", 1, kit.sdp(*A)),
        second.response(3.1, 200, 1, kit.sdp(*B)),
        first.request(12, "BYE", 9, dialog=True),
        second.request(12.1, "BYE", 9, dialog=True),
    ]
    assert over_of(CallTable(), messages, first.media(last=14)) == set()


def test_where_audio_is_sent_to() -> None:
    session = b"v=0\r\nc=IN IP4 010.000.000.001\r\nm=audio 4000 RTP/AVP 8\r\nm=video 4002 RTP/AVP 96\r\n"
    assert audio_endpoints(session, "10.0.0.1") == [A]
    own = b"m=audio 4000/2 RTP/AVP 0\nc=IN IP6 2001:DB8::0:1\n"
    assert audio_endpoints(own, "10.0.0.1") == [("2001:db8::1", 4000)]
    assert audio_endpoints(b"v=0\r\nc=IN IP4 10.0.0.1\r\nm=image 4000 udptl t38\r\n", "10.0.0.1") == []


@given(st.binary(max_size=300))
def test_no_bytes_raise(raw: bytes) -> None:
    for text in (raw, b"c=IN IP4 " + raw + b"\r\nm=audio " + raw):
        for host, port in audio_endpoints(text, "10.0.0.1"):
            assert isinstance(host, str)
            assert 0 <= port <= 99_999
