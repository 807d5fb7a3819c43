from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.errors import CaptureError
from bystander.sniffer.frames import PAD
from bystander.sniffer.pcap import PcapParser, is_pcap
from bystander.sniffer.records import Batch

MAGICS = {  # magic, nanoseconds per tick, record header bytes
    "microseconds": (0xA1B2C3D4, 1000, 16),
    "nanoseconds": (0xA1B23C4D, 1, 16),
    "Kuznetzov": (0xA1B2CD34, 1000, 24),
}
Record = tuple[int, int, bytes, int]  # seconds, ticks, frame, length on the wire


def header(
    magic: int = 0xA1B2C3D4, order: str = "<", linktype: int = 1, version: tuple[int, int] = (2, 4)
) -> bytes:
    return struct.pack(order + "IHHiIII", magic, *version, 0, 0, 65535, linktype)


def pcap(records: list[Record], order: str = "<", kind: str = "microseconds", linktype: int = 1) -> bytes:
    magic, _, header_bytes = MAGICS[kind]
    body = b"".join(
        struct.pack(order + "IIII", seconds, ticks, len(frame), length).ljust(header_bytes, b"\7") + frame
        for seconds, ticks, frame, length in records
    )
    return header(magic, order, linktype) + body


def parse(data: bytes) -> tuple[Batch, np.ndarray, int, str]:
    buffer = np.frombuffer(data + bytes(PAD), np.uint8).copy()
    parsed = PcapParser(data[:64]).parse(buffer, 0, len(data))
    return parsed.batch, buffer, parsed.end, parsed.damage


def rows(batch: Batch, buffer: np.ndarray) -> list[tuple[int, bytes, int]]:
    return [
        (time_ns, buffer[at : at + size].tobytes(), length)
        for time_ns, at, size, length in zip(
            batch.time_ns.tolist(),
            batch.offset.tolist(),
            batch.captured.tolist(),
            batch.length.tolist(),
            strict=True,
        )
    ]


records = st.lists(
    st.tuples(
        st.integers(0, (1 << 32) - 1), st.integers(0, 999_999), st.binary(max_size=80), st.integers(0, 2000)
    ),
    max_size=30,
)


@given(records, st.sampled_from("<>"), st.sampled_from(sorted(MAGICS)), st.integers(0, 300))
def test_every_variant_reads_back(frames: list[Record], order: str, kind: str, linktype: int) -> None:
    data = pcap(frames, order, kind, linktype)
    batch, buffer, end, damage = parse(data)
    tick_ns = MAGICS[kind][1]
    expected = [
        (seconds * 10**9 + ticks * tick_ns, frame, max(length, len(frame)))
        for seconds, ticks, frame, length in frames
    ]
    assert rows(batch, buffer) == expected
    assert (end, damage, batch.linktype) == (len(data), "", linktype)


def test_the_checksum_bits_of_the_link_type_field_are_no_link_type() -> None:
    batch, _, _, _ = parse(header(linktype=0x5400_0001) + pcap([(1, 2, b"x", 1)])[24:])
    assert batch.linktype == 1


@given(records.filter(bool), st.data())
def test_cut_in_mid_record_keeps_what_is_complete(frames: list[Record], data: st.DataObject) -> None:
    """C18: a file cut in mid-record."""
    whole = pcap(frames)
    cut = data.draw(st.integers(24, len(whole) - 1))
    batch, buffer, end, damage = parse(whole[:cut])
    complete = rows(*parse(whole)[:2])
    assert rows(batch, buffer) == complete[: len(batch)]
    assert len(batch) < len(frames)
    assert damage == ""
    assert 24 <= end <= cut


def test_a_length_no_frame_has_is_damage_and_what_came_before_is_kept() -> None:
    good = pcap([(1, 2, b"abc", 3)])
    batch, _, end, damage = parse(good + struct.pack("<IIII", 1, 2, 262_145, 262_145) + bytes(100))
    assert len(batch) == 1
    assert end == len(good)
    assert "262145" in damage


def test_the_largest_frame_is_no_damage() -> None:
    frame = bytes(262_144)
    batch, _, _, damage = parse(pcap([(1, 2, frame, len(frame))]))
    assert (batch.captured.tolist(), damage) == ([262_144], "")


def test_pieces_continue_each_other() -> None:
    data = pcap([(n, 0, bytes([n]) * n, n) for n in range(40)])
    parser = PcapParser(data)
    found = []
    start = 0
    for stop in range(24, len(data) + 1, 17):
        piece = np.frombuffer(data[start:stop] + bytes(PAD), np.uint8)
        parsed = parser.parse(piece, 0, stop - start)
        found += parsed.batch.time_ns.tolist()
        start += parsed.end
    piece = np.frombuffer(data[start:] + bytes(PAD), np.uint8)
    found += parser.parse(piece, 0, len(data) - start).batch.time_ns.tolist()
    assert found == [n * 10**9 for n in range(40)]


@pytest.mark.parametrize("version", [(1, 4), (3, 0), (543, 1)])
def test_an_unknown_version_is_refused(version: tuple[int, int]) -> None:
    with pytest.raises(CaptureError, match=rf"pcap version {version[0]}\.{version[1]} is not known"):
        PcapParser(header(version=version))


def test_a_header_cut_short_is_refused() -> None:
    assert is_pcap(header()[:10])
    with pytest.raises(CaptureError, match="cut in its header"):
        PcapParser(header()[:23])


@given(st.binary(max_size=400), st.sampled_from("<>"), st.sampled_from(sorted(MAGICS)))
def test_random_bytes_never_raise_and_frames_stay_inside(noise: bytes, order: str, kind: str) -> None:
    data = header(MAGICS[kind][0], order) + noise
    batch, _, end, _ = parse(data)
    assert (batch.offset + batch.captured <= len(data)).all()
    assert (batch.length >= batch.captured).all()
    assert 24 <= end <= len(data)
