from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vaultkit import Kit, make


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Kit]:
    """An empty vault."""
    kit = make(tmp_path / "vault")
    yield kit
    kit.keyring.close()
