"""Calls from messages and streams: each corner case as a table of what was captured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.sniffer.calls import Call, CallSettings, CallTable
from bystander.sniffer.direction import Office
from bystander.sniffer.sip import Arrival

Kit = Any
S = 1_000_000_000


def play(
    events: Iterable[Any], until: float, kit: Kit, settings_: CallSettings | None = None, close: bool = True
) -> list[Call]:
    """Feed messages and streams in order of time, then let time pass until ``until``."""
    table = CallTable(settings_)
    calls = run(table, events, until, kit)
    return calls + (table.close(kit.at_ns(until)) if close else [])


def run(table: CallTable, events: Iterable[Any], until: float, kit: Kit) -> list[Call]:
    def when(event: Any) -> int:
        return event.time_ns if isinstance(event, Arrival) else event.first_ns

    for event in sorted(events, key=when):
        if isinstance(event, Arrival):
            table.feed(event)
        else:
            table.stream_started(event)
    return table.advance(kit.at_ns(until))


def one(calls: Sequence[Call]) -> Call:
    assert len(calls) == 1, [call.call_id for call in calls]
    return calls[0]


def voices(call: Call) -> dict[tuple[str, int], str]:
    return {claimed.stream.src: claimed.by for claimed in call.streams}


A, B = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_a_normal_call(kit: Kit, by: str) -> None:
    scene = kit.Scene()
    call = one(play([*scene.normal(by=by), *scene.media()], 15.0, kit, close=False))
    assert (call.state, call.final_status, call.ended_by) == ("answered", 200, by)
    assert (call.caller, call.callee, call.caller_name) == ("101", "102", "Alice")
    assert call.started_ns == kit.at_ns(0)
    assert call.answered_ns == kit.at_ns(2)
    assert call.ended_ns == kit.at_ns(12)
    assert voices(call) == {A: "caller", B: "callee"}
    assert call.media_expected
    assert not call.holds
    assert len(call.messages) == 7
    assert call.streams[0].formats[8].encoding == "PCMA"
    assert call.streams[0].formats[101].encoding == "TELEPHONE-EVENT"


def test_a_call_lingers_and_is_handed_out_once(kit: Kit) -> None:
    table = CallTable()
    scene = kit.Scene()
    assert run(table, scene.normal(), 13.0, kit) == []
    assert table.active_calls == 1
    table.feed(scene.request(13.2, "BYE", 2, dialog=True))
    assert len(table.advance(kit.at_ns(14.5))) == 1
    table.feed(scene.request(16.0, "BYE", 2, dialog=True))
    table.feed(scene.answer(16.5))
    table.feed(scene.invite(17.0))
    assert table.advance(kit.at_ns(30)) == table.close(kit.at_ns(30)) == []
    assert table.counters["sip-stragglers"] == 3


def test_a_call_id_used_again_is_another_call(kit: Kit) -> None:
    scene = kit.Scene()
    again = [
        scene.request(40.0, "INVITE", 5, kit.sdp("10.0.0.1", 4000)),
        scene.response(41.0, 200, 5, kit.sdp("10.0.0.2", 5000), tag="bob-2"),
        scene.request(45.0, "BYE", 6, dialog="bob-2"),
    ]
    calls = play([*scene.normal(), *again], 60.0, kit)
    assert [(c.state, c.ended_ns) for c in calls] == [
        ("answered", kit.at_ns(12)),
        ("answered", kit.at_ns(45)),
    ]


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
    kit: Kit, story: Callable[[Any], list[Arrival]], state: str, status: int, by: str | None
) -> None:
    scene = kit.Scene()
    call = one(play([scene.invite(), *story(scene)], 300, kit, close=False))
    assert (call.state, call.final_status, call.ended_by) == (state, status, by)
    assert call.answered_ns is None
    assert not call.media_expected
    assert call.ended_ns <= kit.at_ns(1.2)


@pytest.mark.parametrize("events", [[], [180]])
def test_the_capture_ends_before_the_answer(kit: Kit, events: list[int]) -> None:
    scene = kit.Scene()
    call = one(play([scene.invite(), *(scene.response(1, status) for status in events)], 5, kit))
    assert (call.state, call.ended_by, call.ended_ns) == ("incomplete", "capture-end", kit.at_ns(5))


def test_the_capture_ends_during_the_call(kit: Kit) -> None:
    scene = kit.Scene()
    call = one(play([*scene.normal(bye=None), *scene.media()], 20.0, kit))
    assert (call.state, call.ended_by, call.ended_ns) == ("answered", "capture-end", kit.at_ns(20))


def test_c3_a_challenged_invite_is_one_call(kit: Kit) -> None:
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
    call = one(calls + table.advance(kit.at_ns(55)))
    assert (call.state, call.final_status, call.answered_ns) == ("answered", 200, kit.at_ns(41))


def test_c3_late_copies_of_failures_do_not_end_a_call_that_went_on(kit: Kit) -> None:
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
    assert one(play(messages, 10, kit)).state == "answered"


def test_c3_sdp_on_a_retransmitted_answer_counts(kit: Kit) -> None:
    """The first 200 lost its body to the snap length; the second did not."""
    scene = kit.Scene()
    messages = [scene.request(0, "INVITE"), scene.response(2, 200), scene.answer(2.5)]
    call = one(play([*messages, kit.stream(("9.9.9.9", 1), B, 2.2, 9)], 10, kit))
    assert [claimed.by for claimed in call.streams] == ["caller"]
    assert call.answered_ns == kit.at_ns(2)


def test_c6_offer_in_the_answer_and_answer_in_the_ack(kit: Kit) -> None:
    scene = kit.Scene()
    messages = [
        scene.request(0, "INVITE"),
        scene.answer(2),
        scene.request(2.1, "ACK", 1, kit.sdp("10.0.0.1", 4000), dialog=True, branch="z9hG4bK-ack"),
        scene.request(12, "BYE", 2, dialog=True),
    ]
    call = one(play([*messages, *scene.media()], 15, kit))
    assert voices(call) == {A: "caller", B: "callee"}
    assert call.media_expected


def test_c6_early_media_before_any_answer(kit: Kit) -> None:
    scene = kit.Scene()
    early = kit.stream(B, A, 0.3, 1.9)  # before the 183 that explains it
    messages = [
        scene.invite(),
        scene.response(0.5, 183, body=kit.sdp("10.0.0.2", 5000)),
        scene.request(0.6, "PRACK", 2, dialog=True),
        scene.response(0.7, 200, 2, method="PRACK"),
        scene.response(2, 200),
        scene.request(12, "BYE", 3, dialog=True),
    ]
    call = one(play([*messages, early, *scene.media()], 15, kit))
    assert [claimed.by for claimed in call.streams] == ["callee", "caller", "callee"]
    assert call.media_expected


def test_c6_prack_and_update_may_offer(kit: Kit) -> None:
    scene = kit.Scene()
    moved = ("10.0.0.1", 4400)
    messages = [
        scene.invite(),
        scene.response(0.5, 183, body=kit.sdp("10.0.0.2", 5000)),
        scene.request(0.6, "UPDATE", 2, kit.sdp("10.0.0.1", 4400), dialog=True),
        scene.response(0.7, 200, 2, kit.sdp("10.0.0.2", 5000), method="UPDATE"),
        scene.response(2, 200),
        scene.request(12, "BYE", 3, dialog=True),
    ]
    call = one(play([*messages, kit.stream(moved, B, 2, 12), kit.stream(B, moved, 2, 12)], 15, kit))
    assert voices(call) == {moved: "caller", B: "callee"}


def test_c6_parallel_forks_have_one_winner(kit: Kit) -> None:
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
    call = one(run(table, [*messages, *scene.media(), elsewhere], 15, kit))
    assert (call.state, call.final_status, call.ended_by) == ("answered", 200, "caller")
    assert voices(call) == {A: "caller", B: "callee"}
    assert table.unclaimed_streams == 1


def test_c6_a_busy_fork_does_not_end_the_call(kit: Kit) -> None:
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
    assert one(table.close(kit.at_ns(40))).state == "answered"


def test_c6_serial_forks(kit: Kit) -> None:
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
    call = one(table.advance(kit.at_ns(40)))
    assert (call.state, call.final_status, call.ended_ns) == ("unanswered", 480, kit.at_ns(30.1))


def test_c6_two_phones_answer_at_once_and_one_is_dismissed(kit: Kit) -> None:
    scene = kit.Scene()
    messages = [
        scene.invite(),
        scene.answer(2),
        scene.response(2.01, 200, body=kit.sdp("10.0.0.3", 6000), tag="carol"),
        scene.request(2.2, "BYE", 2, dialog="carol", branch="dismissed"),
        scene.request(12, "BYE", 2, dialog=True),
    ]
    assert one(play([*messages, *scene.media()], 15, kit)).ended_ns == kit.at_ns(12)


def test_c6_a_refused_reinvite_changes_nothing(kit: Kit) -> None:
    scene = kit.Scene()
    messages = [
        *scene.normal(),
        scene.request(5, "INVITE", 7, kit.sdp("10.0.0.1", 4400, "sendonly"), dialog=True),
        scene.response(5.1, 491, 7),
        scene.request(5.6, "INVITE", 7, kit.sdp("10.0.0.1", 4400, "sendonly"), dialog=True),
    ]
    stray = kit.stream(("10.7.7.7", 7), ("10.0.0.1", 4400), 6, 9)
    call = one(play([*messages, *scene.media(), stray], 15, kit))
    assert (call.state, call.final_status, call.holds) == ("answered", 200, [])
    assert voices(call) == {A: "caller", B: "callee"}


def test_c6_a_reinvite_moves_media_and_changes_codec(kit: Kit) -> None:
    scene = kit.Scene()
    moved = ("10.0.0.22", 5500)
    messages = [
        *scene.normal(),
        scene.request(6, "INVITE", 7, kit.sdp(*moved, types="9"), by="callee", dialog=True),
        scene.response(6.1, 200, 7, kit.sdp("10.0.0.1", 4000, types="9"), to="callee"),
        scene.request(6.2, "ACK", 7, by="callee", dialog=True, branch="ack7"),
    ]
    after = [kit.stream(moved, A, 6.2, 12, (9,)), kit.stream(A, moved, 6.2, 12, (9,))]
    call = one(play([*messages, *scene.media(2.1, 6), *after], 15, kit))
    assert [(c.stream.src, c.by) for c in call.streams] == [
        (A, "caller"),
        (B, "callee"),
        (moved, "callee"),
        (A, "caller"),
    ]
    assert call.streams[0].formats[9].encoding == "G722"
    assert call.answered_ns == kit.at_ns(2)


def test_c6_cancel_crossing_the_answer(kit: Kit) -> None:
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
    call = one(play(messages, 10, kit))
    assert (call.state, call.answered_ns, call.ended_ns) == ("answered", kit.at_ns(2.01), kit.at_ns(2.2))


def test_c6_a_bye_that_was_never_seen(kit: Kit) -> None:
    scene = kit.Scene()
    table = CallTable()
    assert run(table, [*scene.normal(bye=None), *scene.media(last=30)], 100, kit) == []
    call = one(table.advance(kit.at_ns(151)))
    assert (call.state, call.ended_by, call.ended_ns) == ("answered", "timeout", kit.at_ns(30))


def test_c6_the_answer_to_an_unseen_bye_ends_the_call(kit: Kit) -> None:
    scene = kit.Scene()
    messages = [*scene.normal(bye=None), scene.response(12, 200, 3, method="BYE", to="callee")]
    call = one(play(messages, 15, kit, close=False))
    assert (call.ended_by, call.ended_ns) == ("callee", kit.at_ns(12))


def test_c6_the_answer_was_lost_but_its_ack_was_seen(kit: Kit) -> None:
    scene = kit.Scene()
    messages = [m for m in scene.normal() if m.message.status != 200 or m.message.cseq_method == "BYE"]
    call = one(play([*messages, *scene.media()], 15, kit))
    assert (call.state, call.answered_ns, call.ended_ns) == ("answered", kit.at_ns(2.1), kit.at_ns(12))
    assert voices(call) == {A: "caller", B: "callee"}


def test_c6_answer_and_ack_were_lost(kit: Kit) -> None:
    scene = kit.Scene()
    messages = [scene.invite(), scene.response(0.5, 180), scene.request(12, "BYE", 2, dialog=True)]
    call = one(play([*messages, *scene.media()], 15, kit))
    assert (call.state, call.answered_ns, call.ended_ns) == ("answered", kit.at_ns(2.1), kit.at_ns(12))


def test_c6_start_in_mid_call_with_a_session_refresh(kit: Kit) -> None:
    scene = kit.Scene()
    messages = [
        scene.request(30, "INVITE", 4, kit.sdp("10.0.0.1", 4000), dialog=True),
        scene.response(30.1, 200, 4, kit.sdp("10.0.0.2", 5000)),
        scene.request(60, "BYE", 5, dialog=True),
    ]
    call = one(play([*messages, *scene.media(0, 60)], 70, kit))
    assert (call.state, call.ended_by) == ("answered", "caller")
    assert voices(call) == {A: "caller", B: "callee"}
    assert call.started_ns == call.answered_ns == kit.at_ns(0)


def test_c6_only_the_end_was_seen(kit: Kit) -> None:
    scene = kit.Scene()
    messages = scene.normal()[-2:]
    old, others = kit.stream(A, B, 0, 5), kit.stream(("10.0.0.7", 1), B, 0, 12)
    call = one(play([*messages, *scene.media(0, 12), old, others], 20, kit))
    assert (call.state, call.ended_by, call.answered_ns) == ("answered", "caller", kit.at_ns(0))
    assert voices(call) == {A: "caller", B: "callee"}


def test_c6_only_the_end_was_seen_and_the_media_is_ambiguous(kit: Kit) -> None:
    scene = kit.Scene()
    call = one(play([*scene.normal()[-2:], *scene.media(0, 12), *scene.media(1, 12)], 20, kit))
    assert call.streams == []


def test_a_bye_alone_is_no_call(kit: Kit) -> None:
    table = CallTable()
    assert run(table, [kit.Scene().request(1, "BYE", 2, dialog=True)], 20, kit) == []
    assert table.counters["byes-without-call"] == 1


def test_what_is_no_call(kit: Kit) -> None:
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
    assert run(table, others, 9, kit) == table.close(kit.at_ns(9)) == []
    assert table.counters["sip-outside-calls"] == len(others)
    assert table.requests == {"REGISTER": 1, "OPTIONS": 1, "ACK": 1, "BYE": 1}
    assert table.responses == {200: 1, 100: 1}


def test_c7_two_hops_are_one_call(kit: Kit) -> None:
    """A proxy with a media relay: each hop names the relay's ports, and both copies belong to the parties."""
    scene = kit.Scene()
    proxy, relay_a, relay_b = ("10.0.0.9", 5060), ("10.0.0.9", 30000), ("10.0.0.9", 30002)
    up, down = (scene.caller, proxy), (proxy, scene.callee)
    messages = [
        scene.request(0, "INVITE", 1, kit.sdp(*A), hop=up),
        scene.request(0.1, "INVITE", 1, kit.sdp(*relay_b), hop=down, branch="down", vias=2),
        scene.response(2, 200, 1, kit.sdp(*B), hop=down[::-1], branch="down", vias=2),
        scene.response(2.1, 200, 1, kit.sdp(*relay_a), hop=up[::-1]),
        scene.request(12, "BYE", 2, dialog=True, hop=up),
        scene.request(12.1, "BYE", 2, dialog=True, hop=down, branch="bye-down", vias=2),
    ]
    streams = [
        kit.stream(A, relay_a, 2.2, 12),
        kit.stream(relay_b, B, 2.2, 12),
        kit.stream(B, relay_b, 2.2, 12),
        kit.stream(relay_a, A, 2.2, 12),
    ]
    call = one(play([*messages, *streams], 15, kit))
    assert voices(call) == {A: "caller", relay_b: "caller", B: "callee", relay_a: "callee"}
    assert (call.answered_ns, call.ended_ns, len(call.messages)) == (kit.at_ns(2), kit.at_ns(12), 6)


def b2bua(kit: Kit) -> tuple[Any, Any]:
    """Return the two legs of a call through 10.0.0.9."""
    first = kit.Scene(call_id="leg-1", callee=("10.0.0.9", 5060))
    second = kit.Scene(
        call_id="leg-2", caller=("10.0.0.9", 5060), from_tag="pbx", to_tag="bob", from_header="<sip:101@pbx>"
    )
    return first, second


def test_c7_legs_with_direct_media_are_one_call(kit: Kit) -> None:
    first, second = b2bua(kit)
    legs = []
    for scene, late in ((first, 0.0), (second, 0.05)):
        legs += [
            scene.request(late, "INVITE", 1, kit.sdp(*A)),
            scene.response(2 - late, 200, 1, kit.sdp(*B)),
            scene.request(12 + late, "BYE", 2, dialog=True),
        ]
    streams = [kit.stream(A, B, 2.1, 12), kit.stream(B, A, 2.1, 12)]
    call = one(play([*legs, *streams], 15, kit))
    assert (call.call_id, call.linked_call_ids) == ("leg-1", ["leg-2"])
    assert voices(call) == {A: "caller", B: "callee"}
    assert len(call.messages) == 6


@pytest.mark.parametrize("swapped", [False, True])
def test_c7_legs_with_the_same_audio_are_one_call(kit: Kit, swapped: bool) -> None:
    """The agent relays the media. Where it called both sides itself, the second leg's roles are swapped."""
    first, second = b2bua(kit)
    legs = [*first.normal(), *second.normal(bye=12.4)]
    relayed = [
        kit.stream(A, ("10.0.0.9", 5000), 2.1, 12),
        kit.stream(("10.0.0.9", 5000), A, 2.1, 12),
        kit.stream(("10.0.0.9", 4000), B, 2.1, 12),
        kit.stream(B, ("10.0.0.9", 4000), 2.1, 12),
    ]
    voice = {A: 1, ("10.0.0.9", 4000): 2 if swapped else 1, B: 1 if swapped else 2, ("10.0.0.9", 5000): 2}
    table = CallTable()
    table.same_media = lambda a, b: voice[a.src] == voice[b.src]
    assert run(table, [*legs, *relayed], 14.2, kit) == []  # the second leg still lingers
    call = one(table.advance(kit.at_ns(15)))
    assert (call.call_id, call.linked_call_ids, call.ended_ns) == ("leg-1", ["leg-2"], kit.at_ns(12))
    speaker = {1: "caller", 2: "callee"}
    assert voices(call) == {src: speaker[number] for src, number in voice.items()}


def test_c7_a_leg_does_not_wait_for_ever(kit: Kit) -> None:
    first, second = b2bua(kit)
    table = CallTable()
    table.same_media = lambda a, b: True
    streams = [
        kit.stream(A, ("10.0.0.9", 5000), 2.1, 12),
        kit.stream(("10.0.0.9", 4000), B, 2.1, 90),
    ]
    assert run(table, [*first.normal(), *second.normal(bye=None), *streams], 16, kit) == []
    call = one(table.advance(kit.at_ns(20)))
    assert (call.call_id, call.linked_call_ids, len(call.streams)) == ("leg-1", [], 1)
    table.feed(second.request(90, "BYE", 2, dialog=True))
    rest = one(table.advance(kit.at_ns(95)))
    assert (rest.call_id, len(rest.streams)) == ("leg-2", 1)


def test_c7_neighbours_are_not_legs(kit: Kit) -> None:
    """A load generator gives every call the same ports; that does not make them one call."""
    one_, two = kit.Scene(call_id="n-1"), kit.Scene(call_id="n-2", from_tag="x", to_tag="y")
    table = CallTable()
    table.same_media = lambda a, b: True
    calls = run(table, [*one_.normal(), *two.normal(), *one_.media()], 20, kit)
    assert [call.linked_call_ids for call in calls] == [[], []]


HOLDS = [
    ("sendonly", "recvonly"),
    ("inactive", "inactive"),
]


@pytest.mark.parametrize(("offer", "answer"), HOLDS)
@pytest.mark.parametrize("by", ["caller", "callee"])
def test_c8_hold_and_resume(kit: Kit, by: str, offer: str, answer: str) -> None:
    scene = kit.Scene()
    ends = {"caller": A, "callee": B}
    ours, theirs = ends[by], ends["callee" if by == "caller" else "caller"]
    messages = [
        *scene.normal(bye=None),
        scene.request(5, "INVITE", 7, kit.sdp(*ours, offer), by=by, dialog=True),
        scene.response(5.1, 200, 7, kit.sdp(*theirs, answer), to=by),
        scene.request(5.2, "ACK", 7, by=by, dialog=True, branch="a7"),
        scene.request(900, "INVITE", 8, kit.sdp(*ours), by=by, dialog=True),
        scene.response(900.1, 200, 8, kit.sdp(*theirs), to=by),
        scene.request(910, "BYE", 9, by=by, dialog=True),
    ]
    table = CallTable()
    calls = []
    for event in messages:
        table.feed(event)
        calls += table.advance(event.time_ns)
        if event.time_ns == kit.at_ns(2):
            for stream in scene.media(last=5):
                table.stream_started(stream)
    call = one(calls + table.advance(kit.at_ns(920)))
    assert [(h.by, h.from_ns, h.to_ns) for h in call.holds] == [(by, kit.at_ns(5), kit.at_ns(900))]
    assert (call.ended_by, call.ended_ns) == (by, kit.at_ns(910))


def test_c8_hold_by_the_address_nowhere_ends_with_the_call(kit: Kit) -> None:
    scene = kit.Scene()
    messages = [
        *scene.normal(bye=20),
        scene.request(5, "INVITE", 7, kit.sdp("0.0.0.0", 4000), dialog=True),
        scene.response(5.1, 200, 7, kit.sdp("10.0.0.2", 5000)),
    ]
    call = one(play(messages, 30, kit))
    assert [(h.by, h.from_ns, h.to_ns) for h in call.holds] == [("caller", kit.at_ns(5), kit.at_ns(20))]


def test_c8_both_may_hold(kit: Kit) -> None:
    scene = kit.Scene()
    messages = [
        *scene.normal(bye=40),
        scene.request(5, "INVITE", 7, kit.sdp(*A, "sendonly"), dialog=True),
        scene.response(5.1, 200, 7, kit.sdp(*B, "recvonly")),
        scene.request(6, "INVITE", 3, kit.sdp(*B, "inactive"), by="callee", dialog=True),
        scene.response(6.1, 200, 3, kit.sdp(*A, "inactive"), to="callee"),
        scene.request(10, "INVITE", 8, kit.sdp(*A), dialog=True),
        scene.response(10.1, 200, 8, kit.sdp(*B, "sendonly")),
        scene.request(20, "INVITE", 4, kit.sdp(*B), by="callee", dialog=True),
        scene.response(20.1, 200, 4, kit.sdp(*A), to="callee"),
    ]
    call = one(play(messages, 50, kit))
    assert [(h.by, h.from_ns, h.to_ns) for h in call.holds] == [
        ("caller", kit.at_ns(5), kit.at_ns(10)),
        ("callee", kit.at_ns(6), kit.at_ns(20)),
    ]


def test_c9_nat_the_media_comes_from_where_the_signalling_does(kit: Kit) -> None:
    scene = kit.Scene(caller=("203.0.113.5", 61000))
    public = ("203.0.113.5", 4000)
    messages = [
        scene.request(0, "INVITE", 1, kit.sdp("192.168.1.10", 4000)),
        scene.answer(2),
        scene.request(12, "BYE", 2, dialog=True),
    ]
    streams = [kit.stream(public, ("10.0.0.2", 9), 2, 12), kit.stream(B, public, 2, 12)]
    call = one(play([*messages, *streams], 15, kit))
    assert voices(call) == {public: "caller", B: "callee"}


def test_c9_nat_symmetry_tells_where_the_other_way_goes(kit: Kit) -> None:
    """Neither address nor port of the caller is what it said; the callee answers to where it hears from."""
    scene = kit.Scene(caller=("203.0.113.5", 61000))
    real, unknown = ("198.51.100.7", 23456), ("10.0.0.2", 5555)
    messages = [scene.request(0, "INVITE", 1, kit.sdp("192.168.1.10", 4000)), scene.answer(2)]
    streams = [kit.stream(unknown, real, 2.0, 12), kit.stream(real, B, 2.1, 12)]
    call = one(play([*messages, *streams], 15, kit))
    assert voices(call) == {real: "caller", unknown: "callee"}


def test_c10_ports_are_used_again_seconds_later(kit: Kit) -> None:
    first = kit.Scene()
    second = kit.Scene(call_id="next@x", from_tag="n", to_tag="m", caller=("10.0.0.3", 5060))
    later = [
        second.request(13, "INVITE", 1, kit.sdp("10.0.0.3", 7000)),
        second.response(14, 200, 1, kit.sdp("10.0.0.2", 5000)),
        second.request(20, "BYE", 2, dialog=True),
    ]
    late = kit.stream(B, A, 12.5, 12.7)
    old, new = (
        first.media(),
        [kit.stream(("10.0.0.3", 7000), B, 14, 20), kit.stream(B, ("10.0.0.3", 7000), 14, 20)],
    )
    table = CallTable()
    calls = run(table, [*first.normal(), *later, *old, *new, late], 30, kit)
    assert [[c.stream for c in call.streams] for call in calls] == [old, new]
    assert table.unclaimed_streams == 1  # what began after the BYE is nobody's


def test_c10_a_call_on_hold_and_the_one_made_meanwhile(kit: Kit) -> None:
    """One telephone, one port, two calls: the other end tells whose voice it is."""
    held = kit.Scene()
    other = kit.Scene(call_id="other@x", from_tag="o", to_tag="p", callee=("10.0.0.3", 5060))
    c = ("10.0.0.3", 6000)
    messages = [
        *held.normal(bye=40),
        held.request(5, "INVITE", 7, kit.sdp(*A, "sendonly"), dialog=True),
        held.response(5.1, 200, 7, kit.sdp(*B, "recvonly")),
        other.request(6, "INVITE", 1, kit.sdp(*A)),
        other.response(7, 200, 1, kit.sdp(*c)),
        other.request(30, "BYE", 2, dialog=True),
    ]
    music = kit.stream(A, B, 8, 30)
    streams = [*held.media(last=5), kit.stream(A, c, 7, 30), kit.stream(c, A, 7, 30), music]
    calls = play([*messages, *streams], 50, kit)
    assert [{c_.stream.dst for c_ in call.streams} for call in calls] == [{A, B}, {A, c}]
    assert music in [claimed.stream for claimed in calls[0].streams]


def test_media_without_description_waits_and_expires(kit: Kit) -> None:
    table = CallTable(CallSettings(unclaimed_s=10))
    stray, claimed = kit.stream(("9.9.9.9", 1), ("9.9.9.8", 2), 0, 90), kit.stream(A, B, 0.0, 12)
    table.stream_started(stray)
    table.stream_started(claimed)
    scene = kit.Scene()
    table.feed(scene.invite(1.0))  # the stream came before its description
    assert table.unclaimed_expired(kit.at_ns(9)) == []
    assert table.unclaimed_expired(kit.at_ns(11)) == [stray]
    assert table.unclaimed_expired(kit.at_ns(99)) == []
    assert table.unclaimed_streams == 0


def test_video_is_not_audio(kit: Kit) -> None:
    scene = kit.Scene()
    video = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000"
    messages = [
        scene.request(0, "INVITE", 1, kit.sdp(*A, more=video)),
        scene.response(2, 200, 1, kit.sdp(*B, more=video.replace("4002", "5002"))),
        scene.request(12, "BYE", 2, dialog=True),
    ]
    picture = kit.stream(("10.0.0.1", 4002), ("10.0.0.2", 5002), 2, 12, (96,))
    call = one(play([*messages, *scene.media(), picture], 15, kit))
    assert len(call.streams) == 2
    assert [(c.stream, c.kind, c.by) for c in call.other_streams] == [(picture, "video", "caller")]


@pytest.mark.parametrize(("answer", "encrypted"), [("RTP/SAVP", True), ("RTP/AVP", False)])
def test_encrypted_media(kit: Kit, answer: str, encrypted: bool) -> None:
    scene = kit.Scene()
    secure = kit.sdp(*A, more="a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x")
    reply = kit.sdp(*B).replace(b"RTP/AVP", answer.encode())
    messages = [scene.request(0, "INVITE", 1, secure), scene.response(2, 200, 1, reply)]
    call = one(play([*messages, *scene.media()], 15, kit))
    assert {claimed.encrypted for claimed in call.streams} == {encrypted}


def test_media_refused(kit: Kit) -> None:
    scene = kit.Scene()
    messages = [scene.invite(), scene.response(2, 200, 1, kit.sdp("10.0.0.2", 0))]
    call = one(play(messages, 15, kit))
    assert (call.state, call.media_expected) == ("answered", False)


def test_digits_by_info(kit: Kit) -> None:
    scene = kit.Scene()
    relay = {"content": "application/dtmf-relay", "dialog": True}
    messages = [
        *scene.normal(),
        scene.request(5, "INFO", 7, b"Signal= 5\r\nDuration= 160\r\n", **relay),
        scene.request(5.6, "INFO", 7, b"Signal= 5\r\nDuration= 160\r\n", **relay),
        scene.request(6, "INFO", 3, b"#", by="callee", content="application/dtmf", dialog=True),
        scene.request(7, "INFO", 8, b"<x/>", content="application/media_control+xml", dialog=True),
    ]
    call = one(play(messages, 15, kit))
    assert call.info_digits == [(kit.at_ns(5), "5", "caller"), (kit.at_ns(6), "#", "callee")]


def test_c13_a_message_mirrored_twice_is_one(kit: Kit) -> None:
    scene = kit.Scene()
    table = CallTable()
    twice = [copy for m in scene.normal() for copy in (m, Arrival(m.time_ns + 9, *_rest(m)))]
    call = one(run(table, twice, 15, kit))
    assert len(call.messages) == 7
    assert table.counters["sip-mirrored-twice"] == 7


def _rest(m: Arrival) -> tuple[Any, ...]:
    return m.src, m.dst, m.transport, m.message, m.raw


@pytest.mark.parametrize(
    ("office", "direction"),
    [
        (Office(), "unknown"),
        (Office(numbers=("1",)), "internal"),
        (Office(numbers=("101",)), "outgoing"),
        (Office(numbers=("/^102$/",)), "incoming"),
        (Office(numbers=("9",)), "unknown"),
        (Office(networks=("10.0.0.0/24",)), "internal"),
        (Office(networks=("10.0.0.0/24",), trunks=("10.0.0.2",)), "outgoing"),
        (Office(networks=("10.0.0.0/24",), trunks=("10.0.0.1/32",)), "incoming"),
    ],
)
def test_direction(kit: Kit, office: Office, direction: str) -> None:
    assert one(play(kit.Scene().normal(), 15, kit, CallSettings(office=office))).direction == direction


@pytest.mark.parametrize(
    ("sender", "identity", "caller"),
    [
        ("<sip:+48221234567@host;user=phone>", "", "+48221234567"),
        ("tel:+48221234567", "", "+48221234567"),
        ("<sip:gw.example.org>", "", "gw.example.org"),
        ("<sip:anonymous@anonymous.invalid>", "P-Asserted-Identity: <sip:601@host>", "601"),
        ("<sip:501@host>", "P-Asserted-Identity: <sip:601@host>", "501"),
        ("<sip:anonymous@anonymous.invalid>", "", "anonymous"),
    ],
)
def test_who_calls(kit: Kit, sender: str, identity: str, caller: str) -> None:
    scene = kit.Scene(from_header=sender)
    call = one(play([scene.invite(headers=(identity,) if identity else ())], 15, kit))
    assert call.caller == caller


def test_calls_beyond_the_bound_are_evicted_and_counted(kit: Kit) -> None:
    table = CallTable(CallSettings(max_calls=10))
    for number in range(50):
        table.feed(kit.Scene(call_id=f"flood-{number}").invite(number / 100))
    assert table.active_calls == 10
    assert table.counters["calls-evicted"] == 40
    calls = table.close(kit.at_ns(1))
    assert sorted(call.call_id for call in calls) == sorted(f"flood-{n}" for n in range(50))


def test_streams_beyond_the_bound_are_given_back(kit: Kit) -> None:
    table = CallTable(CallSettings(max_unclaimed=5))
    streams = [kit.stream(("10.5.5.5", port), ("10.6.6.6", port), 0, 1) for port in range(1, 9)]
    for stream in streams:
        table.stream_started(stream)
    assert table.unclaimed_streams == 5
    assert table.unclaimed_expired(kit.at_ns(1)) == streams[:3]


def test_evidence_is_bounded_and_keeps_the_end(kit: Kit) -> None:
    scene = kit.Scene()
    chatter = [scene.request(3 + n / 1000, "OPTIONS", 10 + n, dialog=True) for n in range(600)]
    call = one(play([*scene.normal(), *chatter], 15, kit))
    assert len(call.messages) <= 512
    assert call.evidence_truncated
    assert call.messages[-2].message.method == "BYE"


def test_nothing_is_left_behind(kit: Kit) -> None:
    """C24: after the calls are handed out the table holds nothing of them."""
    table = CallTable()
    for number in range(30):
        scene = kit.Scene(call_id=f"c-{number}", caller=(f"10.1.0.{number}", 5060))
        for event in [*scene.normal(), *scene.media()]:
            table.feed(event) if isinstance(event, Arrival) else table.stream_started(event)
    assert len(table.advance(kit.at_ns(20))) == 30
    assert (table.active_calls, table.claims, table.unclaimed_streams) == (0, 0, 0)
    table.advance(kit.at_ns(200))
    assert not table._recent
    assert not table._recent_order
    assert not table._owners
    assert not table._claims._streams
    assert not table._due
    assert not table._linker._by_start


def facts(calls: list[Call]) -> list[tuple[object, ...]]:
    return [
        (c.call_id, c.state, c.final_status, c.answered_ns, c.ended_ns, c.ended_by, voices(c), len(c.holds))
        for c in calls
    ]


def story(kit: Kit) -> list[Arrival]:
    scene = kit.Scene()
    return [
        *scene.normal(bye=40),
        scene.request(5, "INVITE", 7, kit.sdp(*A, "sendonly"), dialog=True),
        scene.response(5.1, 200, 7, kit.sdp(*B, "recvonly")),
        scene.request(6, "INVITE", 3, kit.sdp("10.0.0.8", 9, "inactive"), by="callee", dialog=True),
        scene.response(6.1, 488, 3, to="callee"),
        scene.request(9, "INVITE", 8, kit.sdp(*A), dialog=True),
        scene.response(9.1, 200, 8, kit.sdp(*B)),
    ]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_c3_duplicates_never_change_the_outcome(kit: Kit, data: st.DataObject) -> None:
    scene = kit.Scene()
    events = sorted(story(kit), key=lambda arrival: arrival.time_ns)
    again = data.draw(st.lists(st.tuples(st.sampled_from(events), st.floats(0.06, 33)), max_size=12))
    copies = [Arrival(m.time_ns + round(late * S), *_rest(m)) for m, late in again]
    streams = scene.media(last=40)
    expected = facts(play([*events, *streams], 60, kit))
    assert facts(play([*events, *copies, *streams], 60, kit)) == expected


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_order_and_any_loss_is_survived(kit: Kit, data: st.DataObject) -> None:
    events: list[Any] = data.draw(st.permutations(story(kit)))
    events = events[: data.draw(st.integers(0, len(events)))]
    table = CallTable()
    for stream in kit.Scene().media():
        table.stream_started(stream)
    calls = []
    for event in events:
        table.feed(event)
        calls += table.advance(event.time_ns)
    calls += table.close(kit.at_ns(100))
    assert table.active_calls == table.claims == 0
    for call in calls:
        assert call.started_ns <= (call.answered_ns or call.started_ns) <= call.ended_ns
