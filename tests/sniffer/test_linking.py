"""One call on two hops or in two legs (C7)."""

from __future__ import annotations

from typing import Any

import pytest

from bystander.sniffer.calls import CallTable
from bystander.sniffer.leg import ClaimedStream
from bystander.sniffer.linking import MAX_LOOKED_AT, MAX_SHARING, Linker

A, B = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


def test_c7_two_hops_are_one_call(kit: Any) -> None:
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
    call = kit.one(kit.play([*messages, *streams], 15))
    assert kit.voices(call) == {A: "caller", relay_b: "caller", B: "callee", relay_a: "callee"}
    assert (call.answered_ns, call.ended_ns, len(call.messages)) == (kit.at_ns(2), kit.at_ns(12), 6)


def b2bua(kit: Any) -> tuple[Any, Any]:
    """Return the two legs of a call through 10.0.0.9."""
    first = kit.Scene(call_id="leg-1", callee=("10.0.0.9", 5060))
    second = kit.Scene(
        call_id="leg-2", caller=("10.0.0.9", 5060), from_tag="pbx", to_tag="bob", from_header="<sip:101@pbx>"
    )
    return first, second


def test_c7_legs_with_direct_media_are_one_call(kit: Any) -> None:
    first, second = b2bua(kit)
    legs = []
    for scene, late in ((first, 0.0), (second, 0.05)):
        legs += [
            scene.request(late, "INVITE", 1, kit.sdp(*A)),
            scene.response(2 - late, 200, 1, kit.sdp(*B)),
            scene.request(12 + late, "BYE", 2, dialog=True),
        ]
    streams = [kit.stream(A, B, 2.1, 12), kit.stream(B, A, 2.1, 12)]
    call = kit.one(kit.play([*legs, *streams], 15))
    assert (call.call_id, call.linked_call_ids) == ("leg-1", ["leg-2"])
    assert kit.voices(call) == {A: "caller", B: "callee"}
    assert len(call.messages) == 6


def prints_of(voice: int) -> frozenset[int]:
    """What a stream with this voice looks like to the linker."""
    return frozenset(range(voice * 100, voice * 100 + 20))


@pytest.mark.parametrize("swapped", [False, True])
def test_c7_legs_with_the_same_audio_are_one_call(kit: Any, swapped: bool) -> None:
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
    assert kit.run(table, [*legs, *relayed], 12.5) == []
    for stream in relayed:
        table.stream_heard(stream, prints_of(voice[stream.src]))
    assert table.advance(kit.at_ns(14.2)) == []  # the second leg still lingers
    call = kit.one(table.advance(kit.at_ns(15)))
    assert (call.call_id, call.linked_call_ids, call.ended_ns) == ("leg-1", ["leg-2"], kit.at_ns(12))
    speaker = {1: "caller", 2: "callee"}
    assert kit.voices(call) == {src: speaker[number] for src, number in voice.items()}


def test_c7_a_leg_does_not_wait_for_ever(kit: Any) -> None:
    first, second = b2bua(kit)
    table = CallTable()
    streams = [
        kit.stream(A, ("10.0.0.9", 5000), 2.1, 12),
        kit.stream(("10.0.0.9", 5000), A, 2.1, 12),
        kit.stream(("10.0.0.9", 4000), B, 2.1, 90),
        kit.stream(B, ("10.0.0.9", 4000), 2.1, 90),
    ]
    assert kit.run(table, [*first.normal(), *second.normal(bye=None), *streams], 12.5) == []
    for stream, voice in zip(streams, (1, 2, 1, 2), strict=True):
        table.stream_heard(stream, prints_of(voice))
    assert table.advance(kit.at_ns(16)) == []
    call = kit.one(table.advance(kit.at_ns(20)))
    assert (call.call_id, call.linked_call_ids, len(call.streams)) == ("leg-1", [], 2)
    table.feed(second.request(90, "BYE", 2, dialog=True))
    rest = kit.one(table.advance(kit.at_ns(95)))
    assert (rest.call_id, len(rest.streams)) == ("leg-2", 2)


def test_c7_neighbours_are_not_legs(kit: Any) -> None:
    """A load generator gives every call the same ports; that does not make them one call."""
    one_, two = kit.Scene(call_id="n-1"), kit.Scene(call_id="n-2", from_tag="x", to_tag="y")
    table = CallTable()
    streams = one_.media()
    assert kit.run(table, [*one_.normal(), *two.normal(), *streams], 12.5) == []
    for stream in streams:
        table.stream_heard(stream, prints_of(1))
    calls = table.advance(kit.at_ns(20))
    assert [call.linked_call_ids for call in calls] == [[], []]


def test_c7_music_on_hold_does_not_join_strangers(kit: Any) -> None:
    """Two calls hear the same music at the same time; what their callers say differs."""
    first, second = b2bua(kit)
    streams = [
        kit.stream(A, ("10.0.0.9", 5000), 2.1, 12),
        kit.stream(("10.0.0.9", 5000), A, 2.1, 12),
        kit.stream(("10.0.0.9", 4000), B, 2.1, 12),
        kit.stream(B, ("10.0.0.9", 4000), 2.1, 12),
    ]
    table = CallTable()
    assert kit.run(table, [*first.normal(), *second.normal(), *streams], 12.5) == []
    for stream, voice in zip(streams, (1, 2, 3, 2), strict=True):
        table.stream_heard(stream, prints_of(voice))
    assert [call.linked_call_ids for call in table.advance(kit.at_ns(30))] == [[], []]


def test_c7_what_many_legs_share_joins_no_further_one(kit: Any) -> None:
    """A melody that is played to all who wait, both ways: the first few might be hops of one call."""
    table = CallTable()
    linker = Linker(30_000_000_000)
    legs = []
    for number in range(MAX_SHARING + 2):
        scene = kit.Scene(call_id=f"leg-{number}", caller=(f"10.0.1.{number}", 5060))
        table.feed(scene.request(number / 1000, "INVITE", 1, kit.sdp(*A)))
        table.feed(scene.response(1 + number / 1000, 200, 1, kit.sdp(*B)))
        leg = table._legs[f"leg-{number}"]
        legs.append(leg)
        linker.add(leg)
        for by, voice in (("caller", 1), ("callee", 2)):
            linker.note(leg, ClaimedStream(kit.stream(A, B, 1, 9), by, {}, encrypted=False), prints_of(voice))
    assert legs[1] in legs[0].links
    assert [not leg.links for leg in legs] == [False] * MAX_SHARING + [True] * 2


def test_a_city_that_calls_one_number_is_not_gone_through_at_each_calls_end(
    kit: Any, monkeypatch: Any
) -> None:
    """Else what a call costs at its end grows with the number of calls to the office."""
    looked = []
    plausible = Linker._plausible
    monkeypatch.setattr(
        Linker, "_plausible", lambda self, *legs: looked.append(legs) or plausible(self, *legs)
    )
    table = CallTable()
    streams = []
    for number in range(3 * MAX_LOOKED_AT):
        scene = kit.Scene(
            call_id=f"call-{number}", from_tag=f"f{number}", from_header=f"<sip:60012{number:04}@x>"
        )
        ends = ("10.0.0.1", 4000 + 2 * number), ("10.0.0.2", 4000 + 2 * number)
        table.feed(scene.request(number / 1000, "INVITE", 1, kit.sdp(*ends[0])))
        table.feed(scene.response(1 + number / 1000, 200, 1, kit.sdp(*ends[1])))
        streams.append(kit.stream(*ends, 2, 9))
        table.stream_started(streams[-1])
    for stream in streams:
        table.may_be_relayed(stream)
    assert len(looked) <= 2 * MAX_LOOKED_AT * len(streams), "of each party"
    assert table.may_be_relayed(streams[0]), "in doubt the audio tells"
