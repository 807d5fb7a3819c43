"""A finished call as JSON: the contract of the outside."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.digits import Pressed
from bystander.finish import Written
from bystander.report import call_object, codec_of, recording_object, rfc3339, stream_object
from bystander.sniffer.calls import CallTable
from bystander.sniffer.recovered import RecoveredStream
from bystander.sniffer.sdp import Format
from bystander.sniffer.sip import Arrival, Message, parse_message
from bystander.sniffer.streams import Figures

S = 1_000_000_000
T0 = int(datetime(2026, 11, 23, 20, 46, tzinfo=UTC).timestamp()) * S


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (T0, "2026-11-23T20:46:00.000Z"),
        (T0 + 123_499_999, "2026-11-23T20:46:00.123Z"),
        (T0 + 123_500_000, "2026-11-23T20:46:00.124Z"),
        (T0 + 999_600_000, "2026-11-23T20:46:01.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (-1_000_000, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_times_have_milliseconds_rounded(time_ns: int, text: str) -> None:
    assert rfc3339(time_ns) == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_time_has_a_text(time_ns: int) -> None:
    """C18"""
    datetime.fromisoformat(rfc3339(time_ns))


@pytest.mark.parametrize(
    ("payload_types", "formats", "codec"),
    [
        ([8], {}, "PCMA"),
        ([0, 8], {}, "PCMU"),
        ([13, 101, 8], {101: Format("TELEPHONE-EVENT", 8000, 1, "")}, "PCMA"),
        ([101], {101: Format("telephone-event", 8000, 1, "")}, None),
        ([111], {111: Format("OPUS", 48000, 2, "")}, "OPUS"),
        ([111], {}, None),
        ([], {}, None),
    ],
)
def test_the_codec_is_the_first_that_is_audio(
    payload_types: list[int], formats: dict[int, Format], codec: str | None
) -> None:
    """C15: comfort noise and events are no codec."""
    assert codec_of(payload_types, formats) == codec


FIGURES = Figures(999, 1, 2, 3, 0.20004, T0 + 20 * S, T0)


def test_a_stream() -> None:
    stream = RecoveredStream(
        1, ("10.0.0.1", 4000), ("fe80::2", 4002), 0xABC, T0, Path("media"), FIGURES, [101, 8]
    )
    told = stream_object(stream, FIGURES, by="caller")
    assert told == {
        "by": "caller",
        "src": "10.0.0.1:4000",
        "dst": "[fe80::2]:4002",
        "ssrc": "0x00000abc",
        "codec": "PCMA",
        "payload_types": [8, 101],
        "packets": 999,
        "lost": 1,
        "duplicates": 2,
        "reordered": 3,
        "jitter_ms": 0.2,
        "first_at": "2026-11-23T20:46:00.000Z",
        "last_at": "2026-11-23T20:46:20.000Z",
        "srtp": False,
        "continues": None,
        "quality": None,
        "tunnel": None,
    }
    assert "by" not in stream_object(stream, FIGURES)


def test_a_recording(tmp_path: Path) -> None:
    written = Written(path=tmp_path / "a" / "b.wav", starts_ns=T0, frames=160_048, sha256="f" * 64)
    assert recording_object(written, tmp_path) == {
        "path": "a/b.wav",
        "channels": 2,
        "sample_rate": 8000,
        "starts_at": "2026-11-23T20:46:00.000Z",
        "duration_s": 20.006,
        "sha256": "f" * 64,
    }
    assert recording_object(Written(), tmp_path) is None


def message(text: str, at_s: float) -> Arrival:
    head, _, more = text.partition("\n")
    transaction = "bye" if head.startswith("BYE") else "invite"
    raw = (
        f"{head}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK{transaction}\r\n"
        f"From: Ann <sip:101@x>;tag=a\r\nTo: <sip:102@x>{more}\r\nCall-ID: one@x\r\n"
        f"CSeq: 1 {'INVITE' if head.startswith('SIP') else head.split()[0]}\r\n\r\n"
    ).encode()
    parsed = parse_message(raw)
    assert isinstance(parsed, Message)
    ends = (("10.0.0.1", 5060), ("10.0.0.2", 5060))
    return Arrival(T0 + int(at_s * S), *(ends[::-1] if head.startswith("SIP") else ends), "udp", parsed, raw)


def told(
    *messages: Arrival, written: Written, excluded: str | None = None, loss: bool = False
) -> dict[str, object]:
    table = CallTable()
    for each in messages:
        table.feed(each)
    (call,) = table.close(T0 + 100 * S)
    return call_object(call, [], written, Path(), capture_loss=loss, excluded=excluded)


INVITE = message("INVITE sip:102@x SIP/2.0\n", 0)
ANSWER = message("SIP/2.0 200 OK\n;tag=b", 2)
BYE = message("BYE sip:102@x SIP/2.0\n;tag=b", 22.5)


def test_an_answered_call() -> None:
    written = Written(
        heard={"caller", "callee"},
        presses=[
            Pressed(T0 + 4 * S, "*", "callee", "rfc4733", 100),
            Pressed(T0 + 5 * S, "#", "caller", "rfc4733", 80),
        ],
    )
    call = told(INVITE, ANSWER, BYE, written=written)
    assert json.loads(json.dumps(call)) == call
    assert {
        name: call[name] for name in ("call_id", "caller", "callee", "caller_name", "state", "verdict")
    } == {
        "call_id": "one@x",
        "caller": "101",
        "callee": "102",
        "caller_name": "Ann",
        "state": "answered",
        "verdict": "recorded",
    }
    assert (call["duration_s"], call["ended_by"], call["final_status"]) == (20.5, "caller", 200)
    assert (call["answered_at"], call["recording"]) == ("2026-11-23T20:46:02.000Z", None)
    assert [(press["digit"], press["by"], press["method"]) for press in call["dtmf"]] == [  # type: ignore[attr-defined]
        ("*", "callee", "rfc4733"),
        ("#", "caller", "rfc4733"),
    ]


def test_a_call_that_nobody_took_has_no_verdict_and_no_length() -> None:
    call = told(INVITE, message("SIP/2.0 486 Busy\n;tag=b", 2), written=Written())
    assert (call["state"], call["verdict"], call["duration_s"], call["answered_at"]) == (
        "busy",
        None,
        0.0,
        None,
    )


@pytest.mark.parametrize(
    ("written", "excluded", "loss", "verdict"),
    [
        (Written(heard={"caller"}), None, False, "one-way"),
        (Written(), None, False, "no-media"),
        (Written(encrypted=True), None, False, "encrypted"),
        (Written(unsupported={"OPUS"}), None, False, "unsupported-codec"),
        (Written(heard={"caller", "callee"}), None, True, "partial"),
        (Written(), "no space", False, "excluded"),
    ],
)
def test_every_answered_call_has_a_verdict(
    written: Written, excluded: str | None, loss: bool, verdict: str
) -> None:
    call = told(INVITE, ANSWER, BYE, written=written, excluded=excluded, loss=loss)
    assert call["verdict"] == verdict
