"""Offers and answers: early media, re-INVITE, hold, NAT (C6, C8, C9)."""

from __future__ import annotations

from typing import Any

import pytest

from bystander.sniffer.calls import CallTable
from bystander.sniffer.offers import MAX_HOPS, MAX_NAMED

A, B = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


def test_c3_sdp_on_a_retransmitted_answer_counts(kit: Any) -> None:
    """The first 200 lost its body to the snap length; the second did not."""
    scene = kit.Scene()
    messages = [scene.request(0, "INVITE"), scene.response(2, 200), scene.answer(2.5)]
    call = kit.one(kit.play([*messages, kit.stream(("9.9.9.9", 1), B, 2.2, 9)], 10))
    assert [claimed.by for claimed in call.streams] == ["caller"]
    assert call.answered_ns == kit.at_ns(2)


def test_c6_offer_in_the_answer_and_answer_in_the_ack(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        scene.request(0, "INVITE"),
        scene.answer(2),
        scene.request(2.1, "ACK", 1, kit.sdp("10.0.0.1", 4000), dialog=True, branch="z9hG4bK-ack"),
        scene.request(12, "BYE", 2, dialog=True),
    ]
    call = kit.one(kit.play([*messages, *scene.media()], 15))
    assert kit.voices(call) == {A: "caller", B: "callee"}
    assert call.media_expected


def test_c6_early_media_before_any_answer(kit: Any) -> None:
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
    call = kit.one(kit.play([*messages, early, *scene.media()], 15))
    assert [claimed.by for claimed in call.streams] == ["callee", "caller", "callee"]
    assert call.media_expected


def test_c6_prack_and_update_may_offer(kit: Any) -> None:
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
    call = kit.one(kit.play([*messages, kit.stream(moved, B, 2, 12), kit.stream(B, moved, 2, 12)], 15))
    assert kit.voices(call) == {moved: "caller", B: "callee"}


def test_c6_a_refused_reinvite_changes_nothing(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        *scene.normal(),
        scene.request(5, "INVITE", 7, kit.sdp("10.0.0.1", 4400, "sendonly"), dialog=True),
        scene.response(5.1, 491, 7),
        scene.request(5.6, "INVITE", 7, kit.sdp("10.0.0.1", 4400, "sendonly"), dialog=True),
    ]
    stray = kit.stream(("10.7.7.7", 7), ("10.0.0.1", 4400), 6, 9)
    call = kit.one(kit.play([*messages, *scene.media(), stray], 15))
    assert (call.state, call.final_status, call.holds) == ("answered", 200, [])
    assert kit.voices(call) == {A: "caller", B: "callee"}


def test_c6_a_reinvite_moves_media_and_changes_codec(kit: Any) -> None:
    scene = kit.Scene()
    moved = ("10.0.0.22", 5500)
    messages = [
        *scene.normal(),
        scene.request(6, "INVITE", 7, kit.sdp(*moved, types="9"), by="callee", dialog=True),
        scene.response(6.1, 200, 7, kit.sdp("10.0.0.1", 4000, types="9"), to="callee"),
        scene.request(6.2, "ACK", 7, by="callee", dialog=True, branch="ack7"),
    ]
    after = [kit.stream(moved, A, 6.2, 12, (9,)), kit.stream(A, moved, 6.2, 12, (9,))]
    call = kit.one(kit.play([*messages, *scene.media(2.1, 6), *after], 15))
    assert [(c.stream.src, c.by) for c in call.streams] == [
        (A, "caller"),
        (B, "callee"),
        (moved, "callee"),
        (A, "caller"),
    ]
    assert call.streams[0].formats[9].encoding == "G722"
    assert call.answered_ns == kit.at_ns(2)


HOLDS = [
    ("sendonly", "recvonly"),
    ("inactive", "inactive"),
]


@pytest.mark.parametrize(("offer", "answer"), HOLDS)
@pytest.mark.parametrize("by", ["caller", "callee"])
def test_c8_hold_and_resume(kit: Any, by: str, offer: str, answer: str) -> None:
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
    call = kit.one(calls + table.advance(kit.at_ns(920)))
    assert [(h.by, h.from_ns, h.to_ns) for h in call.holds] == [(by, kit.at_ns(5), kit.at_ns(900))]
    assert (call.ended_by, call.ended_ns) == (by, kit.at_ns(910))


def test_c8_hold_by_the_address_nowhere_ends_with_the_call(kit: Any) -> None:
    scene = kit.Scene()
    messages = [
        *scene.normal(bye=20),
        scene.request(5, "INVITE", 7, kit.sdp("0.0.0.0", 4000), dialog=True),
        scene.response(5.1, 200, 7, kit.sdp("10.0.0.2", 5000)),
    ]
    call = kit.one(kit.play(messages, 30))
    assert [(h.by, h.from_ns, h.to_ns) for h in call.holds] == [("caller", kit.at_ns(5), kit.at_ns(20))]


def test_c8_both_may_hold(kit: Any) -> None:
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
    call = kit.one(kit.play(messages, 50))
    assert [(h.by, h.from_ns, h.to_ns) for h in call.holds] == [
        ("caller", kit.at_ns(5), kit.at_ns(10)),
        ("callee", kit.at_ns(6), kit.at_ns(20)),
    ]


def test_c9_nat_the_media_comes_from_where_the_signalling_does(kit: Any) -> None:
    scene = kit.Scene(caller=("203.0.113.5", 61000))
    public = ("203.0.113.5", 4000)
    messages = [
        scene.request(0, "INVITE", 1, kit.sdp("192.168.1.10", 4000)),
        scene.answer(2),
        scene.request(12, "BYE", 2, dialog=True),
    ]
    streams = [kit.stream(public, ("10.0.0.2", 9), 2, 12), kit.stream(B, public, 2, 12)]
    call = kit.one(kit.play([*messages, *streams], 15))
    assert kit.voices(call) == {public: "caller", B: "callee"}


def test_c9_nat_symmetry_tells_where_the_other_way_goes(kit: Any) -> None:
    """Neither address nor port of the caller is what it said; the callee answers to where it hears from."""
    scene = kit.Scene(caller=("203.0.113.5", 61000))
    real, unknown = ("198.51.100.7", 23456), ("10.0.0.2", 5555)
    messages = [scene.request(0, "INVITE", 1, kit.sdp("192.168.1.10", 4000)), scene.answer(2)]
    streams = [kit.stream(unknown, real, 2.0, 12), kit.stream(real, B, 2.1, 12)]
    call = kit.one(kit.play([*messages, *streams], 15))
    assert kit.voices(call) == {real: "caller", unknown: "callee"}


def test_video_is_not_audio(kit: Any) -> None:
    scene = kit.Scene()
    video = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000"
    messages = [
        scene.request(0, "INVITE", 1, kit.sdp(*A, more=video)),
        scene.response(2, 200, 1, kit.sdp(*B, more=video.replace("4002", "5002"))),
        scene.request(12, "BYE", 2, dialog=True),
    ]
    picture = kit.stream(("10.0.0.1", 4002), ("10.0.0.2", 5002), 2, 12, (96,))
    call = kit.one(kit.play([*messages, *scene.media(), picture], 15))
    assert len(call.streams) == 2
    assert [(c.stream, c.kind, c.by) for c in call.other_streams] == [(picture, "video", "caller")]


@pytest.mark.parametrize(("answer", "encrypted"), [("RTP/SAVP", True), ("RTP/AVP", False)])
def test_encrypted_media(kit: Any, answer: str, encrypted: bool) -> None:
    scene = kit.Scene()
    secure = kit.sdp(*A, more="a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x")
    reply = kit.sdp(*B).replace(b"RTP/AVP", answer.encode())
    messages = [scene.request(0, "INVITE", 1, secure), scene.response(2, 200, 1, reply)]
    call = kit.one(kit.play([*messages, *scene.media()], 15))
    assert {claimed.encrypted for claimed in call.streams} == {encrypted}


def test_media_refused(kit: Any) -> None:
    scene = kit.Scene()
    messages = [scene.invite(), scene.response(2, 200, 1, kit.sdp("10.0.0.2", 0))]
    call = kit.one(kit.play(messages, 15))
    assert (call.state, call.media_expected) == ("answered", False)


def test_repeated_offers_that_each_name_something_else_are_bounded(kit: Any) -> None:
    """The same INVITE again and again, with other ports each time, from one host or from many."""
    scene, table = kit.Scene(), CallTable()
    for number in range(600):
        port, host = 10_000 + 2 * number, f"10.4.{number % 200}.1"
        table.feed(scene.request(number / 100, "INVITE", 1, kit.sdp("10.0.0.1", port), branch="b"))
        hop = ((host, 5060), scene.callee)
        table.feed(scene.request(number / 100, "INVITE", 1, kit.sdp(host, 4000), branch="b", hop=hop))
    (exchange,) = table._legs[scene.call_id].media._exchanges.values()
    assert len(exchange.named) == MAX_HOPS
    assert max(map(len, exchange.named.values())) == MAX_NAMED
