"""Which event a message is: retransmissions, challenges, forks, refusals (C3, C6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bystander.sniffer.calls import CallTable
from bystander.sniffer.sip import Arrival

A, B = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


FINALS: list[tuple[Callable[[Any], list[Arrival]], str, int, str | None]] = [
    (lambda s: [s.response(0.5, 180), s.response(1, 486)], "busy", 486, None),
    (lambda s: [s.response(1, 600)], "busy", 600, None),
    (lambda s: [s.response(1, 404)], "failed", 404, None),
    (lambda s: [s.response(1, 603)], "failed", 603, None),
    (lambda s: [s.response(0.5, 180), s.response(1, 480)], "unanswered", 480, None),
    (lambda s: [s.response(0.5, 180), s.response(1, 408)], "unanswered", 408, None),
    (lambda s: [s.response(1, 480)], "failed", 480, None),
    (lambda s: [s.response(1, 407, tag="proxy")], "failed", 407, None),
    (lambda s: [s.response(1, 302)], "failed", 302, None),
    (
        lambda s: [
            s.response(0.5, 180),
            s.request(1, "CANCEL", 1, branch="z9hG4bK-INVITE-1-caller"),
            s.response(1.1, 200, method="CANCEL"),
            s.response(1.2, 487),
        ],
        "cancelled",
        487,
        "caller",
    ),
    (
        lambda s: [s.response(0.5, 180), s.request(1, "CANCEL", 1, branch="z9hG4bK-INVITE-1-caller")],
        "cancelled",
        0,
        "caller",
    ),
    (lambda s: [], "incomplete", 0, "timeout"),
    (lambda s: [s.response(0.5, 180)], "unanswered", 0, "timeout"),
]


@pytest.mark.parametrize(("story", "state", "status", "by"), FINALS)
def test_calls_that_were_not_answered(
    kit: Any, story: Callable[[Any], list[Arrival]], state: str, status: int, by: str | None
) -> None:
    scene = kit.Scene()
    call = kit.one(kit.play([scene.invite(), *story(scene)], 300, close=False))
    assert (call.state, call.final_status, call.ended_by) == (state, status, by)
    assert call.answered_ns is None
    assert not call.media_expected
    assert call.ended_ns <= kit.at_ns(1.2)


def test_c3_a_challenged_invite_is_one_call(kit: Any) -> None:
    scene = kit.Scene()
    body = kit.sdp("10.0.0.1", 4000)
    messages = [
        scene.invite(),
        scene.response(0.1, 407, tag="proxy-x"),
        scene.request(0.2, "ACK", 1, dialog="proxy-x", branch="z9hG4bK-INVITE-1-caller"),
        # A telephone that keeps the tag of the 407, which makes no dialog.
        scene.request(40.0, "INVITE", 2, body, dialog="proxy-x"),
        scene.response(41, 200, 2, kit.sdp("10.0.0.2", 5000)),
        scene.request(41.1, "ACK", 2, dialog=True, branch="z9hG4bK-ack2"),
        scene.request(50, "BYE", 3, dialog=True),
    ]
    table = CallTable()
    calls = [
        call for message in messages for call in (table.feed(message), table.advance(message.time_ns))[1]
    ]
    call = kit.one(calls + table.advance(kit.at_ns(55)))
    assert (call.state, call.final_status, call.answered_ns) == ("answered", 200, kit.at_ns(41))


def test_c3_late_copies_of_failures_do_not_end_a_call_that_went_on(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        scene.invite(),
        scene.response(0.1, 401, tag="r"),
        scene.request(0.2, "INVITE", 2, kit.sdp("10.0.0.1", 4000)),
        scene.response(0.7, 401, tag="r"),
        scene.response(1, 180, 2),
        scene.response(2, 200, 2, kit.sdp("10.0.0.2", 5000)),
        scene.response(2.5, 401, tag="r"),
    ]
    assert kit.one(kit.play(messages, 10)).state == "answered"


def test_c6_parallel_forks_have_one_winner(kit: Any) -> None:
    """Two phones ring with early media; one answers, the other is cancelled and its port is free again."""
    scene = kit.Scene()
    proxy = ("10.0.0.9", 5060)
    one_hop, two_hop = (proxy, ("10.0.0.2", 5060)), (proxy, ("10.0.0.3", 5060))
    lost = ("10.0.0.3", 6000)
    messages = [
        scene.invite(hop=(scene.caller, proxy)),
        scene.invite(0.1, branch="f1", hop=one_hop, vias=2),
        scene.invite(0.1, branch="f2", hop=two_hop, vias=2),
        scene.response(0.5, 183, body=kit.sdp(*lost), branch="f2", tag="carol", hop=two_hop[::-1], vias=2),
        scene.response(0.6, 183, body=kit.sdp(*B), branch="f1", hop=one_hop[::-1], vias=2),
        scene.response(2, 200, body=kit.sdp(*B), branch="f1", hop=one_hop[::-1], vias=2),
        scene.response(2.01, 200, body=kit.sdp(*B), hop=(proxy, scene.caller)),
        scene.request(2.1, "CANCEL", 1, branch="f2", hop=two_hop, vias=1),
        scene.response(2.2, 487, branch="f2", tag="carol", hop=two_hop[::-1], vias=2),
        scene.request(12, "BYE", 2, dialog=True, hop=(scene.caller, proxy)),
    ]
    elsewhere = kit.stream(("10.7.7.7", 7), lost, 5, 9)
    table = CallTable()
    call = kit.one(kit.run(table, [*messages, *scene.media(), elsewhere], 15))
    assert (call.state, call.final_status, call.ended_by) == ("answered", 200, "caller")
    assert kit.voices(call) == {A: "caller", B: "callee"}
    assert table.unclaimed_streams == 1


def test_c6_a_busy_fork_does_not_end_the_call(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        scene.invite(branch="f1", vias=2),
        scene.invite(0.1, branch="f2", vias=2),
        scene.response(1, 486, branch="f1", tag="x", vias=2),
        scene.response(20, 180, branch="f2", vias=2),
        scene.response(30, 200, body=kit.sdp(*B), branch="f2", vias=2),
    ]
    table = CallTable()
    for message in messages:
        table.feed(message)
        assert table.advance(message.time_ns) == []
    assert kit.one(table.close(kit.at_ns(40))).state == "answered"


def test_c6_serial_forks(kit: Any) -> None:
    """The proxy's caller still waits while one phone after another refuses."""
    scene = kit.Scene()
    messages = [
        scene.invite(),
        scene.invite(0.1, branch="f1", vias=2),
        scene.response(1, 486, branch="f1", tag="x", vias=2),
        scene.invite(10, branch="f2", vias=2),
        scene.response(11, 180, branch="f2", vias=2),
        scene.response(30, 480, branch="f2", vias=2),
        scene.response(30.1, 480),
    ]
    table = CallTable()
    for message in messages:
        table.feed(message)
        assert table.advance(message.time_ns) == []
    call = kit.one(table.advance(kit.at_ns(40)))
    assert (call.state, call.final_status, call.ended_ns) == ("unanswered", 480, kit.at_ns(30.1))


def test_c6_two_phones_answer_at_once_and_one_is_dismissed(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        scene.invite(),
        scene.answer(2),
        scene.response(2.01, 200, body=kit.sdp("10.0.0.3", 6000), tag="carol"),
        scene.request(2.2, "BYE", 2, dialog="carol", branch="dismissed"),
        scene.request(12, "BYE", 2, dialog=True),
    ]
    assert kit.one(kit.play([*messages, *scene.media()], 15)).ended_ns == kit.at_ns(12)


def test_c6_cancel_crossing_the_answer(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        scene.invite(),
        scene.response(0.5, 180),
        scene.request(2, "CANCEL", 1, branch="z9hG4bK-INVITE-1-caller"),
        scene.answer(2.01),
        scene.response(2.02, 481, method="CANCEL"),
        scene.request(2.1, "ACK", 1, dialog=True, branch="ack"),
        scene.request(2.2, "BYE", 2, dialog=True),
    ]
    call = kit.one(kit.play(messages, 10))
    assert (call.state, call.answered_ns, call.ended_ns) == ("answered", kit.at_ns(2.01), kit.at_ns(2.2))


def test_c6_the_answer_to_an_unseen_bye_ends_the_call(kit: Any) -> None:
    scene = kit.Scene()
    messages = [*scene.normal(bye=None), scene.response(12, 200, 3, method="BYE", to="callee")]
    call = kit.one(kit.play(messages, 15, close=False))
    assert (call.ended_by, call.ended_ns) == ("callee", kit.at_ns(12))


def test_c6_the_answer_was_lost_but_its_ack_was_seen(kit: Any) -> None:
    scene = kit.Scene()
    messages = [m for m in scene.normal() if m.message.status != 200 or m.message.cseq_method == "BYE"]
    call = kit.one(kit.play([*messages, *scene.media()], 15))
    assert (call.state, call.answered_ns, call.ended_ns) == ("answered", kit.at_ns(2.1), kit.at_ns(12))
    assert kit.voices(call) == {A: "caller", B: "callee"}


def test_what_is_no_call(kit: Any) -> None:
    scene = kit.Scene()
    table = CallTable()
    others = [
        scene.request(0, "REGISTER"),
        scene.response(0.1, 200, method="REGISTER"),
        scene.request(1, "OPTIONS"),
        scene.request(2, "ACK", dialog=True),
        scene.response(3, 100),
        scene.request(4, "BYE"),
    ]
    assert kit.run(table, others, 9) == table.close(kit.at_ns(9)) == []
    assert table.counters["sip-outside-calls"] == len(others)
    assert table.requests == {"REGISTER": 1, "OPTIONS": 1, "ACK": 1, "BYE": 1}
    assert table.responses == {200: 1, 100: 1}
