"""Packets put through the stream table once more are what they would have been the first time."""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.codecs.packets import PacketRun
from bystander.sniffer.replayed import replay

T0 = 1_790_000_000_000_000_000


def run_of(packets: list[bytes], first: int) -> PacketRun:
    n = len(packets)
    return PacketRun(
        np.arange(first, first + n, dtype=np.int64),
        np.zeros(n, np.uint32),
        np.array([packet[1] & 0x7F for packet in packets], np.uint8),
        T0 + np.arange(n, dtype=np.int64) * 20_000_000,
        np.array([len(packet) for packet in packets], np.int32),
        np.frombuffer(b"".join(packets), np.uint8),
    )


def rtp(seq: int, payload: bytes, pt: int = 8, first: int = 0x80, more: bytes = b"") -> bytes:
    return struct.pack("!BBHII", first, pt, seq & 0xFFFF, 160 * seq & 0xFFFFFFFF, 7) + more + payload


def sound(run: PacketRun) -> bytes:
    found = replay(run)
    return b"".join(r.samples.tobytes() for r in sorted(found.runs, key=lambda r: r.position))


@given(st.integers(1, 9000), st.integers(0, 65_535))
@settings(max_examples=15, deadline=None)
def test_audio_of_any_length_comes_back(n: int, seq: int) -> None:
    payloads = [bytes([k & 255 | 1, k >> 8 & 255]) * 80 for k in range(n)]
    found = replay(run_of([rtp(seq + k, payload) for k, payload in enumerate(payloads)], seq))
    assert found.epoch_ns == T0
    assert b"".join(run.samples.tobytes() for run in found.runs) == b"".join(payloads)
    assert (found.runs[0].position, found.runs[0].law, found.kept) == (0, 8, [])


def test_csrcs_extensions_and_padding_are_read() -> None:
    packets = [
        rtp(1, b"\1" * 160),
        rtp(2, b"\2" * 160, first=0x92, more=bytes(8) + b"\xbe\xde\0\1abcd"),
        rtp(3, b"\3" * 160 + b"\0\0\3", first=0xA0),
    ]
    assert sound(run_of(packets, 1)) == b"\1" * 160 + b"\2" * 160 + b"\3" * 160


def test_other_payloads_are_kept_and_count_on() -> None:
    """Where the wire's count of sequence numbers was: three wraps on, after the table's own base."""
    base = (1 << 36) + 3 * 65_536
    packets = [rtp(65_534 + k, bytes([k]) * 10, pt=18) for k in range(5)]
    found = replay(run_of(packets, base + 65_534))
    kept = PacketRun.join(found.kept)
    assert kept.seq.tolist() == [base + 65_534 + k for k in range(5)]
    assert kept.payloads() == [bytes([k]) * 10 for k in range(5)]
    assert (found.runs, found.epoch_ns) == ([], None)


def test_what_is_no_rtp_is_nothing() -> None:
    for content in (b"\x80\x08\x00", b"\x00" * 40):
        found = replay(run_of([content], 1))
        assert (found.runs, found.kept) == ([], [])


@given(st.lists(st.binary(min_size=12, max_size=300), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_junk_never_raises(packets: list[bytes]) -> None:
    replay(run_of(packets, 5))
