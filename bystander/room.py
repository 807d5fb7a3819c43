"""Room on the disks (C19): when there is none for new calls, those in progress go on, and capture too."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from bystander.config import Config
from bystander.retention.space import may_record


@dataclass(slots=True)
class Shortage:
    """A time in which new calls were not recorded, ns UTC; open while ``end_ns`` is None."""

    begin_ns: int
    end_ns: int | None = None


class Room:
    """Looks at the disks of recordings, spool and index, and remembers when they were too full."""

    def __init__(self, config: Config) -> None:
        recording = config.recording
        self._folders = (recording.directory, recording.spool, recording.index.parent)
        self.reserve_bytes = config.space.reserve_mb << 20
        self._shortages: deque[Shortage] = deque(maxlen=1024)
        self.bytes_free = 0

    @property
    def short_since_ns(self) -> int | None:
        """Since when there is no room for new calls; None while there is."""
        last = self._shortages[-1] if self._shortages else None
        return last.begin_ns if last is not None and last.end_ns is None else None

    def look(self, now_ns: int) -> bool:
        """Look at the disks; return whether it has changed whether new calls are recorded."""
        free = [room for room in map(_free_bytes, self._folders) if room is not None]
        if not free:
            return False
        self.bytes_free = min(free)
        short = self.short_since_ns is not None
        if may_record(self.bytes_free, self.reserve_bytes, may_now=not short) is not short:
            return False
        if short:
            self._shortages[-1].end_ns = now_ns
        else:
            self._shortages.append(Shortage(now_ns))
        return True

    def was_short(self, at_ns: int) -> bool:
        """Tell whether there was no room for a call that began then."""
        return any(
            shortage.begin_ns <= at_ns and (shortage.end_ns is None or at_ns < shortage.end_ns)
            for shortage in self._shortages
        )


def _free_bytes(folder: Path) -> int | None:
    """Return the bytes that are free where a folder is, or will be."""
    for place in (folder, *folder.parents):
        try:
            room = os.statvfs(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return room.f_bavail * room.f_frsize
    return None
