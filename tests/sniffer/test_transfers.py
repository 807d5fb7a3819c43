"""What relates one call to another: REFER, Replaces, Join, Target-Dialog, 3xx (C8)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.calls import CallTable
from bystander.sniffer.transfers import INVERSE, MAX_HOSTS, MAX_PENDING, MAX_RELATED, MAX_TRANSFERS, WAIT_NS

BOB, CAROL = ("10.0.0.2", 5060), ("10.0.0.3", 5060)


def carol(kit: Any, call_id: str = "call-2@10.0.0.1", **more: Any) -> Any:
    """Alice's call to Carol, to be."""
    return kit.Scene(
        call_id=call_id, callee=CAROL, from_tag="alice-2", to_tag="carol-2",
        to_header="<sip:103@10.0.0.3>", **more
    )  # fmt: skip


def refer(scene: Any, at: float, value: str, cseq: int = 5, **more: Any) -> Any:
    return scene.request(
        at, "REFER", cseq, by=more.pop("by", "callee"), dialog=True, headers=(f"Refer-To: {value}",), **more
    )


def play(kit: Any, *messages: Any) -> dict[str, Any]:
    return {call.call_id: call for call in kit.play(messages, until=900)}


@pytest.mark.parametrize(
    "value", ["<sip:103@10.0.0.3>", "sip:103@10.0.0.3", '"Carol" <sip:103@x;user=phone>', "<tel:103>"]
)
def test_c8_who_is_referred_to(kit: Any, value: str) -> None:
    first, second = kit.Scene(), carol(kit)
    invite = second.invite(5.5, headers=("Referred-By: <sip:102@x>",))
    calls = play(kit, *first.normal(bye=7, by="callee"), refer(first, 5, value), invite)
    told = calls[first.call_id].transfers
    assert [(one.kind, one.by, one.to, one.into) for one in told] == [("blind", "102", "103", second.call_id)]
    assert calls[second.call_id].transfers == told


def test_c8_a_refer_twice_and_on_two_hops_is_one_transfer(kit: Any) -> None:
    first, second = kit.Scene(), carol(kit)
    asked = [refer(first, 5 + at, "sip:103@x", branch="b") for at in (0, 0.5)]
    onward = refer(first, 5.6, "sip:103@x", hop=(("10.0.0.9", 5060), ("10.0.0.1", 5060)), vias=2)
    calls = play(kit, *first.normal(bye=7), *asked, onward, second.invite(6))
    assert len(calls[first.call_id].transfers) == 1
    assert calls[second.call_id].related == {first.call_id: "transferred-from"}


def test_c8_a_call_to_the_same_party_long_after_is_its_own(kit: Any) -> None:
    first, second = kit.Scene(), carol(kit)
    late = 5 + WAIT_NS / 1e9 + 1
    calls = play(kit, *first.normal(bye=late + 5), refer(first, 5, "sip:103@x"), second.invite(late))
    assert calls[second.call_id].related == {}
    assert calls[first.call_id].transfers[0].into == ""


def test_c8_only_the_first_call_is_what_it_became(kit: Any) -> None:
    first = kit.Scene()
    second, third = carol(kit), carol(kit, "call-3@10.0.0.1")
    calls = play(kit, *first.normal(), refer(first, 5, "sip:103@x"), second.invite(5.5), third.invite(20))
    assert calls[first.call_id].transfers[0].into == second.call_id
    assert calls[third.call_id].related == {}


def test_c8_a_refused_transfer_waits_for_nothing(kit: Any) -> None:
    first, second = kit.Scene(), carol(kit)
    refused = first.response(5.1, 603, 5, method="REFER", to="callee")
    calls = play(kit, *first.normal(), refer(first, 5, "sip:103@x"), refused, second.invite(5.5))
    assert calls[first.call_id].transfers[0].status == 603
    assert calls[second.call_id].related == {}


def test_c8_target_dialog_names_the_call_a_refer_is_about(kit: Any) -> None:
    """RFC 4538: sent outside of the dialog, by whatever controls the telephone."""
    first, second = kit.Scene(), carol(kit)
    outside = kit.Scene(call_id="other@10.0.0.2", from_header="<sip:102@10.0.0.2>", to_header="<sip:101@x>")
    asked = outside.request(
        5, "REFER", 1,
        headers=("Refer-To: <sip:103@x>", f"Target-Dialog: {first.call_id};local-tag=a;remote-tag=b"),
    )  # fmt: skip
    invite = second.invite(5.5, headers=("Referred-By: <sip:102@x>",))
    calls = play(kit, *first.normal(), asked, invite)
    assert calls[second.call_id].related == {first.call_id: "transferred-from"}
    assert calls[first.call_id].transfers[0].by == "102"


def test_c8_replaces_whose_refer_was_not_seen(kit: Any) -> None:
    """On the other side of an exchange only its INVITE passes."""
    second = carol(kit)
    replacing = kit.Scene(call_id="new@x", from_tag="n", to_tag="m")
    calls = play(
        kit, *second.normal(bye=20),
        replacing.invite(
            10, headers=(f"Replaces: {second.call_id};to-tag=1;from-tag=2", "Referred-By: <sip:102@x>")
        ),
    )  # fmt: skip
    assert calls["new@x"].related == {second.call_id: "replaces"}
    (told,) = calls["new@x"].transfers
    assert (told.kind, told.by, told.consulted, told.into) == ("attended", "102", second.call_id, "new@x")
    assert calls[second.call_id].related == {"new@x": "replaced-by"}


def test_c8_a_call_replaced_that_was_never_seen_is_still_named(kit: Any) -> None:
    scene = kit.Scene()
    calls = play(kit, scene.invite(0, headers=("Replaces: gone@x;to-tag=1;from-tag=2",)))
    assert calls[scene.call_id].related == {"gone@x": "replaces"}


def test_c8_join(kit: Any) -> None:
    """RFC 3911: a third party comes in."""
    first, third = kit.Scene(), carol(kit)
    join = third.invite(5, headers=(f"Join: {first.call_id};to-tag=1;from-tag=2",))
    calls = play(kit, *first.normal(), join)
    assert calls[third.call_id].related == {first.call_id: "joins"}
    assert calls[first.call_id].related == {third.call_id: "joined-by"}


@pytest.mark.parametrize("fragment", [b"SIP/2.0 200 OK", b"\r\nSIP/2.0 200 OK\r\nTo: x\r\n"])
def test_c8_the_notify_tells_what_became_of_it(kit: Any, fragment: bytes) -> None:
    first = kit.Scene()
    told = first.request(
        6, "NOTIFY", 1, fragment, dialog=True, content="message/sipfrag", headers=("Event: refer",)
    )
    calls = play(kit, *first.normal(), refer(first, 5, "sip:103@x"), told)
    assert calls[first.call_id].transfers[0].status == 200


def test_what_traffic_can_grow_is_bounded(kit: Any) -> None:
    table = CallTable()
    first = kit.Scene()
    for message in first.normal(bye=None):
        table.feed(message)
    for number in range(MAX_TRANSFERS + 20):
        table.feed(refer(first, 3 + number / 1000, f"sip:{number}@x", cseq=number))
    for number in range(MAX_RELATED + 20):
        joining = carol(kit, f"join-{number}@x")
        table.feed(joining.invite(4, headers=(f"Join: {first.call_id}",)))
    for number in range(MAX_PENDING + 50):
        other = carol(kit, f"sent-away-{number}@x")
        table.feed(other.invite(5))
        table.feed(other.response(5.1, 302, tag="t"))
    assert len(table._transfers) <= MAX_PENDING
    (call,) = [call for call in table.close(kit.at_ns(6)) if call.call_id == first.call_id]
    assert (len(call.transfers), len(call.related)) == (MAX_TRANSFERS, MAX_RELATED)
    assert table.counters["transfers-dropped"] == 20


def test_calls_never_seen_that_an_invite_names_in_turn_are_bounded(kit: Any) -> None:
    scene = kit.Scene()
    invites = [
        scene.invite(number / 100, headers=(f"Replaces: other-{number}@x;to-tag=a;from-tag=b",))
        for number in range(MAX_RELATED + 20)
    ]
    assert len(play(kit, *invites)[scene.call_id].related) == MAX_RELATED


def test_hosts_that_a_refer_goes_to_are_bounded(kit: Any) -> None:
    scene, table = kit.Scene(), CallTable()
    for message in scene.normal(bye=None):
        table.feed(message)
    for number in range(MAX_HOSTS + 20):
        hop = (("10.0.0.2", 5060), (f"10.3.0.{number}", 5060))
        table.feed(refer(scene, 5 + number / 100, "sip:103@x", branch="b", hop=hop))
    assert [len(waiting.hosts) for waiting in table._transfers._waiting] == [MAX_HOSTS]


@given(
    st.lists(
        st.tuples(st.sampled_from(["refer", "invite", "notify", "302", "bye"]), st.text(max_size=30)),
        max_size=20,
    )
)
def test_whatever_the_headers_say_nothing_raises_and_relations_are_mutual(
    kit: Any, story: list[tuple[str, str]]
) -> None:
    first = kit.Scene()
    messages = first.normal(bye=None)
    for number, (what, text) in enumerate(story):
        at, value = 3 + number / 10, " ".join(text.split())
        if what == "refer":
            messages.append(refer(first, at, value, cseq=number))
        elif what == "invite":
            other = carol(kit, f"n{number % 3}@x")
            messages.append(
                other.invite(at, headers=(f"Replaces: {value or first.call_id}", f"Referred-By: {value}"))
            )
        elif what == "notify":
            body = text.encode()
            messages.append(
                first.request(
                    at,
                    "NOTIFY",
                    number,
                    body,
                    dialog=True,
                    content="message/sipfrag",
                    headers=("Event: refer",),
                )
            )
        elif what == "302":
            messages.append(first.response(at, 302))
        else:
            messages.append(first.request(at, "BYE", 99, dialog=True))
    calls = play(kit, *messages)
    for call in calls.values():
        for name, relation in call.related.items():
            if name in calls:
                assert calls[name].related[call.call_id] == INVERSE[relation]


def test_c8_a_leg_that_goes_on_after_the_other_is_over_is_of_the_same_case(kit: Any) -> None:
    """An exchange transfers one side and keeps the other: both legs were one call, and are recorded apart."""
    near = kit.Scene()
    far = kit.Scene(call_id="far@pbx", caller=BOB, callee=CAROL, from_tag="pbx", to_tag="carol-9")
    ends = (("10.0.0.1", 4000), ("10.0.0.3", 5000))
    description = [kit.sdp(*ends[0]), kit.sdp(*ends[1])]
    messages = []
    for scene, at, bye in ((near, 0, 8), (far, 0.1, 60)):
        messages += [
            scene.request(at, "INVITE", 1, description[0]),
            scene.response(at + 1, 200, 1, description[1]),
            scene.request(at + 1.1, "ACK", 1, dialog=True, branch=f"ack-{bye}"),
            scene.request(bye, "BYE", 2, dialog=True),
            scene.response(bye + 0.1, 200, 2, method="BYE"),
        ]
    streams = [kit.stream(*ends, 1.5, 8), kit.stream(*ends[::-1], 1.5, 8)]
    table, calls = CallTable(), {}
    for event in sorted([*messages, *streams], key=lambda e: getattr(e, "time_ns", None) or e.first_ns):
        at_ns = getattr(event, "time_ns", None) or event.first_ns
        calls |= {call.call_id: call for call in table.advance(at_ns)}
        (table.feed if hasattr(event, "message") else table.stream_started)(event)
    assert list(calls) == [near.call_id]  # it has waited, and goes without the other
    calls |= {call.call_id: call for call in table.close(kit.at_ns(70))}
    assert calls[near.call_id].related == {far.call_id: "other-leg"}
    assert calls[far.call_id].related == {near.call_id: "other-leg"}
