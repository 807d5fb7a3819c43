"""A program at a terminal of its own, answered when it asks: passphrases are asked for nowhere else."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from collections.abc import Sequence
from pathlib import Path


def at_terminal(
    command: Sequence[str | Path], answers: Sequence[str], within_s: float = 40.0
) -> tuple[int, str]:
    """Run a program and answer each of its questions in turn; return its exit status and what it showed."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(str(command[0]), [str(part) for part in command])
    shown, asked = b"", b""
    left = list(answers)
    deadline = time.monotonic() + within_s
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break
            if not piece:
                break
            shown, asked = shown + piece, asked + piece
            if left and asked.rstrip().endswith((b":", b"?", b"]")):
                os.write(terminal, left.pop(0).encode() + b"\n")
                asked = b""
        else:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(terminal)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")
