"""Playing a recording through a program by pipe: it is never a file (R7)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress
from typing import Final

from bystander.errors import UserError

#: Programs that play what they are given on standard input, in the order of preference.
PLAYERS: Final = (
    ("ffplay", "-hide_banner", "-loglevel", "error", "-autoexit", "-i", "-"),
    ("mpv", "--no-terminal", "-"),
    ("aplay", "-q", "-"),
)
_HEADER_BYTES: Final = 44
#: So far ahead of what is heard a player is fed: the protocol says up to where somebody listened.
_AHEAD_S: Final = 2.0
_PIECE_S: Final = 0.25


def play(wav: bytes, command: str | None, bytes_a_second: int) -> tuple[float, int]:
    """Play a WAV; return how many seconds of it were given to the player, however that ended, and its exit
    status.

    ``command`` is a shell command that gets the WAV on standard input, as fast as it takes it; without one an
    installed player is looked for, and is fed as it plays. Raises UserError: no player.
    """
    arguments = [command] if command is not None else list(_installed())
    try:
        process = subprocess.Popen(
            arguments[0] if command is not None else arguments,
            shell=command is not None,
            stdin=subprocess.PIPE,
        )
    except OSError as error:
        raise UserError(f"{arguments[0]}: cannot start the player: {error.strerror}") from None
    feed = _Feed(process, wav, bytes_a_second, paced=command is None)
    try:
        feed.run()
        status = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        status = 0
    return max(0.0, (min(feed.given, len(wav)) - _HEADER_BYTES) / bytes_a_second), status


class _Feed:
    """The WAV on its way into the player's pipe; ``given`` is how many bytes it took so far."""

    def __init__(
        self, process: subprocess.Popen[bytes], wav: bytes, bytes_a_second: int, *, paced: bool
    ) -> None:
        self._process = process
        self._wav = memoryview(wav)
        self._rate = bytes_a_second
        self._paced = paced
        self.given = 0

    def run(self) -> None:
        """Write until all is written, or whoever listens has heard enough."""
        assert self._process.stdin is not None
        pipe = self._process.stdin.fileno()
        piece = max(1, int(self._rate * _PIECE_S)) if self._paced else 1 << 16
        begun = time.monotonic()
        try:
            while self.given < len(self._wav):
                ahead_s = self.given / self._rate - (time.monotonic() - begun)
                if self._paced and ahead_s > _AHEAD_S:
                    time.sleep(ahead_s - _AHEAD_S)
                self.given += os.write(pipe, self._wav[self.given : self.given + piece])
        except BrokenPipeError:
            pass
        finally:
            with suppress(BrokenPipeError):
                self._process.stdin.close()


def _installed() -> tuple[str, ...]:
    for candidate in PLAYERS:
        if shutil.which(candidate[0]):
            return candidate
    names = ", ".join(candidate[0] for candidate in PLAYERS)
    raise UserError(f"no player found ({names}); install one, or give --player COMMAND")
