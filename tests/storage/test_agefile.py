"""Sealing: whole or not at all, in a format that another program opens."""

from __future__ import annotations

import hashlib
import io
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bystander.storage.agefile import (
    SealProblem,
    identity_of,
    is_sealed,
    open_bytes,
    open_to,
    recipient_of,
    seal_bytes,
    seal_stream,
)
from bystander.storage.identity import new_identity, recipient_text

KEY = new_identity()
TO = recipient_text(KEY)


def opened(path: Path) -> bytes:
    content = io.BytesIO()
    open_to(path, KEY, content)
    return content.getvalue()


@given(st.lists(st.binary(max_size=200_000), max_size=6))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_goes_in_comes_out(tmp_path: Path, parts: list[bytes]) -> None:
    path = tmp_path / "x.age"
    sealed = seal_stream(parts, path, TO, durable=False)
    whole = b"".join(parts)
    assert opened(path) == whole
    assert (sealed.sha256, sealed.size_bytes) == (hashlib.sha256(whole).hexdigest(), len(whole))
    outside = path.read_bytes()
    assert (sealed.sealed_sha256, sealed.sealed_bytes) == (hashlib.sha256(outside).hexdigest(), len(outside))
    assert is_sealed(outside)


def test_debians_age_opens_it(tmp_path: Path) -> None:
    seal_stream([b"the call"], tmp_path / "x.age", TO)
    (tmp_path / "key.txt").write_text(f"{KEY}\n")
    command = ["age", "-d", "-i", tmp_path / "key.txt", tmp_path / "x.age"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"the call"


def test_it_is_private_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = tmp_path / "2026" / "x.age"
    seal_stream([b"x"], path, TO)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def failing() -> Iterator[bytes]:
        yield b"some"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        seal_stream(failing(), path.with_name("y.age"), TO)
    assert [found.name for found in path.parent.iterdir()] == ["x.age"]


def test_a_full_disk_is_told_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.age.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        seal_stream([b"x" * 1_000_000], tmp_path / "x.age", TO)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "flip", "none of ours", "empty"])
def test_damage_is_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.age"
    seal_stream([b"x" * 100_000], path, TO)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[5000] ^= 1
    path.write_bytes({"cut": content[:-7], "none of ours": b"RIFF", "empty": b""}.get(damage, bytes(content)))
    with pytest.raises(SealProblem, match="damaged or cut short") as raised:
        opened(path)
    assert "\n" not in str(raised.value)


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    sealed = seal_bytes(b"x", TO)
    assert open_bytes(sealed, KEY, "it") == b"x"
    with pytest.raises(SealProblem, match="it: sealed to another key than this one"):
        open_bytes(sealed, new_identity(), "it")


def test_keys_that_are_none() -> None:
    with pytest.raises(SealProblem, match="not an age recipient"):
        recipient_of("age1nonsense")
    with pytest.raises(SealProblem, match="not an age identity") as raised:
        identity_of("AGE-SECRET-KEY-1SECRET")
    assert "SECRET-KEY-1SECRET" not in str(raised.value)
