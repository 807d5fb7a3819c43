"""The process itself: limits, the collector of garbage, and that there is one recorder to a spool."""

from __future__ import annotations

import fcntl
import gc
import os
import resource
from pathlib import Path

from bystander.errors import UserError


def prepare_process() -> None:
    """Set up a process for recording: room for open files, and a garbage collector that keeps out of the way.

    Thousands of calls are millions of live objects; the collector's default looks through them all the time.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    gc.freeze()
    collect_rarely()


def collect_rarely() -> None:
    """Keep the collector from looking again and again through what is made to stay, as modules are."""
    gc.set_threshold(200_000, 20, 100)


def lock_spool(spool: Path) -> int:
    """Make the spool ours until the returned descriptor is closed; raises UserError.

    Two recorders in one spool would tear each other's calls apart.
    """
    try:
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(spool / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UserError(f"{spool}: cannot use the spool: {error.strerror}; see [recording] spool") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise UserError(f"{spool}: another recorder is using this spool; stop it first") from None
    return lock
