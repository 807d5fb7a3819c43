"""Session timers: a dialog that is not refreshed is dead when its interval has passed (RFC 4028)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.sessiontimer import GRACE_NS, SessionTimer, interval_s
from bystander.sniffer.sip import Message, parse_message

S = 1_000_000_000


def message(start: str, method: str, expires: str | None) -> Message:
    lines = [
        start,
        "Call-ID: 1",
        f"CSeq: 1 {method}",
        *([] if expires is None else [f"Session-Expires: {expires}"]),
    ]
    found = parse_message("\r\n".join([*lines, "", ""]).encode())
    assert isinstance(found, Message)
    return found


def ok(expires: str | None, method: str = "INVITE") -> Message:
    return message("SIP/2.0 200 OK", method, expires)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("1800", 1800), ("1800;refresher=uac", 1800), (" 90 ;x", 90), ("10", 90), ("soon", None), ("", None),
     ("99999999999", None), ("9999999999", 10_000_000), ("-5", None)],
)  # fmt: skip
def test_what_the_header_says(value: str, seconds: int | None) -> None:
    assert interval_s(ok(value)) == seconds


def test_the_compact_form() -> None:
    found = parse_message(b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\nx: 600;refresher=uas\r\n\r\n")
    assert isinstance(found, Message)
    assert interval_s(found) == 600


def test_each_answer_begins_the_interval_anew_and_one_without_ends_the_timer() -> None:
    timer = SessionTimer()
    timer.observe(message("INVITE sip:a@b SIP/2.0", "INVITE", "1800"), 0)
    assert timer.deadline_ns is None
    timer.observe(ok("600"), 10 * S)
    assert timer.deadline_ns == 610 * S
    timer.observe(ok("600", "UPDATE"), 300 * S)
    assert timer.deadline_ns == 900 * S
    timer.observe(message("SIP/2.0 491 Pending", "INVITE", None), 400 * S)
    timer.observe(ok(None, "INFO"), 400 * S)
    assert timer.deadline_ns == 900 * S
    timer.observe(ok(None), 500 * S)
    assert timer.deadline_ns is None


def test_a_refresh_of_which_only_the_request_is_seen_counts() -> None:
    """One direction of the mirror is missing: what nobody refused was granted."""
    timer = SessionTimer()
    timer.observe(ok("600"), 0)
    timer.observe(message("UPDATE sip:a@b SIP/2.0", "UPDATE", "600"), 300 * S)
    assert timer.deadline_ns == 900 * S


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_it_has_run_out_only_after_grace_and_in_silence(now_s: int, heard_s: int) -> None:
    timer = SessionTimer()
    timer.observe(ok("1800"), 0)
    expired = timer.expired_ns(now_s * S, heard_s * S)
    assert (expired == 1800 * S) is (now_s * S > 1800 * S + GRACE_NS and heard_s <= 1800)


def refreshed(kit: Any, scene: Any, at: float) -> list[Any]:
    cseq = round(at)
    return [
        scene.request(at, "UPDATE", cseq, dialog=True),
        with_expires(kit, scene.response(at + 0.1, 200, cseq, method="UPDATE"), "600;refresher=uac"),
    ]


def with_expires(kit: Any, arrival: Any, value: str) -> Any:
    arrival.message.headers["session-expires"] = [value]
    return arrival


def on_hold(kit: Any, *, timer: bool = True) -> tuple[Any, list[Any]]:
    """A call that is held for ever after, refreshed twice."""
    scene = kit.Scene()
    messages = [scene.invite(), scene.answer(), scene.request(2.1, "ACK", 1, dialog=True, branch="ack")]
    held = [
        scene.request(10, "INVITE", 2, kit.sdp("10.0.0.1", 4000, "sendonly"), dialog=True),
        scene.response(10.1, 200, 2, kit.sdp("10.0.0.2", 5000, "recvonly")),
    ]
    messages += held
    if timer:
        for answer in (messages[1], held[1]):
            with_expires(kit, answer, "600;refresher=uac")
        messages += refreshed(kit, scene, 300) + refreshed(kit, scene, 600)
    return scene, messages


def test_c8_a_dead_dialog_on_hold_ends_when_its_session_does(kit: Any) -> None:
    scene, messages = on_hold(kit)
    streams = scene.media(2.1, 9.9)
    call = kit.one(kit.play([*messages, *streams], until=3600, close=False))
    assert (call.state, call.ended_by, call.ended_ns) == ("answered", "timeout", kit.at_ns(600.1 + 600))


def test_c8_without_a_timer_a_hold_goes_on(kit: Any) -> None:
    scene, messages = on_hold(kit, timer=False)
    assert kit.play([*messages, *scene.media(2.1, 9.9)], until=3600, close=False) == []


def test_a_session_that_ran_out_while_media_flows_goes_on(kit: Any) -> None:
    """The refresh was not captured; what is heard is alive."""
    scene, messages = on_hold(kit)
    assert kit.play([*messages, *scene.media(2.1, 3599)], until=3600, close=False) == []


def test_a_session_that_ran_out_before_the_capture_did(kit: Any) -> None:
    _, messages = on_hold(kit)
    early = kit.one(kit.play(messages, until=1210))
    assert early.ended_by == "capture-end"  # within the grace
    late = kit.one(kit.play(messages, until=1300))
    assert (late.ended_by, late.ended_ns) == ("timeout", kit.at_ns(1200.1))


def test_an_interval_too_small_is_tried_again_as_one_call(kit: Any) -> None:
    """422 with Min-SE, then the same INVITE with a longer interval, at leisure."""
    scene = kit.Scene()
    again = scene.request(20, "INVITE", 2, kit.sdp("10.0.0.1", 4000), branch="b2")
    call = kit.one(
        kit.play(
            [
                scene.invite(), scene.response(0.2, 422, tag="x"), scene.request(0.3, "ACK", 1),
                again, scene.response(21, 200, 2, kit.sdp("10.0.0.2", 5000), branch="b2"),
                scene.request(30, "BYE", 3, dialog=True), scene.response(30.1, 200, 3, method="BYE"),
            ],
            until=60,
        )
    )  # fmt: skip
    assert (call.state, call.started_ns, call.answered_ns) == ("answered", kit.at_ns(0), kit.at_ns(21))
