"""What holds for every test: the program speaks English, whatever the locale of whoever runs the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bystander import lang


@pytest.fixture(autouse=True)
def in_english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    lang.prefer(None)
    yield
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    lang.prefer(None)
