"""A guess at whose media it is (C9): made where nothing else is possible, and not otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bystander.sniffer.natguess import media_between, waits_for_media

S = 1_000_000_000
HOSTS = ("192.0.2.1", "192.0.2.2")


@dataclass
class SessionDouble:
    answered_ns: int | None = 10 * S
    decided_ns: int | None = None


@dataclass
class MediaDouble:
    audio_possible: bool = True


@dataclass(eq=False)
class LegDouble:
    caller_host: str = HOSTS[0]
    callee_host: str = HOSTS[1]
    started_ns: int = 8 * S
    session: SessionDouble = field(default_factory=SessionDouble)
    media: MediaDouble = field(default_factory=MediaDouble)
    streams: dict[int, object] = field(default_factory=dict)


@dataclass
class StreamDouble:
    id: int
    src: tuple[str, int]
    dst: tuple[str, int]
    first_ns: int = 10 * S
    last_ns: int = 60 * S


def there(first_ns: int = 10 * S) -> StreamDouble:
    return StreamDouble(1, (HOSTS[0], 31000), (HOSTS[1], 42000), first_ns)


def back() -> StreamDouble:
    return StreamDouble(2, (HOSTS[1], 42000), (HOSTS[0], 31000))


def guess(legs, streams):  # type: ignore[no-untyped-def]
    return media_between((HOSTS[1], HOSTS[0]), legs, streams)


def test_one_call_and_one_stream_each_way() -> None:
    leg, one, two = LegDouble(), there(), back()
    stranger = StreamDouble(3, ("192.0.2.7", 1), (HOSTS[0], 2))
    assert guess([leg, LegDouble(caller_host="192.0.2.9")], [stranger, one, two]) == (
        leg,
        [(one, "caller"), (two, "callee")],
    )
    assert guess([leg], [two]) == (leg, [(two, "callee")])


@pytest.mark.parametrize(
    ("legs", "streams"),
    [
        ([], [there(), back()]),
        ([LegDouble(), LegDouble()], [there(), back()]),
        ([LegDouble()], []),
        ([LegDouble()], [there(), there(11 * S), back()]),
        ([LegDouble()], [there(40 * S)]),
        ([LegDouble(session=SessionDouble(None))], [there()]),
        ([LegDouble(session=SessionDouble(10 * S, 9 * S))], [there()]),
    ],
    ids=["no call", "two calls", "nothing", "two voices", "much later", "not answered", "after it was over"],
)
def test_what_could_be_another_voice_is_left_alone(legs, streams) -> None:  # type: ignore[no-untyped-def]
    assert guess(legs, streams) is None


def test_only_a_call_that_has_none_waits_for_media() -> None:
    assert waits_for_media(LegDouble())  # type: ignore[arg-type]
    assert not waits_for_media(LegDouble(streams={1: object()}))  # type: ignore[arg-type]
    assert not waits_for_media(LegDouble(callee_host=HOSTS[0]))  # type: ignore[arg-type]
    assert not waits_for_media(LegDouble(media=MediaDouble(False)))  # type: ignore[arg-type]
    assert not waits_for_media(LegDouble(session=SessionDouble(None)))  # type: ignore[arg-type]
