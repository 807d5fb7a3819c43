from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.sniffer.errors import CaptureError
from bystander.sniffer.frames import PAD
from bystander.sniffer.pcapng import PcapngParser, is_pcapng, ticks_to_ns
from bystander.sniffer.records import Batch, Parsed

Row = tuple[int, bytes, int, int]  # time, frame, length on the wire, link type


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<", version: tuple[int, int] = (1, 0)) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, *version, -1))


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(
    order: str = "<",
    linktype: int = 1,
    resolution: int | None = None,
    offset_s: int | None = None,
    snap: int = 0,
) -> bytes:
    options = option(order, 2, b"eth0")
    if resolution is not None:
        options += option(order, 9, bytes([resolution]))
    if offset_s is not None:
        options += option(order, 14, struct.pack(order + "q", offset_s))
    return block(order, 1, struct.pack(order + "HHI", linktype, 0, snap) + options + option(order, 0, b""))


def enhanced(order: str, number: int, ticks: int, frame: bytes, length: int | None = None) -> bytes:
    head = struct.pack(
        order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), length or len(frame)
    )
    return block(order, 6, head + frame + bytes(-len(frame) % 4) + option(order, 1, b"comment"))


def obsolete(order: str, number: int, ticks: int, frame: bytes) -> bytes:
    head = struct.pack(order + "HHIIII", number, 9, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(order, 2, head + frame)


def simple(order: str, frame: bytes, length: int | None = None) -> bytes:
    return block(order, 3, struct.pack(order + "I", length or len(frame)) + frame)


def parse(data: bytes, parser: PcapngParser | None = None) -> tuple[Parsed, np.ndarray]:
    buffer = np.frombuffer(data + bytes(PAD), np.uint8).copy()
    return (parser or PcapngParser(data[:64])).parse(buffer, 0, len(data)), buffer


def rows(batch: Batch, buffer: np.ndarray) -> list[Row]:
    columns = (batch.time_ns, batch.offset, batch.captured, batch.length)
    linktype = np.broadcast_to(np.asarray(batch.linktype), len(batch))
    return [
        (time_ns, buffer[at : at + size].tobytes(), length, link)
        for time_ns, at, size, length, link in zip(*(c.tolist() for c in (*columns, linktype)), strict=True)
    ]


def read(data: bytes) -> list[Row]:
    parsed, buffer = parse(data)
    assert (parsed.end, parsed.damage, parsed.skip) == (len(data), "", 0)
    return rows(parsed.batch, buffer)


@pytest.mark.parametrize("order", ["<", ">"])
def test_blocks_of_every_kind(order: str) -> None:
    data = (
        section(order)
        + interface(order, 1)
        + interface(order, 113, resolution=9, offset_s=-5)
        + block(order, 5, bytes(40))  # interface statistics
        + enhanced(order, 0, 1_700_000_000_123_456, b"first")
        + block(order, 0x0BAD, b"local use")
        + enhanced(order, 1, 1_700_000_000_123_456_789, b"second", 900)
        + obsolete(order, 1, 1_700_000_001_000_000_001, b"third")
        + simple(order, b"fourth")
        + enhanced(order, 0, 1_700_000_002_000_000, b"fifth")
    )
    assert read(data) == [
        (1_700_000_000_123_456_000, b"first", 5, 1),
        (1_699_999_995_123_456_789, b"second", 900, 113),
        (1_699_999_996_000_000_001, b"third", 5, 113),
        (1_699_999_996_000_000_001, b"fourth", 6, 1),
        (1_700_000_002_000_000_000, b"fifth", 5, 1),
    ]


def test_sections_of_both_byte_orders_forget_the_interfaces_before() -> None:
    data = (
        section("<")
        + interface("<", 1)
        + enhanced("<", 0, 1_000_000, b"one")
        + section(">")
        + interface(">", 113, 9)
        + enhanced(">", 0, 2 * 10**9, b"two")
        + section(">")
        + interface(">", 101)
        + enhanced(">", 0, 3_000_000, b"three")
        + section("<")
        + interface("<", 1)
        + enhanced("<", 0, 4_000_000, b"four")
    )
    found = [(time_ns, frame, link) for time_ns, frame, _, link in read(data)]
    assert found == [
        (10**9, b"one", 1),
        (2 * 10**9, b"two", 113),
        (3 * 10**9, b"three", 101),
        (4 * 10**9, b"four", 1),
    ]


def test_a_block_longer_than_the_first_walk_into_a_section_is_found() -> None:
    data = section() + interface() + (section() + interface() + enhanced("<", 0, 1, bytes(20_000))) * 3
    assert len(read(data)) == 3


def test_simple_packets_are_cut_by_the_snap_length_and_have_the_time_before() -> None:
    data = (
        section()
        + interface(snap=4)
        + simple("<", b"abcd", 60)
        + enhanced("<", 0, 7, b"x")
        + simple("<", b"ef")
    )
    assert read(data) == [(0, b"abcd", 60, 1), (7000, b"x", 1, 1), (7000, b"ef", 2, 1)]


def test_a_simple_packet_at_the_head_of_a_piece_has_the_time_of_the_piece_before() -> None:
    first, then = section() + interface() + enhanced("<", 0, 9, b"x"), simple("<", b"y")
    parser = PcapngParser(first)
    parse(first, parser)
    assert parse(then, parser)[0].batch.time_ns.tolist() == [9000]


@given(st.integers(0, 255), st.lists(st.integers(0, (1 << 64) - 1), min_size=1, max_size=5))
def test_every_resolution(resolution: int, ticks: list[int]) -> None:
    exponent = resolution & 0x7F
    unit = Fraction(1, 2**exponent) if resolution & 0x80 else Fraction(1, 10**exponent)
    found = ticks_to_ns(np.array(ticks, np.uint64), resolution).tolist()
    for one, tick in zip(found, ticks, strict=True):
        exact = int(tick * unit * 10**9)
        if resolution & 0x80 and exponent > 63:
            assert one == 0
        elif exact < 1 << 63:
            assert exact - (resolution & 0x80 != 0 and exponent > 34) <= one <= exact


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_an_offset_of_any_size_wraps(offset_s: int) -> None:
    found = read(section() + interface(offset_s=offset_s) + enhanced("<", 0, 5, b"x"))[0][0]
    assert (found - 5000 - offset_s * 10**9) % (1 << 64) == 0


def test_malformed_packet_blocks_are_counted_and_left_out() -> None:
    too_long = block("<", 6, struct.pack("<IIIII", 0, 0, 0, 50, 50) + bytes(20))
    data = (
        section()
        + enhanced("<", 0, 1, b"no interface yet")
        + interface()
        + too_long
        + enhanced("<", 7, 1, b"x")
    )
    parser = PcapngParser(data)
    parsed, buffer = parse(data + enhanced("<", 0, 1, b"good") + block("<", 3, b""), parser)
    # Described later in the same piece is described well enough.
    assert [row[1] for row in rows(parsed.batch, buffer)] == [b"no interface yet", b"good"]
    assert parser.malformed == 3


@pytest.mark.parametrize("size", [0, 4, 8, 13, 1 << 30])
def test_a_packet_block_of_an_insane_size_is_damage(size: int) -> None:
    good = section() + interface() + enhanced("<", 0, 1, b"good")
    parsed, _ = parse(good + struct.pack("<II", 6, size) + bytes(60))
    assert (len(parsed.batch), parsed.end) == (1, len(good))
    assert str(size) in parsed.damage


def test_a_huge_block_that_holds_no_frame_is_passed_over() -> None:
    good = section() + interface() + enhanced("<", 0, 1, b"good")
    parsed, _ = parse(good + struct.pack("<II", 0xA, 1 << 24) + bytes(60))
    assert (len(parsed.batch), parsed.end, parsed.skip, parsed.damage) == (1, len(good), 1 << 24, "")


@pytest.mark.parametrize(("patch", "why"), [((8, b"abcd"), "byte order"), ((12, b"\2\0"), "version 2.0")])
def test_a_later_section_that_cannot_be_read_is_damage(patch: tuple[int, bytes], why: str) -> None:
    good = section() + interface() + enhanced("<", 0, 1, b"good")
    later = bytearray(section() + interface() + enhanced("<", 0, 2, b"lost"))
    later[patch[0] : patch[0] + len(patch[1])] = patch[1]
    parsed, _ = parse(good + bytes(later))
    assert (len(parsed.batch), parsed.end) == (1, len(good))
    assert why in parsed.damage


def test_too_many_interfaces_are_damage() -> None:
    data = section() + block("<", 1, struct.pack("<HHI", 1, 0, 0)) * ((1 << 16) + 1)
    assert "interfaces" in parse(data)[0].damage


def test_an_unknown_version_or_a_header_cut_short_is_refused() -> None:
    with pytest.raises(CaptureError, match=r"pcapng version 2\.0 is not known"):
        PcapngParser(section(version=(2, 0)))
    with pytest.raises(CaptureError, match="cut in its header"):
        PcapngParser(section()[:12])
    assert is_pcapng(section()[:6])
    assert not is_pcapng(b"\x0a\x0d\x0d\x0a" + bytes(12))


blocks = st.lists(
    st.one_of(
        st.builds(
            lambda n, t, f: ("enhanced", n, t, f),
            st.integers(0, 2),
            st.integers(0, 99),
            st.binary(max_size=60),
        ),
        st.builds(lambda k, b: ("other", k, 0, b), st.sampled_from([4, 5, 0x0BAD]), st.binary(max_size=60)),
        st.builds(lambda link: ("interface", link, 0, b""), st.sampled_from([1, 113, 276])),
        st.builds(lambda order: ("section", order, 0, b""), st.integers(0, 1)),
    ),
    max_size=40,
)


@given(blocks, st.integers(1, 400))
@settings(deadline=None)
def test_any_blocks_in_any_pieces_equal_a_plain_reading(
    steps: list[tuple[str, int, int, bytes]], piece: int
) -> None:
    order, known = "<", [1]
    data = section() + interface("<", 1)
    expected: list[tuple[int, bytes, int]] = []
    malformed = 0
    for kind, number, ticks, frame in steps:
        if kind == "section":
            order = "<>"[number]
            data += section(order) + interface(order, 101)
            known = [101]
        elif kind == "interface":
            data += interface(order, number)
            known.append(number)
        elif kind == "other":
            data += block(order, number, frame)
        else:
            number = number % len(known)
            data += enhanced(order, number, ticks, frame)
            expected.append((ticks * 1000, frame, known[number]))
    parser = PcapngParser(data)
    found: list[tuple[int, bytes, int]] = []
    start = 0
    for stop in [*range(28, len(data), piece), len(data)]:
        parsed, buffer = parse(data[start:stop], parser)
        found += [(time_ns, frame, link) for time_ns, frame, _, link in rows(parsed.batch, buffer)]
        assert not parsed.damage
        start += parsed.end
    assert (found, start, parser.malformed) == (expected, len(data), malformed)


@given(
    st.binary(max_size=300),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12),
    blocks,
)
@settings(deadline=None)
def test_mutated_files_never_raise_and_frames_stay_inside(
    tail: bytes, changes: list[tuple[int, int]], steps: list[tuple[str, int, int, bytes]]
) -> None:
    data = bytearray(section() + interface())
    for kind, number, ticks, frame in steps:
        data += (
            enhanced("<", number, ticks, frame) if kind == "enhanced" else interface() + simple("<", frame)
        )
    data += tail
    for at, value in changes:
        data[16 + at % (len(data) - 16)] = value
    parsed, _ = parse(bytes(data))
    batch = parsed.batch
    assert (batch.offset + batch.captured <= len(data)).all()
    assert (batch.captured >= 0).all()
    assert (batch.length >= batch.captured).all()
    assert parsed.end <= len(data)
