"""The machine that the figures were measured on: no figure means much without it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.traffic import cache_directory

_FILES = 64
_MEMORY = Path("/dev/shm")
#: What the largest benchmark writes, and room to spare.
_ROOM_BYTES = 8 << 30


def output_directory(chosen: Path | None) -> Path:
    """Where the benchmarks write: as chosen, else in memory if there is room, else beside the captures.

    In memory the program is measured and not the disk, nor what earlier runs left behind on it.
    """
    folder = chosen
    if folder is None:
        roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
        folder = _MEMORY if roomy else cache_directory()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def file_cost_us(folder: Path) -> float:
    """What the file system takes to make an empty file, microseconds.

    It matters: ext4 will not use the inode of a file deleted in the last minute or five, and looks at every
    such inode before it finds another. Where thousands were just deleted a new file costs most of a
    millisecond.
    """
    with tempfile.TemporaryDirectory(dir=folder) as place:
        began = time.process_time()
        for number in range(_FILES):
            os.close(os.open(Path(place, str(number)), os.O_WRONLY | os.O_CREAT))
        return (time.process_time() - began) / _FILES * 1e6


def describe() -> str:
    """One line: processor, cores, memory, kernel, Python and numpy."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, load {os.getloadavg()[0]:.1f}"
    )
