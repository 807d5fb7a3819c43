from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.bytestream import ByteStream


def read_all(path: Path, piece_bytes: int) -> tuple[bytes, ByteStream]:
    stream = ByteStream(path)
    output = b""
    buffer = bytearray(piece_bytes)
    while got := stream.readinto(memoryview(buffer)):
        output += buffer[:got]
        if got < piece_bytes:
            break
    stream.close()
    return output, stream


@given(st.binary(max_size=2000), st.integers(1, 700), st.booleans())
def test_any_bytes_in_any_pieces(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, piece: int, pack: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(gzip.compress(data) if pack else b"." + data)
    output, stream = read_all(path, piece)
    assert output == (data if pack else b"." + data)
    assert (stream.problem, stream.compressed) == ("", pack)


def test_gzip_larger_than_a_step_is_unpacked_in_steps(tmp_path: Path) -> None:
    data = bytes(300_000) + os.urandom(300_000)
    (tmp_path / "big.gz").write_bytes(gzip.compress(data, 1))
    output, stream = read_all(tmp_path / "big.gz", 250_000)
    assert output == data
    assert stream.consumed_bytes == (tmp_path / "big.gz").stat().st_size


@pytest.mark.parametrize("between", [b"", bytes(100), bytes(200_000)])
def test_gzip_members_one_after_another_with_padding(tmp_path: Path, between: bytes) -> None:
    path = tmp_path / "two.gz"
    path.write_bytes(gzip.compress(b"one") + between + gzip.compress(b"two") + bytes(512))
    output, stream = read_all(path, 1000)
    assert output == b"onetwo"
    assert stream.problem == ""


def test_trailing_garbage_behind_gzip_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"one") + b"garbage")
    output, stream = read_all(tmp_path / "x.gz", 1000)
    assert (output, stream.problem) == (b"one", "")


def test_gzip_cut_short_gives_what_there_is(tmp_path: Path) -> None:
    data = os.urandom(50_000)
    (tmp_path / "x.gz").write_bytes(gzip.compress(data)[:40_000])
    output, stream = read_all(tmp_path / "x.gz", 100_000)
    assert data.startswith(output)
    assert len(output) > 30_000
    assert "ends too early" in stream.problem


def test_damaged_gzip_gives_what_came_before(tmp_path: Path) -> None:
    data = os.urandom(500_000)
    packed = bytearray(gzip.compress(data))
    packed[400_000:400_100] = b"\xff" * 100
    packed[-8] ^= 1  # random bytes are stored, not deflated: the checksum then tells
    (tmp_path / "x.gz").write_bytes(packed)
    output, stream = read_all(tmp_path / "x.gz", 100_000)
    assert output[:300_000] == data[:300_000]
    assert "damaged" in stream.problem


def test_a_pipe_that_trickles(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for byte in b"abcdefgh":
                file.write(bytes([byte]))

    writer = threading.Thread(target=write)
    writer.start()
    output, _ = read_all(path, 5)
    writer.join()
    assert output == b"abcdefgh"


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ByteStream(tmp_path / "none")
