"""Two streams against each other are two parties', C9."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bystander.sniffer.leg import ClaimedStream
from bystander.sniffer.twosides import tell_apart

NEAR, FAR, THIRD = "10.0.0.1", "10.0.0.9", "10.0.0.7"


@dataclass
class Stub:
    """A stream as far as it is looked at."""

    src: tuple[str, int]
    dst: tuple[str, int]
    first_ns: int = 0
    last_ns: int = 10
    id: int = 1
    ssrc: int = 1
    packets: int = 100
    payload_types: list[int] = field(default_factory=lambda: [8])


def claimed(src: str, dst: str, by: str = "caller", announced: bool = False, **more: object) -> ClaimedStream:
    kind = str(more.pop("kind", "audio"))
    stream = Stub((src, 4000), (dst, 5000), **more)  # type: ignore[arg-type]
    return ClaimedStream(stream, by, {}, False, kind, from_announced=announced)  # type: ignore[arg-type]


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_c9_what_comes_back_is_the_other_party(by: str) -> None:
    there, back = claimed(NEAR, FAR, by, announced=True), claimed(FAR, NEAR, by)
    tell_apart([there, back])
    assert there.by == by
    assert {there.by, back.by} == {"caller", "callee"}


@pytest.mark.parametrize(
    "streams",
    [
        [claimed(NEAR, FAR, announced=True), claimed(FAR, NEAR, "callee")],  # told apart already
        [claimed(NEAR, FAR, announced=True), claimed(NEAR, FAR)],  # the same way: a second SSRC
        [claimed(NEAR, FAR, announced=True), claimed(THIRD, NEAR)],  # from elsewhere
        [
            claimed(NEAR, FAR, announced=True),
            claimed(FAR, NEAR, first_ns=11, last_ns=20),
        ],  # one after the other
        [claimed(NEAR, NEAR, announced=True), claimed(NEAR, NEAR)],  # one machine: hosts tell nothing
        [claimed(NEAR, FAR), claimed(FAR, NEAR)],  # nobody is sure
        [claimed(NEAR, FAR, announced=True), claimed(FAR, NEAR, announced=True)],
        [claimed(NEAR, FAR, announced=True), claimed(FAR, NEAR, kind="video")],
        [],
    ],
)
def test_nothing_else_is_touched(streams: list[ClaimedStream]) -> None:
    before = [one.by for one in streams]
    tell_apart(streams)
    assert [one.by for one in streams] == before
