"""The process itself: limits and the collector of garbage."""

from __future__ import annotations

import gc
import resource


def prepare_process() -> None:
    """Set up a process for recording: room for open files, and a garbage collector that keeps out of the way.

    Thousands of calls are millions of live objects; the collector's default looks through them all the time.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
