"""Sealing beside capture: a process of its own makes a call's recording and seals it (R7).

The recording's private key exists in that process alone, and only until it has been sealed to the vault's
key. The process ends when there has been nothing to do for a moment, so that no memory that held a key
outlives the work. Should it be killed, the call is still in the spool, and is sealed again.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bystander.announcement import Check, check
from bystander.finish import Job, Written, evidence_with, mix
from bystander.storage.agefile import Sealed, seal_bytes, seal_stream
from bystander.storage.container import SUFFIX, Container, parts
from bystander.storage.identity import new_identity, recipient_text

_LENGTH: Final = struct.Struct("<Q")
_IDLE_S: Final = 2.0
_JOBS: Final = 500
_NICE: Final = 10
_TRIES: Final = 3


@dataclass(slots=True)
class SealOrder:
    """How to seal: to which vault, as what, with which evidence, and where unnamed files may be."""

    recipient: str
    container: Container
    evidence: bytes
    scratch: Path
    announcement: Check | None = None


@dataclass(slots=True)
class SealedCall:
    """A call as it was sealed. ``key_blob`` is the recording's private key, sealed to the vault's."""

    written: Written
    key_blob: bytes
    audio: Sealed | None
    evidence: Sealed
    evidence_path: Path


def seal(job: Job, order: SealOrder) -> SealedCall:
    """Make a call's recording and seal it, with its evidence, beside ``job.target``. Raises OSError.

    Both files appear whole or not at all; the paths are those of the sealed files.
    """
    identity = new_identity()
    recipient = recipient_text(identity)
    key_blob = seal_bytes(str(identity).encode("ascii"), order.recipient)
    written = Written()
    mixed = mix(job, written)
    audio = None
    if mixed is not None:
        path = job.target.with_suffix(SUFFIX[order.container] + ".age")
        content = parts(
            order.container, mixed.caller, mixed.callee, mixed.length, mixed.rate_hz, order.scratch
        )
        audio = seal_stream(content, path, recipient)
        written.path, written.sha256, written.size_bytes = path, audio.sha256, audio.size_bytes
        if order.announcement is not None:
            written.announcement = check(order.announcement, mixed, written)
    evidence_path = job.target.with_suffix(".pcap.age")
    evidence = seal_stream([evidence_with(order.evidence, job, written)], evidence_path, recipient)
    return SealedCall(written, key_blob, audio, evidence, evidence_path)


class Sealer:
    """The parent's side: starts the process when there is something to seal, again if it was killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def seal(self, job: Job, order: SealOrder) -> SealedCall:
        """Seal a call; waits until it is on disk. Raises OSError, also if the process is killed each time."""
        request = pickle.dumps((job, order), pickle.HIGHEST_PROTOCOL)
        with self._lock:
            for _ in range(_TRIES):
                answer = self._ask(request)
                if answer is not None:
                    break
            else:
                raise OSError(0, "the sealing process was killed each time")
        if isinstance(answer, SealedCall):
            return answer
        raise answer

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def reap(self) -> None:
        """Take note if the process has ended, as it does when there is nothing to do."""
        if self._lock.acquire(blocking=False):
            try:
                if self._process is not None and self._process.poll() is not None:
                    self._end()
            finally:
                self._lock.release()

    @property
    def pid(self) -> int | None:
        """The process's number, while there is one."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def _ask(self, request: bytes) -> Any:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from bystander.sealing import main; main()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # A terminal's Ctrl-C is for the recorder, which then waits for this to finish.
                start_new_session=True,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(_LENGTH.pack(len(request)) + request)
            self._process.stdin.flush()
            (length,) = _LENGTH.unpack(self._process.stdout.read(_LENGTH.size))
            return pickle.loads(self._process.stdout.read(length))
        except (OSError, EOFError, struct.error, pickle.UnpicklingError):
            self._end()
            return None

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass
        process.wait()


def main() -> None:
    """Seal what standard input asks for, until it ends or is silent."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    try:
        os.nice(_NICE)
    except OSError:
        pass  # a service may not be allowed to; sealing goes on, less politely
    for _ in range(_JOBS):
        if not select.select([0], [], [], _IDLE_S)[0]:
            return
        header = _read(_LENGTH.size)
        if len(header) < _LENGTH.size:
            return
        (length,) = _LENGTH.unpack(header)
        request = _read(length)
        if len(request) < length:
            return
        answer: SealedCall | OSError
        try:
            answer = seal(*pickle.loads(request))
        except OSError as error:
            answer = error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told where the call is tried again
            answer = OSError(0, f"sealing failed: {type(error).__name__}: {error}")
        packed = pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
        left = memoryview(_LENGTH.pack(len(packed)) + packed)
        while left:
            left = left[os.write(1, left) :]


def _read(length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        piece = os.read(0, min(1 << 20, length - len(found)))
        if not piece:
            break
        found += piece
    return bytes(found)
