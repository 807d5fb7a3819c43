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
