"""What the daemon says, written by a thread of its own: who has stopped reading it never holds capture up.

A terminal that is paused, or a journal that is stuck, blocks whoever writes to it. Capture must not wait for
that: what does not fit into the queue is dropped, and how much is said as soon as somebody reads again.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Final

#: Lines that may wait: some minutes of a busy office.
MOST_WAITING: Final = 8192
#: How long the end of the program waits for what is still to be written.
_LAST_WORDS_S: Final = 2.0


class Saying(logging.Handler):
    """Hands lines to a thread, which gives them to ``write``; :meth:`end` waits a little for it.

    ``write`` is no handler of the logging package: those are locked while they write, and the program's end
    would wait for the lock of one that hangs.
    """

    def __init__(self, write: Callable[[str], object], most: int = MOST_WAITING) -> None:
        super().__init__()
        self._write = write
        self._waiting: queue.Queue[str | None] = queue.Queue(most)
        self.dropped = 0
        # A thread that hangs in a write must not keep the program from ending.
        self._thread = threading.Thread(target=self._work, name="saying", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line; never waits."""
        try:
            self._waiting.put_nowait(self.format(record))
        except queue.Full:
            self.dropped += 1

    def end(self) -> None:
        """Write what waits, or give up after a while."""
        try:
            self._waiting.put(None, timeout=_LAST_WORDS_S)
        except queue.Full:
            return
        self._thread.join(_LAST_WORDS_S)

    def _work(self) -> None:
        while (line := self._waiting.get()) is not None:
            self._write(line)
            if self.dropped:
                count, self.dropped = self.dropped, 0
                self._write(f"bystander: {count} lines were not written: nobody read them in time")


def begin() -> Saying:
    """Say what is logged on standard error, through a thread."""
    saying = Saying(_to_stderr)
    logging.basicConfig(format="%(message)s", level=logging.INFO, handlers=[saying])
    return saying


def _to_stderr(line: str) -> None:
    rest = memoryview(f"{line}\n".encode(errors="replace"))
    try:
        while rest:
            rest = rest[os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, rest) :]
    except (OSError, ValueError):
        pass  # nobody is there to hear it
