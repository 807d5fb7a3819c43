"""Keys in signalling, hidden: as long as before, and a message still."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.maskedinfo import hidden, masked
from bystander.sniffer.sip import Arrival, Message, parse_message


def arrival(
    body: bytes, kind: str = "application/dtmf-relay", method: str = "INFO", length: int = -1
) -> Arrival:
    raw = (
        f"\r\n{method} sip:5551@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK12\r\n"
        f"From: <sip:1234@x>;tag=12\r\nTo: <sip:5678@x>;tag=34\r\nCall-ID: 1234\r\nCSeq: 7 {method}\r\n"
        + (f"Content-Type: {kind}\r\n" if kind else "")
        + f"Content-Length: {len(body) if length < 0 else length}\r\n\r\n"
    ).encode() + body
    message = parse_message(raw)
    assert isinstance(message, Message)
    return Arrival(7, ("10.0.0.2", 5060), ("10.0.0.1", 5060), "udp", message, raw)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"Signal=5\r\nDuration=160\r\n", b"Signal=x\r\nDuration=160\r\n"),
        (b"Signal= 5 \r\nDuration= 160\r\n", b"Signal= x \r\nDuration= 160\r\n"),
        (b"signal = #\nduration=100", b"signal = x\nduration=100"),
        (b"Duration=160\r\nSignal=11", b"Duration=160\r\nSignal=xx"),
        (b"Signal=D", b"Signal=x"),
        (b"5", b"x"),
        (b" *\r\n", b" x\r\n"),
        (b"4 9 1 6\r\n", b"x x x x\r\n"),
        (b"p=Digit-Collection\r\nd=Digits=4916\r\n", b"p=Digit-Collection\r\nd=Digits=xxxx\r\n"),
        (b'<kpml-response version="1.0" code="200" digits="1234*" tag="dtmf"/>',
         b'<kpml-response version="1.0" code="200" digits="xxxxx" tag="dtmf"/>'),
    ],
)  # fmt: skip
def test_keys_are_hidden_and_nothing_else(body: bytes, shown: bytes) -> None:
    before = arrival(body)
    after = masked(before)
    assert after.message.body == shown and len(after.raw) == len(before.raw)
    assert after.raw[: -len(body)] == before.raw[: -len(body)]
    assert (after.time_ns, after.src, after.dst, after.message.call_id, after.message.cseq) == (
        7, before.src, before.dst, "1234", 7
    )  # fmt: skip


@pytest.mark.parametrize(("method", "kind"), [("INFO", ""), ("NOTIFY", "application/kpml-response+xml")])
def test_a_message_that_was_dealt_with_is_hidden_by_its_bytes(method: str, kind: str) -> None:
    before = arrival(b'<kpml-response digits="1234"/>', kind, method)
    before.message.forget()
    assert masked(before).raw.endswith(b'<kpml-response digits="xxxx"/>')


def test_behind_what_content_length_says_and_without_a_type() -> None:
    """What is kept are the bytes, whatever the message says of them."""
    assert b"5" not in masked(arrival(b"Signal=5", length=0)).raw[-8:]
    assert masked(arrival(b"Signal=5", kind="")).raw.endswith(b"Signal=x")


@pytest.mark.parametrize(
    "untouched",
    [
        arrival(b"v=0\r\ns=-\r\n5\r\n", "application/sdp", "INVITE"),
        arrival(b"Voice-Message: 2/8\r\n", "application/simple-message-summary", "NOTIFY"),
        arrival(b'<media_control><vc_primitive/></media_control>', "application/media_control+xml"),
        arrival(b"", ""),
    ],
)  # fmt: skip
def test_other_messages_are_what_they_were(untouched: Arrival) -> None:
    assert masked(untouched) is untouched


@given(st.binary(max_size=200))
def test_any_body_keeps_its_length(body: bytes) -> None:
    assert len(hidden(body)) == len(body)
    before = arrival(body)
    assert len(masked(before).raw) == len(before.raw)
