"""What becomes a stream: two packets that agree, or one that SDP has announced; noise does not."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bystander.sniffer import probation
from bystander.sniffer.address import Endpoint
from bystander.sniffer.datagrams import Datagrams, synthetic
from bystander.sniffer.probation import MAX_PER_BLOCK, MAX_WAITING, Probation
from bystander.sniffer.rtp import read_rtp

A, B = ("10.0.0.1", 4000), ("10.0.0.2", 5000)
MS = 1_000_000


def packet(
    seq: int, *, ssrc: int = 1, src: Endpoint = A, dst: Endpoint = B, body: bytes = b"x" * 160
) -> bytes:
    return b"\x80\x08" + seq.to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big") + body


def block(raws: list[bytes], src: Endpoint = A, dst: Endpoint = B, time_ns: int = 0) -> Datagrams:
    ones = [synthetic(src, dst, raw, time_ns + i) for i, raw in enumerate(raws)]
    starts = np.cumsum([0, *(len(one.data) for one in ones[:-1])])
    return Datagrams(
        np.concatenate([one.data for one in ones]),
        np.concatenate([one.rows.view(f"V{ones[0].rows.itemsize}") for one in ones]).view(ones[0].rows.dtype),
        np.concatenate([one.flow for one in ones]),
        np.concatenate([one.offset for one in ones]) + starts,
        np.concatenate([one.size for one in ones]),
        np.concatenate([one.time_ns for one in ones]),
    )


def judge(table: Probation, datagrams: Datagrams) -> list[tuple[int, list[int]]]:
    """(first packet of each flow let in, the sequence numbers of those that waited)"""
    packets, _ = read_rtp(datagrams, np.arange(len(datagrams)))
    found = []
    for first, earlier in table.judge(datagrams, packets, np.arange(len(packets))):
        found.append((first, [int(d.rows["seq"][0]) for d in earlier]))
    return found


def test_the_second_packet_lets_a_stream_in_with_the_first() -> None:
    """C11: no peer's first packets are lost."""
    table = Probation()
    assert judge(table, block([packet(7)])) == []
    assert judge(table, block([packet(8)])) == [(0, [7])]
    assert len(table) == 0


def test_two_packets_of_one_block_are_enough() -> None:
    assert judge(Probation(), block([packet(7), packet(8)])) == [(0, [])]


@pytest.mark.parametrize(
    ("then", "now", "agree"),
    [
        (65535, 0, True),
        (0, 65535, True),
        (10, 110, True),
        (10, 111, False),
        (10, 10, False),
        (10, 40_000, False),
    ],
)
def test_neighbours_in_sequence_agree(then: int, now: int, agree: bool) -> None:
    table = Probation()
    judge(table, block([packet(then)]))
    assert bool(judge(table, block([packet(now)]))) is agree


def test_a_copy_proves_nothing_and_is_not_lost() -> None:
    """C13: mirrored twice."""
    table = Probation()
    assert judge(table, block([packet(7), packet(7)])) == []
    assert judge(table, block([packet(8)])) == [(0, [7, 7])]


def test_a_gap_behind_the_first_packet_does_not_cost_it() -> None:
    table = Probation()
    assert judge(table, block([packet(7)])) == []
    assert judge(table, block([packet(500), packet(501)])) == [(0, [7])]


def test_packets_too_far_apart_in_time_do_not_agree() -> None:
    table = Probation()
    judge(table, block([packet(7)]))
    assert judge(table, block([packet(8)], time_ns=31_000 * MS)) == []
    assert judge(table, block([packet(9)], time_ns=32_000 * MS)) == [(0, [8])]


def test_well_known_ports_carry_no_rtp() -> None:
    """C12: DNS, NTP and SNMP."""
    for src, dst in ((("10.0.0.1", 53), B), (A, ("10.0.0.2", 123)), (A, ("10.0.0.2", 161))):
        assert judge(Probation(), block([packet(7), packet(8)], src, dst)) == []


def test_random_datagrams_open_nothing() -> None:
    """A quarter of all random bytes begin like RTP: a thousand flows of five, none let in."""
    chance = random.Random(1)
    table = Probation()
    let_in = 0
    for n in range(1000):
        port = 1024 + chance.randrange(60000)
        raws = [b"\x80" + chance.randbytes(100) for _ in range(5)]
        let_in += len(judge(table, block(raws, ("10.9.0.1", port), ("10.9.0.2", n + 1024))))
    assert let_in == 0
    assert len(table) <= MAX_WAITING


def test_what_sdp_announced_needs_no_second_packet() -> None:
    table = Probation(lambda src, dst: dst == B)
    assert judge(table, block([packet(7)])) == [(0, [])]
    assert judge(table, block([packet(7)], B, A)) == []


def test_what_sdp_announces_later_is_taken_out() -> None:
    announced: list[Endpoint] = []
    table = Probation(lambda src, dst: dst in announced)
    judge(table, block([packet(7)]))
    judge(table, block([packet(9, ssrc=2)], B, A))
    assert table.take_expected() == []
    announced.append(B)
    ((src, dst, held),) = table.take_expected()
    assert (src, dst, [d.payload(0) for d in held]) == (A, B, [packet(7)])
    assert len(table) == 1
    assert Probation().take_expected() == []


def test_a_flow_that_waits_is_let_in_when_sdp_announces_it() -> None:
    announced: list[Endpoint] = []
    table = Probation(lambda src, dst: dst in announced)
    judge(table, block([packet(7)]))
    announced.append(B)
    assert judge(table, block([packet(30_000)])) == [(0, [7])]
    assert len(table) == 0


def test_a_flood_is_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Probation()
    flood = block([packet(1, ssrc=n) for n in range(MAX_PER_BLOCK + 50)])
    assert judge(table, flood) == []
    assert (len(table), table.overflow) == (MAX_PER_BLOCK, 50)
    monkeypatch.setattr(probation, "MAX_WAITING", 10)
    small = Probation()
    judge(small, block([packet(1, ssrc=n) for n in range(20)]))
    assert len(small) == 10
    # The oldest went; the latest are still there.
    assert judge(small, block([packet(2, ssrc=19)])) == [(0, [1])]
    assert judge(small, block([packet(2, ssrc=1)])) == []


def test_one_flow_holds_few_packets_and_no_large_ones() -> None:
    table = Probation()
    for n in range(50):
        assert judge(table, block([packet(n * 1000 % 65536)])) == []
    ((_, earlier),) = judge(table, block([packet(49_001)]))
    assert 0 < len(earlier) <= 8
    large = Probation()
    judge(large, block([packet(7, body=bytes(60_000))]))
    assert len(large) == 0
