"""The guard against a clock that is wrong: no recording is erased because somebody set the year forward.

Trusted time is the latest time that the clock came to by steady steps. A running recorder moves it on every
minute. A clock that leaps, in either direction, leaves it where it was, and while clock and trusted time are
further apart than the bound, nothing is erased until a person says that the clock is right.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from bystander.storage.digest import refresh
from bystander.storage.index import Index

_S: Final = 1_000_000_000
#: On the same boot, the clock may be off by this from the time that has passed: corrections, and suspends.
_LEAP_NS: Final = 600 * _S
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Reading:
    """The clocks read together: the wall's in ns UTC, and the time since the machine's start, by boot."""

    wall_ns: int
    boot_ns: int
    boot_id: str

    @classmethod
    def now(cls) -> Self:
        """Read the clocks."""
        try:
            boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            boot_id = ""
        return cls(time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME), boot_id)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the clock may be believed; if not, why, in one line."""

    ok: bool
    why: str = ""


def is_steady(trusted: Reading, now: Reading, bound_ns: int) -> bool:
    """Return whether the clock came from trusted time to now by a steady step."""
    step_ns = now.wall_ns - trusted.wall_ns
    if not 0 <= step_ns <= bound_ns:
        return False
    return not _leapt(trusted, now)


def judge(
    trusted: Reading | None, newest_ns: int | None, now: Reading, bound_ns: int, *, what_next: str
) -> Verdict:
    """Return whether erasing by this clock is safe.

    ``newest_ns`` is the newest thing recorded or journalled, for a vault without trusted time: a new one, or
    one put back from a copy. ``what_next`` says what a person does when the clock is right.
    """
    known_ns = trusted.wall_ns if trusted is not None else newest_ns
    if known_ns is None:
        return Verdict(True)
    ahead_ns = now.wall_ns - known_ns
    leapt = trusted is not None and _leapt(trusted, now)
    if -_LEAP_NS <= ahead_ns <= bound_ns and not leapt:
        return Verdict(True)
    how = "set back" if ahead_ns < 0 else "set forward" if leapt else "ahead, or the recorder was long off"
    return Verdict(
        False,
        f"the clock says {_text(now.wall_ns)}, the vault's last known time is {_text(known_ns)} ({how}): "
        f"nothing is erased; {what_next}",
    )


def term_begins_ns(recorded_ns: int, trusted: Reading | None, now_ns: int) -> int:
    """Return from when the term of a call just recorded counts.

    While the clock is behind trusted time, from trusted time: a term that began a year ago would be over at
    once when the clock is put right.
    """
    if trusted is not None and now_ns < trusted.wall_ns - _LEAP_NS:
        return max(recorded_ns, trusted.wall_ns)
    return recorded_ns


async def trusted_time(index: Index) -> Reading | None:
    """Return trusted time as the index keeps it; None for a vault that has none yet."""
    rows = await index.rows("SELECT wall_ns, boot_ns, boot_id FROM clock")
    return Reading(*rows[0]) if rows else None


async def newest_recording_ns(index: Index) -> int | None:
    """Return when the newest call began, ns UTC."""
    rows = await index.rows("SELECT max(started_ns) FROM calls")
    newest: int | None = rows[0][0]
    return newest


async def observe(index: Index, now: Reading, bound_ns: int) -> bool:
    """Move trusted time on, if the clock came here by a steady step; return whether it did."""
    trusted = await trusted_time(index)
    if trusted is not None and not is_steady(trusted, now, bound_ns):
        return False
    if trusted is None:
        newest_ns = await newest_recording_ns(index)
        if newest_ns is not None and not judge(None, newest_ns, now, bound_ns, what_next="").ok:
            return False
    await confirm(index, now)
    return True


async def confirm(index: Index, now: Reading) -> None:
    """Make now the trusted time: a person says that the clock is right."""
    async with index.transaction() as connection:
        await connection.execute(
            "INSERT INTO clock (one, wall_ns, boot_ns, boot_id) VALUES (1, ?, ?, ?) "
            "ON CONFLICT (one) DO UPDATE SET wall_ns = excluded.wall_ns, boot_ns = excluded.boot_ns, "
            "boot_id = excluded.boot_id",
            [now.wall_ns, now.boot_ns, now.boot_id],
        )
        await connection.execute(refresh("clock", "true"))


def _leapt(trusted: Reading, now: Reading) -> bool:
    if not now.boot_id or trusted.boot_id != now.boot_id:
        return False
    passed_ns = now.boot_ns - trusted.boot_ns
    return abs(now.wall_ns - trusted.wall_ns - passed_ns) > _LEAP_NS


def _text(time_ns: int) -> str:
    try:
        return f"{datetime.fromtimestamp(time_ns // _S, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{time_ns // _S} s"
