"""Room for recordings (C19): what is within its term is never erased to make room, so room is watched."""

from __future__ import annotations

from typing import Final

#: Recording begins again only when there is a tenth more room than where it stopped: it must not flap.
_AGAIN: Final = 1.1
_DAY_S: Final = 86_400.0


def may_record(free_bytes: int, reserve_bytes: int, *, may_now: bool) -> bool:
    """Return whether new calls may be recorded; ``may_now`` is whether they may so far."""
    return free_bytes >= (reserve_bytes if may_now else reserve_bytes * _AGAIN)


def days_left(free_bytes: int, reserve_bytes: int, recorded_bytes: int, over_s: float) -> float | None:
    """Return in how many days the room is used up at the rate of the last days; None if there is no rate.

    ``recorded_bytes`` were recorded in the last ``over_s`` seconds, a week or as much as there is. Less than
    an hour says nothing about days.
    """
    if over_s < 3600.0 or recorded_bytes <= 0:
        return None
    return max(0, free_bytes - reserve_bytes) / (recorded_bytes / over_s * _DAY_S)
