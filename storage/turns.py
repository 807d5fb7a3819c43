"""One at a time: whoever has the lock of a folder changes what is in it; the others wait for their turn."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

PATIENCE_S: Final = 60.0


@asynccontextmanager
async def turn_at(folder: Path) -> AsyncIterator[None]:
    """Wait until nobody else has the folder's lock, in this process or another; it ends with the process.

    Raises OSError if the folder cannot be read, and of that BlockingIOError if another holds on to it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
