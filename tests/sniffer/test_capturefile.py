"""Capture files as a source: what other programs write, in every packing, several at once, and broken."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import struct
import subprocess
import threading
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.sniffer import capturefile
from bystander.sniffer.capturefile import CaptureFiles, open_captures
from bystander.sniffer.errors import CaptureError
from bystander.sniffer.frames import LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, PAD

CORPUS = Path(__file__).parents[2] / ".." / "shared" / "corpus"
CAPTURES = [path for path in sorted(CORPUS.glob("*")) if path.suffix in (".pcap", ".pcapng", ".cap")]

Row = tuple[int, bytes, int, int]  # time, frame, length on the wire, link type
START_S = 1_700_000_000


def record(time_us: int, frame: bytes, length: int = 0) -> bytes:
    return struct.pack("<IIII", *divmod(time_us, 1_000_000), len(frame), length or len(frame)) + frame


def pcap(records: Sequence[tuple[int, bytes]], linktype: int = 1) -> bytes:
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, linktype)
    return head + b"".join(record(time_us, frame) for time_us, frame in records)


def collect(source: CaptureFiles) -> list[Row]:
    found: list[Row] = []
    for frames in source.blocks():
        assert len(frames) > 0
        assert (frames.offset + PAD <= len(frames.data)).all()
        columns = (frames.time_ns, frames.offset, frames.captured, frames.length)
        for time_ns, at, size, length in zip(*(column.tolist() for column in columns), strict=True):
            found.append((time_ns, frames.data[at : at + size].tobytes(), length, frames.linktype))
    return found


def read(*paths: Path, chunk_bytes: int = capturefile.CHUNK_BYTES) -> tuple[list[Row], CaptureFiles]:
    with open_captures(paths, chunk_bytes) as source:
        return collect(source), source


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, list[bytes]]:
    """A capture of 60 frames of various sizes, written by scapy."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.utils import wrpcap

    rng = random.Random(1)
    packets = []
    for number in range(60):
        packet = (
            Ether() / IP(dst="192.0.2.1") / UDP(sport=5060, dport=5060) / rng.randbytes(rng.randrange(1400))
        )
        packet.time = START_S + number * 0.02
        packets.append(packet)
    path = tmp_path / "scapy.pcap"
    wrpcap(str(path), packets)
    return path, [bytes(packet) for packet in packets]


def tool(name: str, *arguments: str | Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    subprocess.run([name, *map(str, arguments)], check=True, capture_output=True)


def test_what_scapy_writes(written: tuple[Path, list[bytes]]) -> None:
    path, packets = written
    found, source = read(path)
    assert [frame for _, frame, _, _ in found] == packets
    assert [time_ns for time_ns, _, _, _ in found] == [START_S * 10**9 + n * 20_000_000 for n in range(60)]
    assert (source.frames, source.bytes, source.truncated_frames) == (60, sum(map(len, packets)), 0)
    assert source.problems == []


@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "modpcap", "pcapng"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_editcap_writes(
    written: tuple[Path, list[bytes]], tmp_path: Path, kind: str, packed: bool
) -> None:
    path, packets = written
    out = tmp_path / f"editcap.{kind}"
    tool("editcap", "-F", kind, path, out)
    if packed:
        out.write_bytes(gzip.compress(out.read_bytes()))
    found, source = read(out)
    assert found == read(path)[0]
    assert [frame for _, frame, _, _ in found] == packets
    assert source.progress() == (out.stat().st_size, out.stat().st_size)


def test_frames_cut_by_the_snap_length_are_counted(written: tuple[Path, list[bytes]], tmp_path: Path) -> None:
    """C18: packets captured truncated."""
    path, packets = written
    tool("editcap", "-F", "pcapng", "-s", "100", path, tmp_path / "short.pcapng")
    found, source = read(tmp_path / "short.pcapng")
    assert [(frame, length) for _, frame, length, _ in found] == [(p[:100], len(p)) for p in packets]
    assert source.truncated_frames == sum(len(packet) > 100 for packet in packets) > 0


def test_several_interfaces_with_link_types_of_their_own(tmp_path: Path) -> None:
    """C18: pcapng with several interfaces. A block is cut where the link type changes."""
    ether = [(n * 10, b"e%d" % n) for n in range(20)]
    cooked = [(n * 10 + 5, b"c%d" % n) for n in range(7, 9)]
    (tmp_path / "e.pcap").write_bytes(pcap(ether, LINKTYPE_ETHERNET))
    (tmp_path / "c.pcap").write_bytes(pcap(cooked, LINKTYPE_LINUX_SLL))
    tool("mergecap", "-F", "pcapng", "-w", tmp_path / "m.pcapng", tmp_path / "e.pcap", tmp_path / "c.pcap")
    expected = sorted(
        [(t * 1000, f, len(f), LINKTYPE_ETHERNET) for t, f in ether]
        + [(t * 1000, f, len(f), LINKTYPE_LINUX_SLL) for t, f in cooked]
    )
    assert read(tmp_path / "m.pcapng")[0] == expected
    assert read(tmp_path / "c.pcap", tmp_path / "e.pcap")[0] == expected


def test_a_file_of_many_chunks(tmp_path: Path) -> None:
    rng = random.Random(3)
    frames = [
        (START_S * 10**6 + n * 50, rng.randbytes(214 if rng.random() < 0.7 else rng.randrange(60, 1514)))
        for n in range(9000)
    ]
    (tmp_path / "x.pcap").write_bytes(pcap(frames))
    (tmp_path / "x.pcap.gz").write_bytes(gzip.compress(pcap(frames), 1))
    expected = [(time_us * 1000, frame, len(frame), 1) for time_us, frame in frames]
    assert read(tmp_path / "x.pcap", chunk_bytes=1)[0] == expected
    assert read(tmp_path / "x.pcap.gz", chunk_bytes=1 << 20)[0] == expected
    tool("editcap", "-F", "pcapng", tmp_path / "x.pcap", tmp_path / "x.pcapng")
    assert read(tmp_path / "x.pcapng", chunk_bytes=1)[0] == expected


def test_a_large_block_without_frames_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(pcap([(1, b"one"), (2, b"two")]))
    tool("editcap", "-F", "pcapng", tmp_path / "x.pcap", tmp_path / "x.pcapng")
    data = (tmp_path / "x.pcapng").read_bytes()
    at = data.rindex(struct.pack("<I", 6), 0, data.index(b"two"))
    size = 3_000_000
    huge = struct.pack("<II", 0x0BAD, size) + bytes(size - 12) + struct.pack("<I", size)
    (tmp_path / "huge.pcapng").write_bytes(data[:at] + huge + data[at:])
    found, source = read(tmp_path / "huge.pcapng", chunk_bytes=1)
    assert ([frame for _, frame, _, _ in found], source.problems) == ([b"one", b"two"], [])
    (tmp_path / "huge.pcapng").write_bytes(data[:at] + huge[:1_000_000])
    found, source = read(tmp_path / "huge.pcapng", chunk_bytes=1)
    assert [frame for _, frame, _, _ in found] == [b"one"]
    assert len(source.problems) == 1
    assert "cut in the middle of a block" in source.problems[0]


# Several files


def test_a_rotated_capture_is_read_in_order_of_time_one_file_open_at_a_time(tmp_path: Path) -> None:
    paths = []
    for number in range(6):
        path = tmp_path / f"{number}.pcap"
        path.write_bytes(pcap([(number * 1000 + n, b"%d.%d" % (number, n)) for n in range(50)]))
        paths.append(path)
    with open_captures([paths[i] for i in (3, 0, 5, 1, 4, 2)]) as source:
        found = []
        for frames in source.blocks():
            found += frames.time_ns.tolist()
            assert len(source._turns) == 1
    assert found == [(number * 1000 + n) * 1000 for number in range(6) for n in range(50)]


def heads_merge(files: Sequence[Sequence[tuple[int, bytes]]]) -> list[tuple[int, bytes]]:
    """The merge by definition: from the file whose next frame is due first, on a tie from the first named.

    A frame is due at its time, or with the one before it in the file if that is later.
    """
    due = [list(accumulate((time_us for time_us, _ in rows), max)) for rows in files]
    at = [0] * len(files)
    merged = []
    while ready := [index for index in range(len(files)) if at[index] < len(files[index])]:
        index = min(ready, key=lambda index: (due[index][at[index]], index))
        merged.append(files[index][at[index]])
        at[index] += 1
    return merged


stamps = st.lists(st.integers(0, 60), max_size=60)


@given(
    st.lists(st.tuples(stamps, st.booleans(), st.integers(1, 2)), min_size=1, max_size=4),
    st.integers(130, 900),
)
@settings(deadline=None, max_examples=150)
def test_any_files_merge_as_by_their_heads(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[list[int], bool, int]], chunk_bytes: int
) -> None:
    """Overlapping files, equal times, empty files, several link types, time that runs backwards (C18), all in
    chunks of a few frames."""
    contents, paths = [], []
    for number, (times, ordered, linktype) in enumerate(files):
        times = sorted(times) if ordered else times
        rows = [(time_us, b"%d:%d:%d" % (number, n, linktype)) for n, time_us in enumerate(times)]
        contents.append(rows)
        paths.append(tmp_path_factory.getbasetemp() / f"merge{number}.pcap")
        paths[-1].write_bytes(pcap(rows, linktype))
    expected = heads_merge(contents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capturefile, "_SMALLEST_CHUNK", 128)
        found, source = read(*paths, chunk_bytes=chunk_bytes)
    assert [(time_ns // 1000, frame) for time_ns, frame, _, _ in found] == expected
    assert all(int(frame.split(b":")[2]) == linktype for _, frame, _, linktype in found)
    assert source.frames == len(expected)
    assert source.progress() == (sum(p.stat().st_size for p in paths),) * 2


def test_time_that_runs_backwards_is_kept_as_it_is(tmp_path: Path) -> None:
    """C18: timestamps that run backwards."""
    times = [5, 9, 3, 4, 20, 1]
    (tmp_path / "x.pcap").write_bytes(pcap([(t, b"x") for t in times]))
    assert [row[0] for row in read(tmp_path / "x.pcap")[0]] == [t * 1000 for t in times]


# What cannot be read


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty (0 bytes)"),
        (gzip.compress(b""), "it is empty (gzip of nothing)"),
        (
            b"\x7fELF and more",
            "not a capture file (starts with 7f 45 4c 46); expected pcap or pcapng, plain or gzip",
        ),
        (gzip.compress(b"hello there"), "not a capture file (its gzip data starts with 68 65 6c 6c)"),
        (b"\x28\xb5\x2f\xfd....", "it is packed with zstd, unpack it first"),
        (pcap([])[:20], "cut in its header (20 bytes)"),
        (b"\x0a\x0d\x0d\x0a\x1c", "cut in its header (5 bytes)"),
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "not a capture file"),
        (pcap([])[:4] + b"\3" + pcap([])[5:], "pcap version 3.4 is not known"),
        (b"\x1f\x8bnot gzip at all", "its gzip data is damaged"),
        (gzip.compress(pcap([]))[:12], "its gzip data ends too early"),
    ],
)
def test_a_file_that_is_no_capture_is_one_clear_line(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(content)
    (tmp_path / "good.pcap").write_bytes(pcap([(1, b"x")]))
    for paths in ([path], [tmp_path / "good.pcap", path]):
        with pytest.raises(CaptureError) as caught:
            open_captures(paths)
        assert str(caught.value).startswith(f"cannot read {path}: ")
        assert why in str(caught.value)
        assert "\n" not in str(caught.value)


def test_missing_directory_and_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CaptureError, match=r"cannot read .*/none.pcap: no such file"):
        open_captures([tmp_path / "none.pcap"])
    with pytest.raises(CaptureError, match="it is a directory; name the capture files in it"):
        open_captures([tmp_path])

    def forbidden(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(capturefile, "ByteStream", forbidden)
    with pytest.raises(CaptureError, match="permission denied"):
        open_captures([tmp_path / "x.pcap"])


def test_a_capture_without_frames_is_fine(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(pcap([]))
    (tmp_path / "y.pcap").write_bytes(pcap([(1, b"y")]))
    assert read(tmp_path / "x.pcap")[0] == []
    found, source = read(tmp_path / "y.pcap", tmp_path / "x.pcap")
    assert (len(found), source.problems) == (1, [])
    assert read()[0] == []


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_cut_in_mid_record_keeps_what_came_before(tmp_path: Path, packed: bool) -> None:
    """C18: files cut in mid-record."""
    whole = pcap([(n, b"frame %d" % n) for n in range(9)])
    path = tmp_path / "x.pcap"
    path.write_bytes(gzip.compress(whole[:-3]) if packed else whole[:-3])
    found, source = read(path)
    assert [frame for _, frame, _, _ in found] == [b"frame %d" % n for n in range(8)]
    last = len(whole) - len(record(8, b"frame 8"))
    problem = f"{path}: cut in the middle of a record at byte {last}; what came before is used"
    assert source.problems == [problem]


def test_the_byte_of_damage_is_counted_from_the_start_of_the_file(tmp_path: Path) -> None:
    good = pcap([(n, bytes(1000)) for n in range(2000)])
    path = tmp_path / "x.pcap"
    path.write_bytes(good + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30) + good)
    found, source = read(path, chunk_bytes=1)
    assert len(found) == 2000
    assert source.problems == [
        f"{path}: damaged at byte {len(good)}: a record there claims {1 << 30} bytes, more than any "
        "frame has; what came before is used"
    ]


def test_damage_in_one_of_several_files_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.pcap").write_bytes(pcap([(1, b"one")]) + b"\xff" * 40)
    (tmp_path / "good.pcap").write_bytes(pcap([(0, b"zero"), (2, b"two")]))
    found, source = read(tmp_path / "bad.pcap", tmp_path / "good.pcap")
    assert [frame for _, frame, _, _ in found] == [b"zero", b"one", b"two"]
    assert len(source.problems) == 1


def test_gzip_cut_short_is_noted_and_what_came_before_is_used(tmp_path: Path) -> None:
    rng = random.Random(2)
    packed = gzip.compress(pcap([(n, rng.randbytes(500)) for n in range(200)]))
    (tmp_path / "x.pcap.gz").write_bytes(packed[: len(packed) // 2])
    found, source = read(tmp_path / "x.pcap.gz")
    assert 90 < len(found) < 101
    assert len(source.problems) == 1
    assert "gzip data ends too early" in source.problems[0]


def test_a_read_error_in_mid_file_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.pcap").write_bytes(pcap([(n, bytes(900)) for n in range(2000)]))
    with open_captures([tmp_path / "x.pcap"], 1) as source:
        blocks = source.blocks()
        first = len(next(blocks))

        def fail(buffer: memoryview) -> int:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(source._turns[0].file._stream, "readinto", fail)
        assert sum(len(block) for block in blocks) == 0
    assert 0 < first < 2000
    assert source.frames == first
    assert "cannot be read any further (Input/output error)" in source.problems[0]


def test_malformed_blocks_are_a_problem_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(pcap([(1, b"one"), (2, b"two")]))
    tool("editcap", "-F", "pcapng", tmp_path / "x.pcap", tmp_path / "x.pcapng")
    data = bytearray((tmp_path / "x.pcapng").read_bytes())
    at = data.rindex(struct.pack("<I", 6), 0, data.index(b"two"))
    data[at + 8] = 9  # an interface that is not there
    (tmp_path / "x.pcapng").write_bytes(data)
    found, source = read(tmp_path / "x.pcapng")
    assert len(found) == 1
    assert source.problems == [f"{tmp_path / 'x.pcapng'}: 1 malformed packet blocks left out"]


def test_a_pipe_is_a_capture_file_too(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(pcap([(7, b"x")] * 3000),))
    writer.start()
    found, _ = read(path)
    writer.join()
    assert len(found) == 3000


@given(
    st.binary(max_size=200),
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), max_size=6),
    st.booleans(),
)
@settings(deadline=None)
def test_mutated_files_raise_nothing_but_captureerror(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes, changes: list[tuple[int, int]], packed: bool
) -> None:
    data = bytearray(pcap([(n, b"frame %d" % n) for n in range(12)]) + tail)
    data = bytearray(gzip.compress(data)) if packed else data
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "mutated.pcap"
    path.write_bytes(data)
    try:
        found, source = read(path, path)
    except CaptureError:
        return
    assert len(found) == source.frames


# Other people's captures


@pytest.mark.corpus
@pytest.mark.skipif(not CAPTURES, reason="the public captures are not beside the project")
def test_every_public_capture_has_the_frames_tshark_finds() -> None:
    if shutil.which("capinfos") is None:
        pytest.skip("capinfos is not installed")
    table = subprocess.run(
        ["capinfos", "-T", "-M", "-r", "-c", "-d", "-N", *map(str, CAPTURES)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    expected = {Path(row.split("\t")[0]).name: int(row.split("\t")[1]) for row in table.splitlines()}
    found = {path.name: read(path)[1].frames for path in CAPTURES}
    assert found == expected


@pytest.mark.corpus
@pytest.mark.skipif(not CAPTURES, reason="the public captures are not beside the project")
@pytest.mark.parametrize(
    "name", ["sip-rtp-opus-hybrid.pcap", "b2bua-asterisk.pcapng", "g711a.pcap", "ipv6frag.pcap"]
)
def test_times_and_lengths_are_those_of_tshark(name: str) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    fields = ("frame.time_epoch", "frame.cap_len", "frame.len")
    command = [
        "tshark",
        "-n",
        "-r",
        str(CORPUS / name),
        "-T",
        "json",
        *(w for f in fields for w in ("-e", f)),
    ]
    rows = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    expected = []
    for row in rows:
        time, captured, length = (row["_source"]["layers"][field][0] for field in fields)
        seconds, fraction = time.split(".")
        expected.append((int(seconds) * 10**9 + int(fraction.ljust(9, "0")), int(captured), int(length)))
    assert [(time_ns, len(frame), length) for time_ns, frame, length, _ in read(CORPUS / name)[0]] == expected


def test_c18_a_link_type_that_nothing_reads_is_a_problem_told_once(tmp_path: Path) -> None:
    """Or its calls would be missing without a word."""
    (tmp_path / "usb.pcap").write_bytes(pcap([(n, b"x" * 60) for n in range(3)], 220))
    found, source = read(tmp_path / "usb.pcap")
    assert len(found) == 3
    assert len(source.problems) == 1
    assert "usb.pcap: frames of link type 220 are not read" in source.problems[0]
