"""Streams and calls by their hosts: the same as if all were looked through, whatever the flood."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer import between
from bystander.sniffer.between import LegsBetween, Unclaimed
from bystander.sniffer.calls import CallTable
from tests.sniffer.test_natguess import LegDouble, StreamDouble

HOSTS = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
PAIRS = st.tuples(st.sampled_from(HOSTS), st.sampled_from(HOSTS))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), PAIRS), max_size=40), PAIRS)
def test_unclaimed_streams_are_those_that_were_put_and_not_dropped(
    acts: list[tuple[bool, int, tuple[str, str]]], asked: tuple[str, str]
) -> None:
    table, there = Unclaimed(), {}
    streams: dict[int, StreamDouble] = {}
    for puts, number, (src, dst) in acts:
        stream = streams.setdefault(number, StreamDouble(number, (src, 1), (dst, 2)))
        if puts and number not in there:
            table.put(stream)  # type: ignore[arg-type]
            there[number] = stream
        elif not puts:
            table.drop(stream)  # type: ignore[arg-type]
            there.pop(number, None)
    assert list(table.values()) == list(there.values())
    expected = [stream for stream in there.values() if {stream.src[0], stream.dst[0]} == set(asked)]
    assert table.between(*asked) == expected
    if not there:
        assert not table._between


@given(st.lists(st.tuples(st.integers(0, 5), PAIRS, st.booleans(), st.booleans()), max_size=30), PAIRS)
def test_the_legs_that_wait_are_found_wherever_they_have_moved(
    acts: list[tuple[int, tuple[str, str], bool, bool]], asked: tuple[str, str]
) -> None:
    table = LegsBetween()
    legs: dict[int, LegDouble] = {}
    for number, (caller, callee), agreed, stays in acts:
        leg = legs.setdefault(number, LegDouble())
        leg.caller_host, leg.callee_host, leg.media.audio_possible = caller, callee, agreed
        table.put(leg)  # type: ignore[arg-type]
        if not stays:
            table.drop(leg)  # type: ignore[arg-type]
            del legs[number]
    waiting = [
        leg
        for leg in legs.values()
        if {leg.caller_host, leg.callee_host} == set(asked)
        and leg.caller_host != leg.callee_host
        and leg.media.audio_possible
    ]
    found = table.waiting(*asked)
    assert len(found) == min(2, len(waiting))
    assert all(any(leg is one for one in waiting) for leg in found)


def test_among_too_many_streams_nobody_guesses(monkeypatch: Any) -> None:
    table = Unclaimed()
    monkeypatch.setattr(between, "MOST_GUESSED", 3)
    for number in range(4):
        table.put(StreamDouble(number, (HOSTS[0], 1), (HOSTS[1], 2)))  # type: ignore[arg-type]
    assert table.between(HOSTS[0], HOSTS[1]) == []
    table.drop(table[0])
    assert len(table.between(HOSTS[1], HOSTS[0])) == 3


def test_a_call_does_not_look_at_the_streams_of_other_hosts(kit: Any, monkeypatch: Any) -> None:
    """Each of many calls whose media is not seen would look through all that nobody claims, at its end."""
    looked = []
    table = CallTable()
    for number in range(50):
        table.stream_started(kit.stream((f"10.8.0.{number}", 1), ("10.8.1.1", 2), 0, 20))
    monkeypatch.setattr(
        "bystander.sniffer.owners.media_between",
        lambda _hosts, _legs, unclaimed: looked.extend(unclaimed),
    )
    monkeypatch.setattr(
        "bystander.sniffer.owners.ending_media", lambda _leg, unclaimed: looked.extend(unclaimed)
    )
    for number in range(10):
        scene = kit.Scene(call_id=f"call-{number}@x")
        for message in scene.normal() if number & 1 else scene.normal()[-2:]:
            table.feed(message)
    table.close(kit.at_ns(50))
    assert looked == []
