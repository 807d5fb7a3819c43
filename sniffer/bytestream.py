"""The bytes of a capture file in order, plain or gzip, read into a buffer of the caller's."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

# Small steps: what the step before the damage held is all that a damaged file loses besides.
_COMPRESSED_BYTES = 1 << 16
_UNPACKED_BYTES = 1 << 16
GZIP_MAGIC = b"\x1f\x8b"


class ByteStream:
    """A file as a stream of bytes; gzip, told by its magic, is unpacked as it is read, member after member.

    ``consumed_bytes`` counts what was read of the file itself (compressed, if it is), ``problem`` says what
    was wrong with the compressed data: the stream then ends there, as at the end of the file.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``. Raises OSError."""
        self._file = io.FileIO(path)
        self.consumed_bytes = 0
        self.problem = ""
        self._unpack = None
        self._input = b""
        try:
            # A pipe may hand the two bytes over one by one.
            while len(self._input) < len(GZIP_MAGIC) and (
                more := self._file.read(len(GZIP_MAGIC) - len(self._input))
            ):
                self._input += more
        except OSError:
            self._file.close()
            raise
        self.consumed_bytes = len(self._input)
        self.compressed = self._input == GZIP_MAGIC
        if self.compressed:
            self._unpack = zlib.decompressobj(wbits=31)

    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer``; return how many bytes were there, fewer only at the end. Raises OSError."""
        have = 0
        while have < len(buffer):
            got = self._unpacked(buffer[have:]) if self.compressed else self._plain(buffer[have:])
            if got == 0:
                break
            have += got
        return have

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _plain(self, buffer: memoryview) -> int:
        if self._input:
            size = min(len(self._input), len(buffer))
            buffer[:size] = self._input[:size]
            self._input = self._input[size:]
            return size
        size = self._file.readinto(buffer) or 0
        self.consumed_bytes += size
        return size

    def _unpacked(self, buffer: memoryview) -> int:
        while self._unpack is not None:
            if not self._input:
                self._input = self._file.read(_COMPRESSED_BYTES) or b""
                self.consumed_bytes += len(self._input)
            ended = not self._input
            try:
                output = self._unpack.decompress(self._input, min(len(buffer), _UNPACKED_BYTES))
            except zlib.error as error:
                return self._end(f"its gzip data is damaged ({error})")
            self._input = self._unpack.unconsumed_tail
            if self._unpack.eof:
                # Another member may follow; anything else behind the last one is padding.
                self._input = self._unpack.unused_data.lstrip(b"\0")
                while len(self._input) < len(GZIP_MAGIC) and (more := self._file.read(_COMPRESSED_BYTES)):
                    self.consumed_bytes += len(more)
                    self._input = (self._input + more).lstrip(b"\0")
                more_follows = self._input.startswith(GZIP_MAGIC)
                self._unpack = zlib.decompressobj(wbits=31) if more_follows else None
            if output:
                buffer[: len(output)] = output
                return len(output)
            if ended:
                return self._end("its gzip data ends too early")
        return 0

    def _end(self, problem: str) -> int:
        self.problem = problem
        self._unpack = None
        return 0
