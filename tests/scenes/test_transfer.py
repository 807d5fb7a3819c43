"""C8: calls that are transferred, picked up, taken over, redirected stay calls, and lead to one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scenery import Line, Outcome, Scene, rtp, tone

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


def test_c8_a_consulted_call_is_replaced_before_the_transfer_is_seen(scene: Scene, play: Play) -> None:
    """The REFER came over another port of the mirror, later than the INVITE that it brought about."""
    first = between(scene, 1, ALICE, BOB, ("101", "102"))
    first.invite(0)
    first.answer(1)
    talk(scene, first, 1, 4, (500, 800), 1)
    consultation = between(scene, 2, ALICE, CAROL, ("101", "103"))
    consultation.invite(4)
    consultation.answer(5)
    talk(scene, consultation, 5, 7, (500, 1100), 2)
    third = between(scene, 3, BOB, CAROL, ("102", "103"))
    replaces = f"call-2@{ALICE};to-tag=to-2;from-tag=from-2"
    third.invite(6.99, headers=(f"Replaces: {replaces}",))
    embedded = replaces.replace(";", "%3B").replace("=", "%3D")
    refer(first, 7, "caller", f"<sip:103@{CAROL}?Replaces={embedded}>")
    third.answer(7.5)
    consultation.bye(7.6, by="callee")
    first.bye(8.2)
    talk(scene, third, 7.5, 10, (800, 1100), 3)
    third.bye(10)
    heard = play(scene)
    one, two, three = heard.calls
    assert relations(one) == {two["call_id"]: "consulted-in", three["call_id"]: "transferred-to"}
    assert relations(three) == {two["call_id"]: "replaces", one["call_id"]: "transferred-from"}
    assert one["transfers"] == two["transfers"] == three["transfers"]
    assert one["transfers"][0]["into"] == three["call_id"]


def test_c7_who_waited_in_a_queue_is_put_through(scene: Scene, play: Play) -> None:
    """A minute later the exchange calls an agent: two calls of the same audio, which lead to one another."""
    exchange = "10.0.0.50"
    waiting = Line(scene, callee_media=(exchange, 6000), callee_sip=(exchange, 5060))
    agent = Line(
        scene, call_id="call-2@exchange", callee="201", caller_media=(exchange, 6002),
        callee_media=(BOB, 4000), caller_sip=(exchange, 5060), callee_sip=(BOB, 5060),
        tags=("from-2", "to-2"),
    )  # fmt: skip
    waiting.invite(0)
    waiting.answer(1)
    mine, theirs = waiting.says(), waiting.replies(1400)
    scene.talk(mine, 1, 60)
    scene.talk(theirs, 1, 60)
    agent.invite(58)
    agent.answer(60)
    chance = np.random.default_rng(7)
    for n in range(300):
        # Tones with noise, as no two voices are the same.
        noise = chance.integers(0, 8, (2, 160), np.uint8)
        tones = [np.frombuffer(tone(hz, n * 160, 160), np.uint8) for hz in (500, 800)]
        said = [(one ^ other).tobytes() for one, other in zip(tones, noise, strict=True)]
        at = 60 + n * 0.02
        for stream, words in ((mine, said[0]), (theirs, said[1])):
            scene.send(at, stream.src, stream.dst, rtp(stream.seq, stream.ts, stream.ssrc, words))
            stream.seq, stream.ts = stream.seq + 1, stream.ts + 160
        scene.send(at, agent.caller_media, agent.callee_media, rtp(n, n * 160, 5, said[0]))
        scene.send(at, agent.callee_media, agent.caller_media, rtp(n, n * 160, 6, said[1]))
    waiting.bye(66)
    agent.bye(66.1)
    heard = play(scene)
    one, two = heard.calls
    assert relations(one) == {two["call_id"]: "other-leg"}
    assert relations(two) == {one["call_id"]: "other-leg"}
    assert [call["callee"] for call in heard.calls] == ["+48221234567", "201"]
    assert [call["verdict"] for call in heard.calls] == ["recorded", "recorded"]
    assert heard.audio(one).shape[0] == 65 * 8000
