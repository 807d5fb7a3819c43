"""What holds for every test: the program speaks English, no machine is too slow for a test to pass, and it
makes no difference how the tests are started."""

from __future__ import annotations

import gc
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from bystander import lang

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# Begun in the background or under nohup, the tests would ignore these, and so would all that they start.
for _number, _default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _default)


@pytest.fixture(autouse=True)
def in_english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    lang.prefer(None)
    yield
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    lang.prefer(None)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Give back what pipelines of earlier tests held. They are circles of few objects with large arrays, of
    which the collector sees the number only; commands run within the tests make it slower still."""
    global _collected_at
    if (held := _resident_bytes()) > _collected_at + _MAY_GROW_BYTES:
        gc.unfreeze()
        gc.collect()
        _collected_at = min(held, _resident_bytes())


_MAY_GROW_BYTES = 256 << 20


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


_collected_at = _resident_bytes()
