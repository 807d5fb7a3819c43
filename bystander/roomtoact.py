"""An act is begun only where there is room to end it: what the journal says was done, the index must be able
to hold, and the other way round.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from bystander.errors import UserError

if TYPE_CHECKING:
    from bystander.config import Config

#: What index, keyring and journal may grow by in one act, their logs included.
LEAST_BYTES: Final = 1 << 20


def need_room(settings: Config) -> None:
    """Refuse to begin where a disk of the vault is full, or nearly. Raises UserError.

    Not for erasing, which makes room and goes on where it was cut off, nor for the end of what has begun.
    """
    folders = [settings.recording.index.parent]
    if settings.vault is not None:
        folders += [settings.vault.keyring.parent, settings.vault.journal.parent]
    for folder in dict.fromkeys(folders):
        try:
            disk = os.statvfs(folder)
        except OSError:
            continue  # whoever opens what is in it says what is wrong
        if disk.f_bavail * disk.f_frsize < LEAST_BYTES:
            raise UserError(f"{folder}: {os.strerror(errno.ENOSPC)}; make room on that disk")
