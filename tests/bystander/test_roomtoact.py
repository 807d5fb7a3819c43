"""An act is begun only where there is room to end it (the rest is in test_full_disk.py, on a real disk)."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from bystander.config import load
from bystander.errors import UserError
from bystander.roomtoact import LEAST_BYTES, need_room
from tests.bureau import Bureau


def test_any_disk_of_the_vault_that_is_full(configured: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(None)
    assert settings.vault is not None
    keyring = settings.vault.keyring.parent.parent / "other" / "keyring.sqlite"
    settings = settings.model_copy(update={"vault": settings.vault.model_copy(update={"keyring": keyring})})
    free = {}
    monkeypatch.setattr(
        os, "statvfs", lambda place: SimpleNamespace(f_bavail=free.get(Path(place), LEAST_BYTES), f_frsize=1)
    )
    need_room(settings)
    for folder in (settings.recording.index.parent, keyring.parent):
        free = {folder: LEAST_BYTES - 1}
        with pytest.raises(UserError, match="No space left on device; make room on that disk") as problem:
            need_room(settings)
        assert str(problem.value).startswith(f"{folder}: ")


def test_a_disk_that_is_not_there_is_told_of_by_who_needs_it(
    configured: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(os, "statvfs", gone)
    need_room(load(None))
