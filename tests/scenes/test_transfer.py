"""C8: calls that are transferred, picked up, taken over, redirected stay calls, and lead to one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scenery import Line, Outcome, Scene

Play = Callable[..., Outcome]
ALICE, BOB, CAROL = "10.1.0.1", "10.1.0.2", "10.1.0.3"


def between(scene: Scene, number: int, caller: str, callee: str, names: tuple[str, str]) -> Line:
    """A call between two telephones of the office, each pair with ports of its own."""
    return Line(
        scene,
        call_id=f"call-{number}@{caller}",
        caller=names[0],
        callee=names[1],
        caller_sip=(caller, 5060),
        callee_sip=(callee, 5060),
        caller_media=(caller, 4000 + 2 * number),
        callee_media=(callee, 4000 + 2 * number),
        tags=(f"from-{number}", f"to-{number}"),
    )


def talk(
    scene: Scene, line: Line, begin: float, end: float, voices: tuple[float, float], number: int
) -> None:
    scene.talk(line.says(voices[0], ssrc=number * 16 + 1), begin, end)
    scene.talk(line.replies(voices[1], ssrc=number * 16 + 2), begin, end)


def refer(line: Line, at: float, by: str, target: str, told: tuple[int, ...] = (100, 200)) -> None:
    """REFER by one party, accepted, and what the other tells of the call that it makes."""
    other = "callee" if by == "caller" else "caller"
    line.message(at, "REFER sip:x@x SIP/2.0", "7 REFER", by=by, asks=by, headers=(f"Refer-To: {target}",))
    line.message(at + 0.01, "SIP/2.0 202 Accepted", "7 REFER", by=other, asks=by)
    for number, status in enumerate(told):
        line.message(
            at + 0.02 + number, "NOTIFY sip:x@x SIP/2.0", f"{20 + number} NOTIFY",
            f"SIP/2.0 {status} What\r\n", by=other, asks=other, kind="message/sipfrag;version=2.0",
            headers=("Event: refer;id=7",),
        )  # fmt: skip


def relations(call: dict[str, Any]) -> dict[str, str]:
    return {one["call_id"]: one["relation"] for one in call["related"]}


def test_c8_blind_transfer(scene: Scene, play: Play) -> None:
    """Alice calls Bob, who sends her to Carol and leaves; both calls are recorded, each with its voices."""
    first = between(scene, 1, ALICE, BOB, ("101", "102"))
    first.invite(0)
    first.answer(1)
    talk(scene, first, 1, 5, (500, 800), 1)
    refer(first, 5, "callee", f"<sip:103@{CAROL}>")
    first.bye(6.5, by="callee")
    second = between(scene, 2, ALICE, CAROL, ("101", "103"))
    second.invite(5.1, headers=(f"Referred-By: <sip:102@{BOB}>",))
    second.answer(6)
    talk(scene, second, 6, 10, (500, 1100), 2)
    second.bye(10)
    heard = play(scene)
    before, after = heard.calls
    assert [call["verdict"] for call in heard.calls] == ["recorded", "recorded"]
    assert heard.heard(0.05, 3.9, before) == ("caller", "callee")
    assert heard.heard(0.05, 3.9, after) == ("caller", "1100 Hz")
    assert relations(before) == {second.call_id: "transferred-to"}
    assert relations(after) == {first.call_id: "transferred-from"}
    assert before["transfers"] == after["transfers"]
    (told,) = before["transfers"]
    assert (told["kind"], told["by"], told["to"], told["status"]) == ("blind", "102", "103", 200)
    assert (told["of"], told["into"], told["consulted"]) == (first.call_id, second.call_id, None)


def test_c8_attended_transfer(scene: Scene, play: Play) -> None:
    """Bob asks Carol first; her telephone gets an INVITE that replaces that call."""
    first = between(scene, 1, ALICE, BOB, ("101", "102"))
    asked = between(scene, 2, BOB, CAROL, ("102", "103"))
    last = between(scene, 3, ALICE, CAROL, ("101", "103"))
    first.invite(0)
    first.answer(1)
    talk(scene, first, 1, 4, (500, 800), 1)
    asked.invite(4)
    asked.answer(5)
    talk(scene, asked, 5, 8, (800, 1100), 2)
    replaces = f"{asked.call_id};to-tag=to-2;from-tag=from-2"
    escaped = replaces.replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
    refer(first, 8, "callee", f"<sip:103@{CAROL}?Replaces={escaped}&Require=replaces>")
    last.invite(8.1, headers=(f"Replaces: {replaces}", f"Referred-By: <sip:102@{BOB}>"))
    last.answer(8.3)
    asked.bye(8.4, by="callee")
    first.bye(9.5, by="callee")
    talk(scene, last, 8.4, 12, (500, 1100), 3)
    last.bye(12)
    heard = play(scene)
    by_id = {call["call_id"]: call for call in heard.calls}
    assert len(by_id) == 3
    assert relations(by_id[first.call_id]) == {
        asked.call_id: "consulted-in", last.call_id: "transferred-to"
    }  # fmt: skip
    assert relations(by_id[asked.call_id]) == {
        first.call_id: "consultation-for", last.call_id: "replaced-by"
    }  # fmt: skip
    assert relations(by_id[last.call_id]) == {first.call_id: "transferred-from", asked.call_id: "replaces"}
    told = [call["transfers"] for call in heard.calls]
    assert told[0] == told[1] == told[2]
    assert (told[0][0]["kind"], told[0][0]["into"]) == ("attended", last.call_id)
    assert heard.heard(0.2, 3.6, by_id[last.call_id]) == ("caller", "1100 Hz")


def test_c8_a_transfer_that_fails(scene: Scene, play: Play) -> None:
    """Carol is busy: Alice and Bob go on, and the call says what was tried."""
    first = between(scene, 1, ALICE, BOB, ("101", "102"))
    first.invite(0)
    first.answer(1)
    refer(first, 2, "callee", f"sip:103@{CAROL}", (100, 486))
    busy = between(scene, 2, ALICE, CAROL, ("101", "103"))
    busy.invite(2.1, headers=(f"Referred-By: <sip:102@{BOB}>",))
    busy.progress(2.2, "486 Busy Here")
    talk(scene, first, 1, 8, (500, 800), 1)
    first.bye(8)
    heard = play(scene)
    before, after = heard.calls
    assert (before["verdict"], after["state"]) == ("recorded", "busy")
    assert before["transfers"][0]["status"] == 486
    assert relations(after) == {first.call_id: "transferred-from"}


def test_c8_an_exchange_transfers_for_the_telephone(scene: Scene, play: Play) -> None:
    """The REFER goes to the exchange, which calls Carol: no Referred-By, only who called whom, and when."""
    exchange = "10.0.0.9"
    first = between(scene, 1, exchange, BOB, ("101", "102"))
    first.invite(0)
    first.answer(1)
    refer(first, 3, "callee", "<sip:103@office.example>")
    first.bye(4, by="callee")
    second = between(scene, 2, exchange, CAROL, ("101", "103"))
    second.invite(3.1)
    second.answer(3.5)
    second.bye(6)
    stranger = between(scene, 3, "10.0.0.77", CAROL, ("555", "103"))
    stranger.invite(3.2)
    stranger.progress(3.3, "486 Busy Here")
    by_id = {call["call_id"]: call for call in play(scene).calls}
    assert relations(by_id[first.call_id]) == {second.call_id: "transferred-to"}
    assert relations(by_id[stranger.call_id]) == {}


def test_c8_a_ringing_call_is_picked_up(scene: Scene, play: Play) -> None:
    """Carol takes the call that rings at Bob: INVITE with Replaces for an early dialog."""
    ringing = between(scene, 1, ALICE, BOB, ("101", "102"))
    ringing.invite(0)
    ringing.progress(0.5)
    fetched = between(scene, 2, CAROL, ALICE, ("103", "101"))
    fetched.invite(2, headers=("Replaces: call-1@10.1.0.1;from-tag=from-1;to-tag=to-1;early-only",))
    fetched.answer(2.2)
    ringing.message(2.3, "CANCEL sip:x@x SIP/2.0", "1 CANCEL", branch="1INVITE", to_tag=False)
    ringing.progress(2.4, "487 Request Terminated")
    talk(scene, fetched, 2.3, 5, (1100, 500), 2)
    fetched.bye(5)
    heard = play(scene)
    before, after = heard.calls
    assert (before["state"], after["verdict"]) == ("cancelled", "recorded")
    assert relations(before) == {fetched.call_id: "picked-up-by"}
    assert relations(after) == {ringing.call_id: "picks-up"}
    assert before["transfers"] == after["transfers"] == []


def test_c8_a_parked_call_is_fetched(scene: Scene, play: Play) -> None:
    """Bob sends Alice to the park (REFER); Carol fetches her with Replaces (RFC 5359 section 2.13)."""
    park = "10.0.0.50"
    first = between(scene, 1, ALICE, BOB, ("101", "102"))
    parked = between(scene, 2, ALICE, park, ("101", "park"))
    fetched = between(scene, 3, CAROL, ALICE, ("103", "101"))
    first.invite(0)
    first.answer(1)
    refer(first, 2, "callee", f"<sip:park@{park}>")
    parked.invite(2.1, headers=(f"Referred-By: <sip:102@{BOB}>",))
    parked.answer(2.2)
    first.bye(3.5, by="callee")
    fetched.invite(20, headers=(f"Replaces: {parked.call_id};from-tag=from-2;to-tag=to-2",))
    fetched.answer(20.2)
    parked.bye(20.3)
    fetched.bye(25)
    by_id = {call["call_id"]: call for call in play(scene).calls}
    assert relations(by_id[parked.call_id]) == {
        first.call_id: "transferred-from", fetched.call_id: "replaced-by"
    }  # fmt: skip
    assert relations(by_id[fetched.call_id]) == {parked.call_id: "replaces"}


def test_c8_a_redirected_call(scene: Scene, play: Play) -> None:
    """302: some telephones try again with a Call-ID of its own."""
    first = between(scene, 1, ALICE, BOB, ("101", "102"))
    first.invite(0)
    first.message(
        0.1,
        "SIP/2.0 302 Moved Temporarily",
        "1 INVITE",
        by="callee",
        headers=(f"Contact: <sip:103@{CAROL}>",),
    )
    second = between(scene, 2, ALICE, CAROL, ("101", "103"))
    second.invite(0.3)
    second.answer(1)
    second.bye(5)
    heard = play(scene)
    assert relations(heard.calls[0]) == {second.call_id: "redirected-to"}
    assert relations(heard.calls[1]) == {first.call_id: "redirected-from"}
