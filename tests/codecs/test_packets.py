"""Packets kept as they came: joined, written, read back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.codecs.packets import PacketRun

one = st.tuples(
    st.integers(-(2**62), 2**62),
    st.integers(0, 2**32 - 1),
    st.integers(0, 127),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=50),
)


def run_of(packets: list[tuple[int, int, int, int, bytes]]) -> PacketRun:
    return PacketRun(
        np.array([p[0] for p in packets], np.int64),
        np.array([p[1] for p in packets], np.uint32),
        np.array([p[2] for p in packets], np.uint8),
        np.array([p[3] for p in packets], np.int64),
        np.array([len(p[4]) for p in packets], np.int32),
        np.frombuffer(b"".join(p[4] for p in packets), np.uint8),
    )


def packets_of(run: PacketRun) -> list[tuple[int, int, int, int, bytes]]:
    columns = (run.seq.tolist(), run.ts.tolist(), run.pt.tolist(), run.time_ns.tolist(), run.payloads())
    return list(zip(*columns, strict=True))


@given(st.lists(one, max_size=20))
def test_what_is_written_is_read(packets: list[tuple[int, int, int, int, bytes]]) -> None:
    run = PacketRun.from_bytes(run_of(packets).to_bytes())
    assert len(run) == len(packets)
    assert packets_of(run) == packets


@given(st.lists(st.lists(one, max_size=5), min_size=1, max_size=4))
def test_runs_are_joined_in_their_order(runs: list[list[tuple[int, int, int, int, bytes]]]) -> None:
    joined = PacketRun.join([run_of(packets) for packets in runs])
    assert packets_of(joined) == [packet for packets in runs for packet in packets]


@given(st.lists(one, min_size=1, max_size=5), st.data())
def test_a_run_cut_short_is_refused(
    packets: list[tuple[int, int, int, int, bytes]], data: st.DataObject
) -> None:
    raw = run_of(packets).to_bytes()
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(ValueError):
        PacketRun.from_bytes(raw[:cut])


@given(st.binary(max_size=100))
def test_damage_is_a_value_error_and_nothing_else(raw: bytes) -> None:
    try:
        run = PacketRun.from_bytes(raw)
    except ValueError:
        return
    assert sum(map(len, run.payloads())) == len(run.payload)


def test_sizes_below_nothing_are_damage() -> None:
    run = run_of([(1, 2, 8, 3, b"abc"), (2, 2, 8, 3, b"abc")])
    run.size = np.array([7, -1], np.int32)
    with pytest.raises(ValueError):
        PacketRun.from_bytes(run.to_bytes())
