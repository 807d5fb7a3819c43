"""What the stream table is told to do with packets, by what descriptions say."""

from __future__ import annotations

from typing import Any

import pytest

from bystander.sniffer.calls import CallTable
from bystander.sniffer.guarding import mode_of
from bystander.sniffer.keeping import PLAIN, SEALED, WHOLE
from bystander.sniffer.protection import Guard

A, B = ("10.0.0.1", 4000), ("10.0.0.2", 5000)
CRYPTO = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40


@pytest.mark.parametrize(
    ("guard", "mode"),
    [
        (Guard(), PLAIN),
        (Guard("perhaps", "sdes"), WHOLE),
        (Guard("perhaps", "zrtp"), WHOLE),
        (Guard("protected", "sdes"), WHOLE),
        (Guard("protected", "dtls"), SEALED),
        (Guard("protected", "unknown"), SEALED),
    ],
)
def test_what_follows_from_descriptions(guard: Guard, mode: int) -> None:
    """Packets that nobody can open are counted and not kept."""
    assert mode_of(guard) == mode


def savp(body: bytes, profile: bytes = b"RTP/SAVP") -> bytes:
    return body.replace(b"RTP/AVP", profile)


def test_new_streams_are_treated_by_the_claims_on_their_ends(kit: Any) -> None:
    table = CallTable()
    scene = kit.Scene()
    assert table.guards.mode(A, B) is None
    table.feed(scene.request(0, "INVITE", 1, savp(kit.sdp(*A, more=CRYPTO))))
    assert table.guards.mode(B, A) == table.guards.mode(A, B) == WHOLE
    assert table.guards.mode(B, ("10.0.0.9", 1)) is None
    table.feed(scene.response(1, 200, 1, kit.sdp(*B)))
    assert table.guards.mode(A, B) == PLAIN


def test_where_calls_disagree_packets_are_kept_whole(kit: Any) -> None:
    """C10: one call on hold in clear, another in SRTP, at one address."""
    table = CallTable()
    table.feed(kit.Scene().request(0, "INVITE", 1, kit.sdp(*A)))
    assert table.guards.mode(B, A) == PLAIN
    other = kit.Scene(call_id="another", from_tag="x")
    table.feed(
        other.request(1, "INVITE", 1, savp(kit.sdp(*A, more="a=fingerprint:sha-256 AA"), b"UDP/TLS/RTP/SAVP"))
    )
    assert table.guards.mode(B, A) == WHOLE


def test_changes_are_told_once(kit: Any) -> None:
    table = CallTable()
    scene = kit.Scene()
    stream = kit.stream(B, A, 0, 12)
    table.stream_started(stream)
    assert table.guards.changed() == []
    table.feed(scene.request(0, "INVITE", 1, savp(kit.sdp(*A, more=CRYPTO))))
    assert table.guards.changed() == [(stream, WHOLE)]
    table.feed(scene.request(0.5, "INVITE", 1, savp(kit.sdp(*A, more=CRYPTO))))
    assert table.guards.changed() == []
    table.feed(scene.response(1, 200, 1, kit.sdp(*B)))
    assert table.guards.changed() == [(stream, PLAIN)]


def test_a_plain_hop_stays_plain_though_its_media_comes_before_its_answer(kit: Any) -> None:
    """A proxy encrypts on its other hop only; its address here is learned from what comes from there."""
    phone, proxy, far = ("10.0.0.1", 5060), ("10.0.0.9", 5060), ("10.0.0.2", 5060)
    near_media, far_media = ("10.0.0.9", 30012), ("10.0.0.9", 30000)
    scene, table = kit.Scene(), CallTable()
    events = [
        scene.request(0, "INVITE", 1, kit.sdp(*A), hop=(phone, proxy)),
        scene.request(0.1, "INVITE", 1, savp(kit.sdp(*far_media, more=CRYPTO)), hop=(proxy, far), vias=2),
        scene.response(1, 200, 1, savp(kit.sdp(*B, more=CRYPTO)), hop=(far, proxy), vias=2),
        forth := kit.stream(A, near_media, 1.1, 9),
        sealed := kit.stream(far_media, B, 1.2, 9),
        back := kit.stream(near_media, A, 1.3, 9),
        scene.response(1.5, 200, 1, kit.sdp(*near_media), hop=(proxy, phone)),
        scene.request(9, "BYE", 2, hop=(phone, proxy), dialog=True),
    ]
    call = kit.one(kit.run(table, events, 30) + table.close(kit.at_ns(30)))
    told = {claimed.stream.id: claimed.guard.state for claimed in call.streams}
    assert told == {back.id: "plain", forth.id: "plain", sealed.id: "protected"}
