"""Claims on endpoints: whose stream is it?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.claims import (
    BESIDE,
    LEARNED,
    MAX_CLAIMS_PER_CALL,
    MAX_CLAIMS_PER_ENDPOINT,
    Claim,
    Claims,
)

A, B, C = ("10.0.0.1", 4000), ("10.0.0.2", 5000), ("10.0.0.3", 6000)


def claim(kit: Any, call: str, party: Any, endpoint: tuple[str, int], since: float, **more: Any) -> Claim:
    reach = kit.at_ns(since - more.pop("early", 5))
    return Claim(call, party, endpoint, more.pop("kind", "audio"), kit.at_ns(since), reach, **more)


def best(claims: Claims, stream: Any) -> tuple[object, str] | None:
    matches = claims.matches(stream)
    return (matches[0].call, matches[0].by) if matches else None


def test_either_end_tells_and_both_agree(kit: Any) -> None:
    claims = Claims()
    claims.add(claim(kit, "x", "caller", A, 0))
    assert best(claims, kit.stream(A, C, 1, 9)) == ("x", "caller")
    assert best(claims, kit.stream(C, A, 1, 9)) == ("x", "callee")
    assert best(claims, kit.stream(C, B, 1, 9)) is None
    claims.add(claim(kit, "x", "callee", B, 0))
    (match,) = claims.matches(kit.stream(A, B, 1, 9))
    assert match.both_ends
    assert match.by == "caller"


@pytest.mark.parametrize(
    ("first", "last", "owner"),
    [
        (11.0, 15.0, "x"),  # while the claim was held
        (6.0, 15.0, "x"),  # a little before it, and going on
        (4.0, 15.0, None),  # long before
        (6.0, 8.0, None),  # before, and over before
        (19.9, 25.0, "x"),
        (20.0, 25.0, None),  # C10: after the BYE
    ],
)
def test_c10_a_claim_has_a_range(kit: Any, first: float, last: float, owner: str | None) -> None:
    claims = Claims()
    claims.add(claim(kit, "x", "caller", A, 10))
    claims.close("x", kit.at_ns(20))
    found = best(claims, kit.stream(A, C, first, last))
    assert found == ((owner, "caller") if owner else None)


def test_the_order_of_preference(kit: Any) -> None:
    """Each claim added is worth more than the ones before it, for one and the same stream."""
    stream = kit.stream(A, B, 10, 20)
    claims = Claims()
    ladder = [
        [claim(kit, "early", "callee", B, 12)],
        [claim(kit, "learned", "caller", A, 5, certainty=LEARNED)],
        [claim(kit, "beside", "caller", A, 4, certainty=BESIDE)],
        [claim(kit, "given up", "caller", A, 9, given_up=True)],
        [claim(kit, "stated", "caller", A, 3)],
        [claim(kit, "newer", "caller", A, 8)],
        [claim(kit, "both", "caller", A, 1), claim(kit, "both", "callee", B, 1)],
    ]
    for step in ladder:
        for one in step:
            claims.add(one)
        assert best(claims, stream) == (step[0].call, "caller")
    assert len(claims.matches(stream)) == len(ladder)


def test_payload_types_tell_bundled_media_apart(kit: Any) -> None:
    from bystander.sniffer.sdp import Format

    claims = Claims()
    claims.add(claim(kit, "x", "caller", A, 0, formats={8: Format("PCMA", 8000)}))
    claims.add(claim(kit, "x", "caller", A, 0, kind="video", formats={96: Format("H264", 90000)}))
    kinds = [claims.matches(kit.stream(C, A, 1, 2, (number,)))[0].kind for number in (8, 96)]
    assert kinds == ["audio", "video"]


def test_the_same_claim_again_is_refreshed(kit: Any) -> None:
    claims = Claims()
    first = claims.add(claim(kit, "x", "callee", B, 0, certainty=BESIDE))
    claims.close("x", kit.at_ns(5))
    first.given_up = True
    assert claims.add(claim(kit, "x", "callee", B, 9)) is first
    assert len(claims) == 1
    assert (first.to_ns, first.given_up, first.from_ns) == (None, False, kit.at_ns(0))
    assert first.certainty > BESIDE


def test_everything_can_be_forgotten(kit: Any) -> None:
    claims = Claims()
    stream = kit.stream(A, B, 0, 1)
    claims.watch(stream)
    assert claims.at(A) == claims.at(B) == [stream]
    claims.unwatch(stream)
    claims.unwatch(stream)
    assert claims.at(A) == claims.at(B) == []
    claims.add(claim(kit, "x", "caller", A, 0))
    assert claims.announced(A)
    claims.forget("x")
    assert not claims.announced(A)
    assert (len(claims), claims._claims, claims._by_call) == (0, {}, {})


def test_floods_are_bounded_and_counted(kit: Any) -> None:
    claims = Claims()
    for number in range(MAX_CLAIMS_PER_ENDPOINT + 7):
        claims.add(claim(kit, f"call-{number}", "caller", A, 0))
    assert (len(claims), claims.counters["claims-dropped"]) == (MAX_CLAIMS_PER_ENDPOINT, 7)
    for number in range(MAX_CLAIMS_PER_CALL + 5):
        claims.add(claim(kit, "greedy", "caller", ("10.1.1.1", number), 0))
    assert len(claims.of("greedy")) == MAX_CLAIMS_PER_CALL
    ports = [held.endpoint[1] for held in claims.of("greedy")]
    assert ports == [*range(16), *range(21, MAX_CLAIMS_PER_CALL + 5)]


_times = st.integers(0, 30)


@given(
    made=st.lists(
        st.tuples(
            st.sampled_from("xyz"), st.sampled_from(["caller", "callee"]), st.sampled_from([A, B, C]), _times
        ),
        max_size=12,
    ),
    start=_times,
    length=_times,
)
def test_no_match_outside_its_claims(kit: Any, made: list[Any], start: int, length: int) -> None:
    """Whatever is claimed by whom: a match rests on a claim at an end of the stream, in its range."""
    claims = Claims()
    for call, party, endpoint, since in made:
        claims.add(claim(kit, call, party, endpoint, since))
    claims.close("x", kit.at_ns(15))
    stream = kit.stream(A, B, start, start + length)
    matches = claims.matches(stream)
    assert len({match.call for match in matches}) == len(matches)
    for match in matches:
        assert match.to is not None or match.source is not None
        for end, endpoint in ((match.to, B), (match.source, A)):
            assert end is None or (end.endpoint == endpoint and end.holds(stream))
        if match.to is not None:
            assert match.by != match.to.party
        assert match.call != "x" or start < 15


def test_c10_a_full_endpoint_keeps_what_streams_bore_out_and_what_was_answered(kit: Any) -> None:
    """A flood of INVITEs that name the address of a call takes nothing from it."""
    claims = Claims(answered=lambda call: call == "answered")
    heard = claim(kit, "heard", "caller", A, 0)
    heard.borne_out = True
    for kept in (heard, claim(kit, "answered", "caller", A, 1)):
        claims.add(kept)
    for number in range(3 * MAX_CLAIMS_PER_ENDPOINT):
        claims.add(claim(kit, f"stranger-{number}", "caller", A, 2 + number))
    assert claims.of("heard") and claims.of("answered")
    assert len(claims) == MAX_CLAIMS_PER_ENDPOINT
    assert not claims.of("stranger-0") and claims.of(f"stranger-{3 * MAX_CLAIMS_PER_ENDPOINT - 1}")


def test_c10_at_a_full_endpoint_what_a_stream_bore_out_outlasts_what_was_answered(kit: Any) -> None:
    """Calls on one trunk's address may all be answered; media is the better proof."""
    claims = Claims(answered=lambda call: call != "heard")
    heard = claim(kit, "heard", "caller", A, 0)
    heard.borne_out = True
    claims.add(heard)
    for number in range(MAX_CLAIMS_PER_ENDPOINT):
        claims.add(claim(kit, f"answered-{number}", "caller", A, 1 + number))
    assert claims.of("heard")
    assert not claims.of("answered-0")
