"""UDP payloads by the array, and the numbers that tell their flows apart."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.address import Endpoint
from bystander.sniffer.datagrams import Datagrams, Parsed, add_datagrams, flow_of, gather, pick, synthetic

V4 = ("10.0.0.1", 4000), ("192.168.255.1", 65535)
V6 = ("2001:db8::1", 4000), ("fe80::ffff:1", 1)


@pytest.mark.parametrize("ends", [V4, V6])
@pytest.mark.parametrize("size", [0, 1, 3, 11, 12, 160, 65507])
def test_a_datagram_of_any_size_is_what_it_was(ends: tuple[Endpoint, Endpoint], size: int) -> None:
    payload = random.Random(size).randbytes(size)
    datagram = synthetic(*ends, payload, 77)
    assert (len(datagram), datagram.payload(0), datagram.endpoints(0)) == (1, payload, ends)
    assert int(datagram.time_ns[0]) == 77
    if size >= 12:
        row = datagram.rows[0]
        assert int(row["seq"]) == int.from_bytes(payload[2:4], "big")
        assert int(row["ts"]) == int.from_bytes(payload[4:8], "big")
        assert int(row["ssrc"]) == int.from_bytes(payload[8:12], "big")


def test_flows_differ_in_every_part_of_the_address() -> None:
    (src, sport), (dst, dport) = V4
    ways = [V4, V4[::-1], ((src, sport + 1), V4[1]), (V4[0], (dst, dport - 1)), (("10.0.0.2", sport), V4[1])]
    ways += [V6, V6[::-1], (V6[0], ("fe80::ffff:2", 1)), (("2001:db8:0:1::1", 4000), V6[1])]
    assert len({flow_of(*way) for way in ways}) == len(ways)
    for way in ways:
        assert flow_of(*way) == int(synthetic(*way, b"", 0).flow[0])


def test_no_two_of_many_flows_collide() -> None:
    flows = {
        flow_of((f"10.1.{n >> 6 & 255}.{n & 63}", 4000 + 2 * (n % 50)), ("10.0.0.2", 10_000 + 2 * (n % 7)))
        for n in range(5000)
    }
    assert len(flows) == 5000


@given(st.binary(min_size=60, max_size=200), st.lists(st.integers(0, 40), max_size=10))
def test_gathering_is_slicing(raw: bytes, at: list[int]) -> None:
    data = np.frombuffer(raw, np.uint8)
    rows = gather(data, np.array(at, np.int64), 20)
    assert [row.tobytes() for row in rows] == [raw[i : i + 20] for i in at]
    assert [row.tobytes() for row in pick(rows, np.arange(len(at))[::-1])] == [
        raw[i : i + 20] for i in at[::-1]
    ]


def with_length(datagram: Datagrams, length: int) -> Datagrams:
    datagram.rows = datagram.rows.copy()
    datagram.rows["udp_length"] = length
    return datagram


@pytest.mark.parametrize(
    ("length", "kept", "reason"),
    [
        (8 + 20, b"x" * 20, None),
        (8 + 5, b"x" * 5, None),  # what follows is padding of the link layer
        (8, b"", None),
        (8 + 200, b"x" * 20, "udp-cut-short"),  # C18: cut by the snap length
        (7, None, "udp-length"),
        (0, None, "udp-length"),
    ],
)
def test_lengths(length: int, kept: bytes | None, reason: str | None) -> None:
    parsed = Parsed()
    add_datagrams(parsed, with_length(synthetic(*V4, b"x" * 20, 0), length))
    assert [datagrams.payload(0) for datagrams in parsed.datagrams] == ([] if kept is None else [kept])
    assert dict(parsed.bad) == ({reason: 1} if reason else {})
