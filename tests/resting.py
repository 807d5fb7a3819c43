"""Whether a recorder that reads a pipe has done all that there was to do."""

from __future__ import annotations

import fcntl
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import IO

_LOOKS = 6


def took_all(process: subprocess.Popen[str], wire: IO[bytes]) -> bool:
    """Tell whether nothing is left in the pipe and every thread of the process waits, at each of some looks.

    A thread that has work and no processor to do it on does not wait: this holds on a busy machine, too.
    """
    for _ in range(_LOOKS):
        time.sleep(0.05)
        (left,) = struct.unpack("i", fcntl.ioctl(wire, termios.FIONREAD, bytes(4)))
        if left or not _waits(process.pid):
            return False
    return True


def _waits(pid: int) -> bool:
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:  # it has just ended
            return False
        if state != "S":
            return False
    return True
