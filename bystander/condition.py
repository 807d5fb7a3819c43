"""How the vault is doing, for the metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Condition:
    """What the metrics show of all this; times are ns UTC."""

    days_left: float | None = None
    overdue: int = 0
    held: int = 0
    erased: int = 0
    last_sweep_ns: int = 0
    sweep_refused: bool = False
    clock_trusted: bool = True
