"""Finished calls are written beside capture: a worker thread with a queue.

Capture never waits here: the queue takes every call, and what waits in it lies in the spool. A capture file
is read no faster than its calls are written (`Writer.keep_pace`); a live mirror cannot be told to wait, so
there the queue is as long as the disk is slow, and has a gauge and an alert.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

_Call = TypeVar("_Call")

#: Reading a file pauses while so many calls wait.
ENOUGH: Final = 256
_PACE_S: Final = 0.005


class Writer(Generic[_Call]):
    """Does ``work`` on one call after another, in its thread; what ``work`` raises is raised again by us."""

    def __init__(
        self, work: Callable[[_Call], None], *, observe: Callable[[float], None] | None = None
    ) -> None:
        self._do = work
        self._observe = observe
        self._queue: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Calls waiting to be written."""
        return self._queue.qsize()

    def submit(self, call: _Call) -> None:
        """Queue a call; raises what ``work`` raised, if it did."""
        self._check()
        self._queue.put(call)

    def keep_pace(self) -> None:
        """Wait while many calls wait to be written: for whoever reads a file, not for a live mirror."""
        while self._queue.qsize() > ENOUGH and self._failed is None:
            time.sleep(_PACE_S)

    def close(self) -> None:
        """Wait until everything queued is written."""
        self._queue.put(None)
        self._thread.join()
        self._check()

    def _check(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            if self._failed is not None:
                continue
            began = time.monotonic()
            try:
                self._do(call)
            except BaseException as error:  # noqa: BLE001 - it is raised again where the work was submitted
                self._failed = error
            if self._observe is not None:
                self._observe(time.monotonic() - began)
