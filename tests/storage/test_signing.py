"""The recorder's key."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bystander.storage.signing import RecorderKey, SigningProblem, read_public, verify


def test_it_signs_and_others_can_check(tmp_path: Path) -> None:
    key = RecorderKey.create(tmp_path)
    again = RecorderKey.load(tmp_path)
    assert again.public_hex == key.public_hex == read_public(tmp_path)
    signature = again.sign(b"entry")
    assert verify(key.public_hex, b"entry", signature)
    assert not verify(key.public_hex, b"another", signature)
    assert not verify(key.public_hex, b"entry", signature[:-1])
    assert not verify("nonsense", b"entry", signature)
    for name in ("recorder.key", "recorder.pub"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_it_is_made_once(tmp_path: Path) -> None:
    public = RecorderKey.create(tmp_path).public_hex
    with pytest.raises(FileExistsError):
        RecorderKey.create(tmp_path)
    assert read_public(tmp_path) == public


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read the recorder's key: No such file"),
        ("nonsense\n", "the recorder's key is damaged"),
        ("00" * 31 + "\n", "the recorder's key is damaged"),
        ("AB" * 32 + "\n", "the recorder's key is damaged"),
        ("ab" * 32, "the recorder's key is damaged"),
    ],
)
def test_a_key_that_is_none(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "recorder.key").write_text(content)
    with pytest.raises(SigningProblem, match=said):
        RecorderKey.load(tmp_path)
