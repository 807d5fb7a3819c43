"""A file is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bystander.storage.wholefile import whole_file, write_file


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_file(path, [b"one"])
    write_file(path, [b"tw", memoryview(b"o")])
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_what_fails_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_file(path, [b"one"])

    def failing() -> Iterator[bytes]:
        yield b"tw"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_file(path, failing(), durable=True)
    with pytest.raises(KeyboardInterrupt), whole_file(path) as descriptor:
        os.write(descriptor, b"tw")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_r7_a_file_is_private_from_its_first_byte(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with whole_file(tmp_path / "f") as descriptor:
            assert (tmp_path / "f.part").stat().st_mode & 0o777 == 0o600
            assert not (tmp_path / "f").exists()
            os.write(descriptor, b"one")
    finally:
        os.umask(before)
    assert (tmp_path / "f").read_bytes() == b"one"
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600
