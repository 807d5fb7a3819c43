"""What holds for every test: the program speaks English, and no machine is too slow for a test to pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from bystander import lang

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def in_english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    lang.prefer(None)
    yield
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    lang.prefer(None)
