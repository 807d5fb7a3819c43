"""Why a file could not be used, for people: SQLite and the system have several names for a full disk."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import Final

#: With less than this SQLite can make neither a log nor the index of one beside its file.
_LEAST_BYTES: Final = 1 << 18


def reason(path: Path, error: Exception) -> str:
    """Return why a file could not be used, and what to do about a disk that is full.

    SQLite does not tell a read-only disk from a missing file; a full one, where it cannot even make the files
    beside its own, it calls an I/O error.
    """
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    number = error.errno if isinstance(error, OSError) else None
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return why
    if disk.f_flag & os.ST_RDONLY:
        return "Read-only file system"
    no_room = disk.f_bavail * disk.f_frsize < _LEAST_BYTES or (disk.f_files > 0 and disk.f_favail == 0)
    unable = no_room and code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    if number == errno.ENOSPC or code == sqlite3.SQLITE_FULL or unable:
        return f"{os.strerror(errno.ENOSPC)}; make room on that disk"
    if number == errno.EDQUOT:
        return f"{why}; make room within the quota"
    return why
