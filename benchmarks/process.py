"""A whole process measured from outside: CPU time, wall time, the most memory it held."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: How often the peak of memory is read while the process runs.
_GLANCE_S = 0.05


@dataclass
class Measured:
    """What a process cost: wall and CPU seconds, peak of resident memory, exit status, its output."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    status: int
    output: str


def peak_of(pid: int) -> int:
    """The most resident memory a running process has held, bytes (``VmHWM``); 0 if it is gone.

    ``ru_maxrss`` is no use here: it starts from what the parent held when it forked.
    """
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def cpu_of(pid: int) -> float:
    """CPU seconds that a running process has used so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(
    command: Sequence[str | Path], *, core: int | None = None, environment: dict[str, str] | None = None
) -> Measured:
    """Run a command to its end, on one core if ``core`` is given, and measure it."""
    # Into a file: nobody reads a pipe before the end, and a full one would stop the command.
    said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (closed below)
    began = time.monotonic()
    child = subprocess.Popen(
        [*(["taskset", "-c", str(core)] if core is not None else []), *map(str, command)],
        stdout=said,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    peak = 0
    while True:
        done, status, usage = os.wait4(child.pid, os.WNOHANG)
        if done:
            break
        peak = max(peak, peak_of(child.pid))
        time.sleep(_GLANCE_S)
    wall_s = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    with said:
        said.seek(0)
        output = said.read()
    return Measured(wall_s, usage.ru_utime + usage.ru_stime, peak, child.returncode, output)


def last_core() -> int:
    """The core that measured processes run on; the first is left to everybody else."""
    return max(os.sched_getaffinity(0))
