"""What a look at a mirror comes to: one thing that is to be said of it, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bystander.lang import said

Level = Literal["fault", "warning", "note", "good"]
#: In the order of urgency.
LEVELS: Final[tuple[Level, ...]] = ("fault", "warning", "note", "good")
#: Of so few packets or checksums nothing is concluded.
FEW: Final = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """``fault``: recordings are or will be incomplete; ``warning``: they may be; ``note``: good to know.

    Text and advice are English, and remember what they were made of (`lang.py`).
    """

    level: Level
    code: str
    text: str
    advice: str = ""


def some(names: Sequence[str], most: int = 5) -> str:
    """Name some things, and how many more there are."""
    listed = ", ".join(names[:most])
    more = len(names) - most
    return said("{listed} and {more} more", listed=listed, more=more) if more > 0 else listed
