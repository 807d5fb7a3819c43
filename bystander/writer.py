"""Finished calls are written beside capture: a worker thread with a bounded queue.

Decoding, hashing and writing release Python's lock for nearly all of their time, so capture goes on. When the
queue is full whoever submits waits: a file is then read more slowly, and a live ring has its own seconds of
room. No call is ever dropped here.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from bystander.finish import Written, finish
from bystander.finished import Finished

_QUEUE = 256

#: (call, what was written or None, why not or None)
Done = Callable[[Finished, Written | None, OSError | None], None]


class Writer:
    """Writes recordings one after another; ``done`` is called in the worker thread."""

    def __init__(self, done: Done, *, observe: Callable[[float], None] | None = None) -> None:
        self._done = done
        self._observe = observe
        self._queue: queue.Queue[Finished | None] = queue.Queue(_QUEUE)
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Calls waiting to be written."""
        return self._queue.qsize()

    def submit(self, call: Finished) -> None:
        """Queue a call; raises what ``done`` raised, if it did."""
        self._check()
        self._queue.put(call)

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
                try:
                    written = finish(call.job)
                except OSError as error:
                    self._done(call, None, error)
                else:
                    self._done(call, written, None)
            except BaseException as error:  # noqa: BLE001 - it is raised again where the work was submitted
                self._failed = error
            if self._observe is not None:
                self._observe(time.monotonic() - began)
