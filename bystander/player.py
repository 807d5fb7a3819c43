"""Playing a recording through a program by pipe: it is never a file (R7).

However it ends, it is known how much of the recording the program took: what it was sent less what was taken
back out of the pipe. That is what the journal and the protocol say was heard (R14). The pipe is a page: what
a program may copy out of it without taking it is a fraction of a second.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from bystander.errors import UserError

#: Programs that play what they are given on standard input, in the order of preference.
PLAYERS: Final = (
    ("ffplay", "-nodisp", "-hide_banner", "-loglevel", "error", "-autoexit", "-i", "-"),
    ("mpv", "--no-terminal", "-"),
    ("aplay", "-q", "-"),
)
HEADER_BYTES: Final = 44
#: So far ahead of what is heard an installed player is fed: it would else take all of it at once.
AHEAD_S: Final = 2.0
_PIECE_S: Final = 0.25
_PIPE_BYTES: Final = 4096
_PATIENCE_S: Final = 3.0
_INTERRUPTIONS: Final = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
#: What a shell says of a command that is not there, or cannot be run.
_SHELL: Final = {126: "cannot be run", 127: "is not there"}


class Player:
    """A program that plays one WAV; :meth:`play` it once. ``heard_s`` is right at any time, also after it
    raised.

    ``command`` is a shell command that gets the WAV on standard input, as fast as it takes it; without one an
    installed player is looked for, and is fed as it plays. Raises UserError: there is none.
    """

    def __init__(self, command: str | None) -> None:
        self._command = command
        self._arguments = list(_installed()) if command is None else [command]
        self._sent = self._taken = 0
        self._rate = 1
        self._end_of_pipe: int | None = None
        self._pipe_bytes = 0

    @property
    def heard_s(self) -> float:
        """How many seconds the program took, in all."""
        return max(0.0, (self._taken - HEADER_BYTES) / self._rate)

    def play(self, wav: bytes, bytes_a_second: int) -> None:
        """Play a WAV until it ends, the program ends, or somebody interrupts. Raises UserError: it failed."""
        self._rate = bytes_a_second
        with _interruptible() as interruptions:
            process = self._start()
            try:
                interruptions.let()
                self._feed(process, memoryview(wav))
                status = process.wait()
                interruptions.held = True
            except KeyboardInterrupt:
                return  # whoever listens has heard enough
            finally:
                self._end(process)
        if status:
            raise UserError(f"the player {_fate(status)}; see --player")

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            if self._command is not None:
                return subprocess.Popen(self._command, shell=True, stdin=subprocess.PIPE)
            return subprocess.Popen(self._arguments, stdin=subprocess.PIPE)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UserError(f"{self._arguments[0]}: cannot start the player: {why}") from None

    def _feed(self, process: subprocess.Popen[bytes], wav: memoryview) -> None:
        """Write until all is written, or the program reads no more; then it sees the end."""
        assert process.stdin is not None
        pipe = process.stdin.fileno()
        os.set_blocking(pipe, False)
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._pipe_bytes = _size(pipe)
        paced = self._command is None
        piece = max(1, int(self._rate * _PIECE_S)) if paced else 1 << 16
        begun = time.monotonic()
        with suppress(BrokenPipeError):
            while self._sent < len(wav):
                ahead_s = self._sent / self._rate - (time.monotonic() - begun)
                if paced and ahead_s > AHEAD_S:
                    time.sleep(ahead_s - AHEAD_S)
                select.select([], [pipe], [])
                self._write(pipe, wav[self._sent : self._sent + piece])
        # Where the pipe is read, so that what is left in it can be told when nobody writes any more. Not
        # sooner: it would keep a program's end from being noticed.
        with suppress(OSError):
            self._end_of_pipe = os.open(f"/proc/self/fd/{pipe}", os.O_RDONLY | os.O_NONBLOCK)
        with suppress(OSError):
            process.stdin.close()

    def _write(self, pipe: int, part: memoryview) -> None:
        """Write what the pipe has room for; an interruption cannot come between writing and counting."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTIONS)
        try:
            self._sent += os.write(pipe, part)
        except BlockingIOError:
            pass
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End the program if it goes on, and take note of what it took."""
        assert process.stdin is not None
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        end = self._end_of_pipe
        if end is None and not process.stdin.closed:
            with suppress(OSError):
                end = os.open(f"/proc/self/fd/{process.stdin.fileno()}", os.O_RDONLY | os.O_NONBLOCK)
        self._taken = self._sent
        if end is not None:
            # Who made the pipe larger wanted to have more than can be known.
            if _size(end) == self._pipe_bytes:
                self._taken -= _taken_back(end)
            os.close(end)
            self._end_of_pipe = None
        with suppress(OSError):
            process.stdin.close()


def _size(pipe: int) -> int:
    """Return how many bytes a pipe can hold; 0 where the system does not tell."""
    with suppress(OSError):
        return fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
    return 0


def _taken_back(pipe: int) -> int:
    """Read what lies in a pipe, and return how much it was: what a program has left behind to go on reading
    gets none of it.
    """
    count = 0
    with suppress(OSError):
        while part := os.read(pipe, 1 << 16):
            count += len(part)
    return count


def _fate(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.strsignal(-status) or -status}"
    return _SHELL.get(status, f"ended with status {status}")


class _Interruptions:
    """Requests to end are like Ctrl-C, once; held back while a program is being started or ended.

    It would else be left to itself, and what it took would be known to nobody.
    """

    def __init__(self) -> None:
        self.held = True
        self._came = False

    def let(self) -> None:
        """Hold nothing back any more. Raises KeyboardInterrupt: something came."""
        self.held = False
        if self._came:
            self.held = True
            raise KeyboardInterrupt

    def take(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Take a signal."""
        if self.held:
            self._came = True
            return
        self.held = True
        raise KeyboardInterrupt


@contextmanager
def _interruptible() -> Iterator[_Interruptions]:
    """Let a request to end be like Ctrl-C: what was heard is still written down."""
    interruptions = _Interruptions()
    before = {
        number: handler
        for number in _INTERRUPTIONS
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }
    try:
        for number in before:
            signal.signal(number, interruptions.take)
    except ValueError:  # not the main thread
        yield interruptions
        return
    try:
        yield interruptions
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _installed() -> tuple[str, ...]:
    for candidate in PLAYERS:
        if shutil.which(candidate[0]):
            return candidate
    names = ", ".join(candidate[0] for candidate in PLAYERS)
    raise UserError(f"no player found ({names}); install one, or give --player COMMAND")
