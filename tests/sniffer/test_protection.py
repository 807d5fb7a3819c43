"""What descriptions say of protection, by party, hop and fork."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.protection import MAX_KEYS, MAX_SAID, PERHAPS, PLAIN, PROTECTED, Guard, Protections
from bystander.sniffer.sdp import Media

HOP, OTHER = ("a", "b"), ("b", "c")


def crypto(seed: int = 1) -> str:
    return f"1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(seed.to_bytes(30, 'big')).decode()}"


def media(profile: str = "RTP/AVP", **more: object) -> Media:
    return Media("audio", 4000, profile, **more)  # type: ignore[arg-type]


SAVP = media("RTP/SAVP", crypto=[crypto()])
BEST_EFFORT = media(crypto=[crypto(2)])
AVP = media()
DTLS = media("UDP/TLS/RTP/SAVPF", fingerprint="sha-256 AA")
ZRTP = media(zrtp=True)


def said(offer: list[Media], answer: list[Media] | None = None, *, both: bool = True) -> Protections:
    protections = Protections()
    protections.note("caller", HOP, "", offer, 1, in_dialog=False)
    if answer is not None:
        protections.note("callee", HOP, "tag", answer, 2, in_dialog=False)
    return protections


@pytest.mark.parametrize(
    ("offer", "answer", "state", "kind"),
    [
        ([AVP], None, PLAIN, ""),
        ([AVP], [AVP], PLAIN, ""),
        ([SAVP], None, PROTECTED, "sdes"),
        ([SAVP], [SAVP], PROTECTED, "sdes"),
        ([BEST_EFFORT], None, PERHAPS, "sdes"),
        ([BEST_EFFORT], [BEST_EFFORT], PROTECTED, "sdes"),
        ([BEST_EFFORT], [media("RTP/SAVP", crypto=[crypto(3)])], PROTECTED, "sdes"),
        ([BEST_EFFORT], [AVP], PLAIN, ""),
        ([SAVP, AVP], None, PERHAPS, "sdes"),
        ([SAVP, AVP], [SAVP], PROTECTED, "sdes"),
        ([SAVP, AVP], [AVP], PLAIN, ""),
        ([DTLS], [DTLS], PROTECTED, "dtls"),
        ([media("UDP/TLS/RTP/SAVPF", fingerprint="x", crypto=[crypto()])], [DTLS], PROTECTED, "dtls"),
        ([media("RTP/SAVP", mikey=True)], None, PROTECTED, "mikey"),
        ([media("RTP/SAVP")], [media("RTP/SAVP")], PROTECTED, "unknown"),
        ([ZRTP], [ZRTP], PERHAPS, "zrtp"),
        ([ZRTP], [AVP], PLAIN, ""),
    ],
)
def test_what_both_sides_say(offer: list[Media], answer: list[Media] | None, state: str, kind: str) -> None:
    assert said(offer, answer).guard(HOP) == Guard(state, kind)


def test_c7_hops_are_apart() -> None:
    protections = said([SAVP], [SAVP])
    protections.note("caller", OTHER, "", [AVP], 1, in_dialog=False)
    protections.note("callee", OTHER, "tag", [AVP], 2, in_dialog=False)
    assert protections.guard(HOP).state == PROTECTED
    assert protections.guard(OTHER).state == PLAIN
    assert protections.guard(("x", "y")) == Guard()
    assert protections.guard(None) == Guard(PERHAPS, "sdes")
    assert said([SAVP]).guard(None).state == PROTECTED
    assert Protections().guard(None) == Guard()


def test_c6_forks_are_apart() -> None:
    protections = said([BEST_EFFORT], [BEST_EFFORT])
    protections.note("callee", HOP, "another", [AVP], 3, in_dialog=False)
    assert protections.guard(HOP) == Guard(PERHAPS, "sdes")


@pytest.mark.parametrize("accepted", [True, False])
def test_what_takes_protection_away_waits_for_its_answer(accepted: bool) -> None:
    protections = said([SAVP], [SAVP])
    protections.note("caller", HOP, "", [AVP], 3, in_dialog=True)
    assert protections.guard(HOP).state == PROTECTED
    protections.settle(accepted=accepted)
    assert protections.guard(HOP).state == (PLAIN if accepted else PROTECTED)


def test_media_refused_says_nothing() -> None:
    protections = said([SAVP], [SAVP])
    protections.note("callee", HOP, "tag", [], 3, in_dialog=True)
    assert protections.guard(HOP).state == PROTECTED


def test_keys_are_kept_by_party_once_each_with_the_time_they_were_first_named() -> None:
    protections = said([SAVP], [BEST_EFFORT])
    protections.note("caller", OTHER, "", [SAVP, BEST_EFFORT], 9, in_dialog=False)
    assert [(key.secret[-1], key.since_ns) for key in protections.keys["caller"]] == [(1, 1), (2, 9)]
    assert [(key.secret[-1], key.since_ns) for key in protections.keys["callee"]] == [(2, 2)]


def test_c24_keys_and_descriptions_are_bounded() -> None:
    protections = Protections()
    for n in range(200):
        one = media("RTP/SAVP", crypto=[crypto(n)])
        protections.note("caller", (n, n), "", [one], n, in_dialog=False)
        protections.note("callee", HOP, f"fork {n}", [one], n, in_dialog=False)
    assert len(protections.keys["caller"]) == MAX_KEYS
    assert protections.keys["caller"][-1].secret == (199).to_bytes(30, "big")
    assert len(protections._said) == MAX_SAID
    assert protections.guard((199, 199)).state == PROTECTED


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["caller", "callee"]), st.sampled_from([AVP, SAVP, BEST_EFFORT, DTLS, ZRTP])
        )
    )
)
def test_any_order_of_descriptions_has_an_answer(told: list[tuple[str, Media]]) -> None:
    protections = Protections()
    for n, (party, one) in enumerate(told):
        protections.note(party, HOP, "", [one], n, in_dialog=n > 1)  # type: ignore[arg-type]
        protections.settle(accepted=n % 3 > 0)
    guard = protections.guard(HOP)
    assert (guard.state == PLAIN) == (guard.kind == "")
    latest = dict(told)
    if len(latest) == 2 and all(one is SAVP for one in latest.values()):
        assert guard == Guard(PROTECTED, "sdes")
