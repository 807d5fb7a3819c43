"""When somebody wants the recorder to stop: a signal is noted from the first moment on, and heeded in order.

SIGTERM is a service manager's, SIGINT is Ctrl-C, SIGHUP comes when the terminal has gone (and is nobody's to
heed under nohup). A recorder that has begun to take up what an earlier process left is not cut off in it, nor
one that is finishing its calls by being told again.
"""

from __future__ import annotations

import signal
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_NUMBERS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopping:
    """Whether a stop was asked for, and who is told of it."""

    def __init__(self) -> None:
        self.asked = False
        self._tell: Callable[[], object] = lambda: None

    def tell(self, loop: AbstractEventLoop, stop: Callable[[], object]) -> None:
        """Have ``stop`` called on the loop when a stop is asked for; at once if it was."""

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stop)

        self._tell = tell
        if self.asked:
            stop()

    def note(self, *_: Any) -> None:
        """Take a signal, in the main thread between two of its instructions."""
        self.asked = True
        self._tell()


@contextmanager
def noted() -> Iterator[Stopping]:
    """Note the signals that ask for a stop, until the end of the block."""
    stopping = Stopping()
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]
    for number in before:
        signal.signal(number, stopping.note)
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
