"""Offers and answers before the call is answered, and without an offer in the INVITE (C6).

RFC 3262 (PRACK), RFC 3311 (UPDATE), forks one after the other with several early dialogs, RFC 6228 (199).
"""

from __future__ import annotations

from typing import Any

import pytest

ALICE, BOB, CAROL = "10.0.0.1", "10.0.0.2", "10.0.0.3"
Ends = tuple[tuple[str, int], tuple[str, int]]


def both_ways(kit: Any, ends: Ends, first: float, last: float) -> list[Any]:
    return [kit.stream(*ends, first, last), kit.stream(*ends[::-1], first, last)]


def over(scene: Any, cseq: int = 9, tag: str | bool = True) -> list[Any]:
    """The answer's ACK, and the end of the call."""
    return [
        scene.request(2.1, "ACK", 1, dialog=tag, branch="ack"),
        scene.request(12, "BYE", cseq, dialog=tag),
        scene.response(12.1, 200, cseq, method="BYE", tag=None if tag is True else tag),
    ]


def test_c6_a_reliable_183_offers_and_prack_answers(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        scene.request(0, "INVITE", 1),
        scene.response(0.5, 183, 1, kit.sdp(BOB, 5000)),
        scene.request(0.6, "PRACK", 2, kit.sdp(ALICE, 4000), dialog=True),
        scene.response(0.7, 200, 2, method="PRACK"),
        scene.response(2, 200, 1),
        *over(scene),
    ]
    call = kit.one(kit.play([*messages, *scene.media(0.7, 12)], until=60))
    assert kit.voices(call) == {(ALICE, 4000): "caller", (BOB, 5000): "callee"}
    assert len(call.streams) == 2


@pytest.mark.parametrize("method", ["PRACK", "UPDATE"])
def test_c6_a_new_offer_before_the_answer_moves_the_media(kit: Any, method: str) -> None:
    scene = kit.Scene()
    messages = [
        scene.invite(),
        scene.response(0.5, 183, 1, kit.sdp(BOB, 5000)),
        scene.request(0.8, method, 2, kit.sdp(ALICE, 4400), dialog=True),
        scene.response(0.9, 200, 2, kit.sdp(BOB, 5500), method=method),
        scene.response(2, 200, 1),
        *over(scene),
    ]
    streams = both_ways(kit, ((ALICE, 4400), (BOB, 5500)), 1, 12)
    call = kit.one(kit.play([*messages, *streams], until=60))
    assert kit.voices(call) == {(ALICE, 4400): "caller", (BOB, 5500): "callee"}
    assert call.holds == []


def test_c6_the_callee_may_update_before_it_answers(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        scene.invite(),
        scene.response(0.5, 183, 1, kit.sdp(BOB, 5000)),
        scene.request(0.8, "UPDATE", 1, kit.sdp("10.0.0.9", 5500), dialog=True, by="callee"),
        scene.response(0.9, 200, 1, kit.sdp(ALICE, 4000), method="UPDATE", to="callee"),
        scene.response(2, 200, 1),
        *over(scene),
    ]
    streams = both_ways(kit, ((ALICE, 4000), ("10.0.0.9", 5500)), 1, 12)
    call = kit.one(kit.play([*messages, *streams], until=60))
    assert kit.voices(call) == {(ALICE, 4000): "caller", ("10.0.0.9", 5500): "callee"}


def test_c6_hold_and_resume_by_update(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        scene.invite(),
        scene.answer(2),
        *over(scene),
        scene.request(3, "UPDATE", 2, kit.sdp(ALICE, 4000, "sendonly"), dialog=True),
        scene.response(3.1, 200, 2, kit.sdp(BOB, 5000, "recvonly"), method="UPDATE"),
        scene.request(6, "UPDATE", 3, kit.sdp(ALICE, 4000), dialog=True),
        scene.response(6.1, 200, 3, kit.sdp(BOB, 5000), method="UPDATE"),
    ]
    call = kit.one(kit.play(messages, until=60))
    assert [(h.by, h.from_ns, h.to_ns) for h in call.holds] == [("caller", kit.at_ns(3), kit.at_ns(6))]


def test_c6_a_refused_update_changes_nothing(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        *scene.normal(),
        scene.request(5, "UPDATE", 5, kit.sdp(ALICE, 4700, "sendonly"), dialog=True),
        scene.response(5.1, 491, 5, method="UPDATE"),
    ]
    stranger = kit.stream(("10.0.0.8", 9000), (ALICE, 4700), 6, 8)
    call = kit.one(kit.play([*messages, *scene.media(), stranger], until=60))
    assert len(call.streams) == 2
    assert call.holds == []


def test_c6_a_reinvite_without_an_offer_moves_the_media(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        *scene.normal(),
        scene.request(5, "INVITE", 5, dialog=True),
        scene.response(5.1, 200, 5, kit.sdp(BOB, 5600)),
        scene.request(5.2, "ACK", 5, kit.sdp(ALICE, 4600), dialog=True, branch="ack-5"),
    ]
    streams = scene.media(2.1, 5) + both_ways(kit, ((ALICE, 4600), (BOB, 5600)), 5.3, 12)
    call = kit.one(kit.play([*messages, *streams], until=60))
    assert len(call.streams) == 4
    assert call.holds == []
    assert kit.voices(call)[BOB, 5600] == "callee"


def test_c8_an_exchange_holds_by_a_reinvite_without_an_offer(kit: Any) -> None:
    """The telephone offers everything; what the exchange answers in ACK is what it wants."""
    scene = kit.Scene()
    messages = scene.normal()
    for at, mode in ((5, "sendonly"), (8, "")):
        messages += [
            scene.request(at, "INVITE", at, dialog=True),
            scene.response(at + 0.1, 200, at, kit.sdp(BOB, 5000)),
            scene.request(at + 0.2, "ACK", at, kit.sdp(ALICE, 4000, mode), dialog=True, branch=f"ack-{at}"),
        ]
    call = kit.one(kit.play(messages, until=60))
    assert [(h.by, h.from_ns, h.to_ns) for h in call.holds] == [("caller", kit.at_ns(5), kit.at_ns(8))]


@pytest.mark.parametrize("status", [181, 183, 199])
def test_c6_forks_in_series_each_with_early_media(kit: Any, status: int) -> None:
    """The first telephone is given up (RFC 6228: 199), the next one is heard and answers."""
    scene = kit.Scene()
    one, two = ((BOB, 5000), (ALICE, 4000)), ((CAROL, 5002), (ALICE, 4000))
    messages = [
        scene.invite(),
        scene.response(0.5, 183, 1, kit.sdp(BOB, 5000), tag="one"),
        scene.response(1, status, 1, tag="one"),
        scene.response(1.1, 183, 1, kit.sdp(CAROL, 5002), tag="two"),
        scene.response(2, 200, 1, kit.sdp(CAROL, 5002), tag="two"),
        *over(scene, tag="two"),
    ]
    streams = both_ways(kit, one, 0.6, 1) + both_ways(kit, two, 1.2, 12)
    call = kit.one(kit.play([*messages, *streams], until=60))
    assert (call.state, call.answered_ns, call.ended_by) == ("answered", kit.at_ns(2), "caller")
    assert {claimed.stream.src: claimed.by for claimed in call.streams} == {
        (ALICE, 4000): "caller", (BOB, 5000): "callee", (CAROL, 5002): "callee"
    }  # fmt: skip
    assert len(call.streams) == 4
