"""Fixtures of the scenes; what they are made of is in `scenery.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bystander.extract import extract

sys.path.insert(0, str(Path(__file__).resolve().parent))

from scenery import Line, Outcome, Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def line(scene: Scene) -> Line:
    """The one call of a scene."""
    return Line(scene)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Outcome]:
    """Put a scene through `extract`."""

    def run(scene: Scene, snap: int = 262144, **options: Any) -> Outcome:
        capture = tmp_path / "scene.pcap"
        capture.write_bytes(scene.pcap(snap))
        return Outcome(extract([capture], tmp_path / "out", **options), tmp_path / "out")

    return run
