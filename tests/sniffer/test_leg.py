"""What is kept of one Call-ID: parties, digits, evidence."""

from __future__ import annotations

from typing import Any

import pytest

from bystander.sniffer.calls import CallTable


def test_digits_by_info(kit: Any) -> None:
    scene = kit.Scene()
    relay = {"content": "application/dtmf-relay", "dialog": True}
    messages = [
        *scene.normal(),
        scene.request(5, "INFO", 7, b"Signal= 5\r\nDuration= 160\r\n", **relay),
        scene.request(5.6, "INFO", 7, b"Signal= 5\r\nDuration= 160\r\n", **relay),
        scene.request(6, "INFO", 3, b"#", by="callee", content="application/dtmf", dialog=True),
        scene.request(7, "INFO", 8, b"<x/>", content="application/media_control+xml", dialog=True),
    ]
    call = kit.one(kit.play(messages, 15))
    assert call.info_digits == [
        (kit.at_ns(5), "5", "caller", 160, 0),
        (kit.at_ns(6), "#", "callee", None, 0),
    ]


def test_c13_a_message_mirrored_twice_is_one(kit: Any) -> None:
    scene = kit.Scene()
    table = CallTable()
    twice = [copy for m in scene.normal() for copy in (m, kit.later(m, 9))]
    call = kit.one(kit.run(table, twice, 15))
    assert len(call.messages) == 7
    assert table.counters["sip-mirrored-twice"] == 7


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
def test_who_calls(kit: Any, sender: str, identity: str, caller: str) -> None:
    scene = kit.Scene(from_header=sender)
    call = kit.one(kit.play([scene.invite(headers=(identity,) if identity else ())], 15))
    assert call.caller == caller


def test_evidence_is_bounded_and_keeps_the_end(kit: Any) -> None:
    scene = kit.Scene()
    chatter = [scene.request(3 + n / 1000, "OPTIONS", 10 + n, dialog=True) for n in range(600)]
    call = kit.one(kit.play([*scene.normal(), *chatter], 15))
    assert len(call.messages) <= 512
    assert call.evidence_truncated
    assert call.messages[-2].message.method == "BYE"
