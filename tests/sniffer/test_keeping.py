"""Packets of a block, kept stream by stream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.keeping import bytes_held, looks_protected, runs_of
from bystander.sniffer.rtp import RtpPackets


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=40)), min_size=1, max_size=60), st.booleans())
def test_every_stream_gets_its_own(told: list[tuple[int, bytes]], equal: bool) -> None:
    told = sorted(told, key=lambda item: item[0])
    if equal:
        told = [(stream, (content + bytes(40))[:17]) for stream, content in told]
    blob = np.frombuffer(b"--".join(content for _, content in told) + bytes(64), np.uint8)
    size = np.array([len(content) for _, content in told], np.int64)
    offset = np.cumsum(size + 2) - size - 2
    n = len(told)
    count = np.arange(n, dtype=np.int64)
    packets = RtpPackets(
        blob, count.astype(np.uint64), count, count * 160, (count % 128).astype(np.uint8), count * 7, offset,
        size, count,
    )  # fmt: skip
    stream = np.array([number for number, _ in told], np.int64)
    found = list(runs_of(packets, stream, count + 1000, offset, size))
    assert [number for number, _ in found] == sorted({number for number, _ in told})
    for number, run in found:
        assert run.payloads() == [content for owner, content in told if owner == number]
        at = np.flatnonzero(stream == number)
        assert run.seq.tolist() == (at + 1000).tolist()
        assert run.time_ns.tolist() == (at * 7).tolist()
        assert run.payload.base is None or run.payload.base is not blob
    assert bytes_held([run for _, run in found]) == int(size.sum()) + 32 * n


def test_nothing_gives_nothing() -> None:
    none = np.zeros(0, np.int64)
    packets = RtpPackets(np.zeros(4, np.uint8), none.astype(np.uint64), none, none, none.astype(np.uint8), none, none, none, none)  # fmt: skip  # noqa: E501
    assert list(runs_of(packets, none, none, none, none)) == []


@pytest.mark.parametrize("ptime_ms", [5, 10, 20, 30, 40, 60])
@pytest.mark.parametrize("law", [0, 8])
def test_g711_of_usual_lengths_is_plain_and_with_a_tag_is_not(law: int, ptime_ms: int) -> None:
    assert not looks_protected(law, 8 * ptime_ms)
    for tag in (4, 10, 16):
        for mki in (0, 1, 4):
            assert looks_protected(law, 8 * ptime_ms + tag + mki)
    assert looks_protected(18, 8 * ptime_ms)
