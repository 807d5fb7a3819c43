"""The table of calls: time, claims in conflict, bounds, and properties of it all."""

from __future__ import annotations

import gc
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.sniffer.calls import Call, CallSettings, CallTable
from bystander.sniffer.leg import Leg
from bystander.sniffer.sip import Arrival

S = 1_000_000_000
A, B = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


def test_a_call_lingers_and_is_handed_out_once(kit: Any) -> None:
    table = CallTable()
    scene = kit.Scene()
    assert kit.run(table, scene.normal(), 13.0) == []
    assert table.active_calls == 1
    table.feed(scene.request(13.2, "BYE", 2, dialog=True))
    assert len(table.advance(kit.at_ns(14.5))) == 1
    table.feed(scene.request(16.0, "BYE", 2, dialog=True))
    table.feed(scene.answer(16.5))
    table.feed(scene.invite(17.0))
    assert table.advance(kit.at_ns(30)) == table.close(kit.at_ns(30)) == []
    assert table.counters["sip-stragglers"] == 3


def test_a_call_id_used_again_is_another_call(kit: Any) -> None:
    scene = kit.Scene()
    again = [
        scene.request(40.0, "INVITE", 5, kit.sdp("10.0.0.1", 4000)),
        scene.response(41.0, 200, 5, kit.sdp("10.0.0.2", 5000), tag="bob-2"),
        scene.request(45.0, "BYE", 6, dialog="bob-2"),
    ]
    calls = kit.play([*scene.normal(), *again], 60.0)
    assert [(c.state, c.ended_ns) for c in calls] == [
        ("answered", kit.at_ns(12)),
        ("answered", kit.at_ns(45)),
    ]


def test_c6_a_bye_that_was_never_seen(kit: Any) -> None:
    scene = kit.Scene()
    table = CallTable()
    assert kit.run(table, [*scene.normal(bye=None), *scene.media(last=30)], 100) == []
    call = kit.one(table.advance(kit.at_ns(151)))
    assert (call.state, call.ended_by, call.ended_ns) == ("answered", "timeout", kit.at_ns(30))


def test_c10_ports_are_used_again_seconds_later(kit: Any) -> None:
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
    calls = kit.run(table, [*first.normal(), *later, *old, *new, late], 30)
    assert [[c.stream for c in call.streams] for call in calls] == [old, new]
    assert table.unclaimed_streams == 1  # what began after the BYE is nobody's


def test_c10_a_call_on_hold_and_the_one_made_meanwhile(kit: Any) -> None:
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
    calls = kit.play([*messages, *streams], 50)
    assert [{c_.stream.dst for c_ in call.streams} for call in calls] == [{A, B}, {A, c}]
    assert music in [claimed.stream for claimed in calls[0].streams]


def test_media_without_description_waits_and_expires(kit: Any) -> None:
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


def test_calls_beyond_the_bound_are_evicted_and_counted(kit: Any) -> None:
    table = CallTable(CallSettings(max_calls=10))
    for number in range(50):
        table.feed(kit.Scene(call_id=f"flood-{number}").invite(number / 100))
    assert table.active_calls == 10
    assert table.counters["calls-evicted"] == 40
    calls = table.close(kit.at_ns(1))
    assert sorted(call.call_id for call in calls) == sorted(f"flood-{n}" for n in range(50))


def test_streams_beyond_the_bound_are_given_back(kit: Any) -> None:
    table = CallTable(CallSettings(max_unclaimed=5))
    streams = [kit.stream(("10.5.5.5", port), ("10.6.6.6", port), 0, 1) for port in range(1, 9)]
    for stream in streams:
        table.stream_started(stream)
    assert table.unclaimed_streams == 5
    assert table.unclaimed_expired(kit.at_ns(1)) == streams[:3]


def test_nothing_is_left_behind(kit: Any) -> None:
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
    assert not table._media._owners
    assert not table._media.claims._streams
    assert not table._due
    assert not table._linker._noted
    assert not table._linker._heard


def test_what_is_announced_is_expected_until_the_call_is_over(kit: Any) -> None:
    table = CallTable()
    elsewhere = ("10.9.9.9", 9)
    assert not table.expects(elsewhere, A)
    table.feed(kit.Scene().invite())
    assert table.expects(elsewhere, A)
    assert table.expects(A, elsewhere)
    assert table.dialogs_by_state() == {"calling": 1}
    for message in kit.Scene().normal()[1:]:
        table.feed(message)
    assert table.dialogs_by_state() == {"ended": 1}
    assert table.expects(A, B)  # its last packets may still be in the block being read
    table.advance(kit.at_ns(60))
    assert not table.expects(A, B)


def test_a_stream_that_ended_may_still_be_claimed(kit: Any) -> None:
    """The description of a short burst comes after it."""
    table = CallTable()
    burst = kit.stream(A, B, 1.5, 1.9)
    table.stream_started(burst)
    table.stream_ended(burst)
    call = kit.one(kit.run(table, [m for m in kit.Scene().normal() if m.time_ns > kit.at_ns(1)], 20))
    assert [claimed.stream for claimed in call.streams] == [burst]


def facts(kit: Any, calls: list[Call]) -> list[tuple[object, ...]]:
    return [
        (
            c.call_id,
            c.state,
            c.final_status,
            c.answered_ns,
            c.ended_ns,
            c.ended_by,
            kit.voices(c),
            len(c.holds),
        )
        for c in calls
    ]


def story(kit: Any) -> list[Arrival]:
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
def test_c3_duplicates_never_change_the_outcome(kit: Any, data: st.DataObject) -> None:
    scene = kit.Scene()
    events = sorted(story(kit), key=lambda arrival: arrival.time_ns)
    again = data.draw(st.lists(st.tuples(st.sampled_from(events), st.floats(0.06, 33)), max_size=12))
    copies = [kit.later(m, round(late * S)) for m, late in again]
    streams = scene.media(last=40)
    expected = facts(kit, kit.play([*events, *streams], 60))
    assert facts(kit, kit.play([*events, *copies, *streams], 60)) == expected


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_order_and_any_loss_is_survived(kit: Any, data: st.DataObject) -> None:
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


def test_calls_handed_out_do_not_wait_for_the_collector(kit: Any) -> None:
    """C24: the collector hardly ever runs in a recorder, so nothing may depend on it."""
    before = sum(isinstance(thing, Leg) for thing in gc.get_objects())
    table = CallTable()
    gc.disable()
    try:
        for number in range(5):
            scene = kit.Scene(call_id=f"call-{number}")
            assert len(kit.run(table, scene.normal(), 100.0)) == 1
        assert sum(isinstance(thing, Leg) for thing in gc.get_objects()) == before
    finally:
        gc.enable()


def test_a_flood_of_media_changes_leaves_the_media_that_flows(kit: Any) -> None:
    """Somebody who knows the tags names another address in every re-INVITE."""
    scene = kit.Scene()
    table = CallTable()
    voice = kit.stream(A, B, 5.0, 12.0)
    messages = [message for message in scene.normal() if message.message.method != "BYE"]
    for message in messages:
        if message.time_ns < kit.at_ns(4):
            table.feed(message)
    for number in range(300):
        body = kit.sdp("10.9.9.9", 10_000 + 2 * number)
        table.feed(scene.request(4 + number / 1000, "INVITE", 10 + number, body, dialog=True))
    table.stream_started(voice)
    call = table.close(kit.at_ns(12))[0]
    assert [(claimed.stream, claimed.by) for claimed in call.streams] == [(voice, "caller")]
    assert table.claims == 0


def test_c10_a_flood_of_offers_takes_no_media_from_a_call_that_only_rings(kit: Any) -> None:
    """What streams have borne out stays when everybody else names the same address."""
    ringing = kit.Scene()
    early = kit.stream(A, B, 1.0, 60)
    table = CallTable()
    table.feed(ringing.invite(0.0))
    table.feed(ringing.response(0.5, 183, 1, kit.sdp(*B)))
    table.stream_started(early)
    for number in range(200):
        stranger = kit.Scene(call_id=f"s{number}@x", from_tag=f"s{number}", caller=("10.7.0.1", 5060))
        table.feed(stranger.request(2 + number / 100, "INVITE", 1, kit.sdp(*(A if number % 2 else B))))
    later = kit.stream(B, A, 10.0, 60)
    table.stream_started(later)
    ours = next(call for call in table.close(kit.at_ns(61)) if call.call_id == ringing.call_id)
    assert {claimed.stream for claimed in ours.streams} >= {early}
