"""R10, C20: killed at random moments, recording, sealing, sweeping, erasing; `make crash` does more."""

from __future__ import annotations

from pathlib import Path

from tests.crash import Crashes


def test_nothing_is_lost_and_nothing_survives(tmp_path: Path) -> None:
    crashes = Crashes(tmp_path, seed=259)
    for number in range(6):
        crashes.round(number)
    assert crashes.count >= 4
