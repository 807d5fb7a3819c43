"""What this room needs of the journal, which another room keeps: to write, and to look something up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Record(Protocol):
    """The journal, as an eraser sees it."""

    def append(self, act: str, actor: str, facts: Mapping[str, Any]) -> int:
        """Write an entry; return its number. On disk on return."""

    def has(self, act: str, **facts: Any) -> bool:
        """Return whether there is an entry of this act with these facts."""
