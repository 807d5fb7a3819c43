"""Times as people write and read them: dates and hours in the office's zone, or spans back from now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from bystander.errors import UserError

_SPAN = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(text: str, zone: tzinfo | None, now: datetime, *, end: bool = False) -> datetime:
    """Understand a time: `2026-11-23`, `2026-11-23 20:46`, RFC 3339, `20:46`, `today`, `yesterday`, `2h`,
    `3d`.

    A time without an offset is in `zone` (None: the machine's); a span is counted back from `now`; a date
    means its beginning, or with `end` the beginning of the next day. Raises UserError.
    """
    said = text.strip().lower()
    here = now.astimezone(zone)
    try:
        if span := _SPAN.fullmatch(said):
            return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
        if said in ("today", "yesterday") or re.fullmatch(r"\d{4}-\d\d-\d\d", said):
            day = here.date() - timedelta(days=said == "yesterday")
            if said[0].isdigit():
                day = datetime.fromisoformat(said).date()
            day += timedelta(days=end)
            return _at(datetime(day.year, day.month, day.day), zone)  # noqa: DTZ001  (_at gives it its zone)
        if re.fullmatch(r"\d\d:\d\d(:\d\d)?", said):
            said = f"{here:%Y-%m-%d} {said}"
        return _at(datetime.fromisoformat(said.upper()), zone)
    except (ValueError, OverflowError, OSError):
        raise UserError(
            f"{text!r}: not a time; write it as 2026-11-23, '2026-11-23 20:46', yesterday, or 2h (hours ago)"
        ) from None


def _at(time: datetime, zone: tzinfo | None) -> datetime:
    if time.tzinfo is not None:
        return time
    return time.astimezone() if zone is None else time.replace(tzinfo=zone)


def to_ns(time: datetime) -> int:
    """Return a time as integer nanoseconds UTC."""
    since = time - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def from_ns(time_ns: int) -> datetime:
    """Return integer nanoseconds UTC as a time in UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def length(seconds: float) -> str:
    """Return a duration as people read it: `0:20`, `1:02:03`."""
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
