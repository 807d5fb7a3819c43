"""Capture files as a source of frames: pcap and pcapng, plain or gzip, several of them in order of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.bytestream import ByteStream
from bystander.sniffer.errors import CaptureError
from bystander.sniffer.frames import LINKTYPES_READ, PAD, Frames
from bystander.sniffer.pcap import PcapParser, is_pcap
from bystander.sniffer.pcapng import PcapngParser, is_pcapng
from bystander.sniffer.records import MAX_CAPTURED, Batch, join

#: Bytes read at a time, which makes a block. Large enough that the cost of a numpy call is spread over some
#: ten thousand frames, small enough to stay in the processor's cache.
CHUNK_BYTES = 1 << 22
# The longest record has to fit.
_SMALLEST_CHUNK = MAX_CAPTURED + (1 << 17)
_HEAD_BYTES = 64
#: Link types that are told of one by one.
_MOST_FOREIGN = 16
_SHORTEST_BYTES = 24

_FOREIGN = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zX": "xz",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "lz4",
}


class _File:
    """One capture file, read piece by piece into a region of a buffer.

    It ends at the end of the file or at the first damage, which it notes in ``problems``.
    """

    def __init__(self, path: Path, problems: list[str]) -> None:
        """Open the file and look at its head. Raises CaptureError."""
        self.path = path
        self._problems = problems
        try:
            self._stream = ByteStream(path)
        except OSError as error:
            raise CaptureError(_cannot_open(path, error)) from None
        try:
            head = bytearray(_HEAD_BYTES)
            self._rest = bytes(head[: self._stream.readinto(memoryview(head))])
            self._parser = _parser(self._rest, self._stream)
        except CaptureError as error:
            self._stream.close()
            raise CaptureError(f"cannot read {path}: {error}") from None
        except OSError as error:
            self._stream.close()
            raise CaptureError(_cannot_open(path, error)) from None
        self._position = 0  # in the (unpacked) file, of the first byte of _rest
        self._ended = False

    @property
    def consumed_bytes(self) -> int:
        """Bytes read so far of the file as it lies on the disk."""
        return self._stream.consumed_bytes

    def next_batch(self, data: NDArray[np.uint8], start: int, stop: int) -> Batch | None:
        """Read on into ``data[start:stop]``; return the frames there, at least one, or None at the end.

        What the last call returned is overwritten.
        """
        while not self._ended:
            have = start + len(self._rest)
            data.data[start:have] = self._rest
            wanted = stop - have
            try:
                got = self._stream.readinto(data.data[have:stop])
            except OSError as error:
                got = 0
                self._note(
                    f"cannot be read any further ({error.strerror or error}); what came before is used"
                )
            self._ended = got < wanted
            have += got
            parsed = self._parser.parse(data, start, have)
            self._position += parsed.end - start
            self._rest = data[parsed.end : have].tobytes()
            if parsed.damage:
                self._note(f"damaged at byte {self._position}: {parsed.damage}; what came before is used")
                self._ended = True
            elif parsed.skip and not self._ended:
                self._pass_over(parsed.skip, stop - start)
            elif self._ended:
                self._note_end()
            if len(parsed.batch):
                return parsed.batch
        return None

    def close(self) -> None:
        """Close the file, with a note of what was left out of it."""
        self._stream.close()
        malformed = self._parser.malformed
        if malformed:
            self._note(f"{malformed} malformed packet blocks left out")
            self._parser.malformed = 0

    def _pass_over(self, size: int, piece_bytes: int) -> None:
        """Read past a block that is larger than the buffer and holds no frame."""
        left = size - len(self._rest)
        self._rest = b""
        self._position += size
        while left > 0 and not self._ended:
            # The frames of this piece still lie before the block: read behind them, in a buffer of its own.
            scratch = bytearray(min(left, piece_bytes))
            got = self._stream.readinto(memoryview(scratch))
            left -= got
            self._ended = got < len(scratch)
        if left > 0:
            self._note("cut in the middle of a block; what came before is used")

    def _note_end(self) -> None:
        if self._stream.problem:
            self._note(f"{self._stream.problem}; what came before is used")
        elif self._rest:
            self._note(f"cut in the middle of a record at byte {self._position}; what came before is used")

    def _note(self, problem: str) -> None:
        self._problems.append(f"{self.path}: {problem}")


class _Turn:
    """A file that is being read, in the merge: its frames not handed over yet."""

    def __init__(self, file: _File, rank: int, start: int, stop: int) -> None:
        self.file = file
        self.rank = rank
        self.start = start
        self.stop = stop
        self.batch: Batch | None = None
        self.at = 0
        self.keys = np.empty(0, np.int64)
        self._latest_ns = np.iinfo(np.int64).min

    def refill(self, data: NDArray[np.uint8]) -> bool:
        """Make sure that there are frames; False at the end of the file."""
        if self.at < len(self.keys):
            return True
        self.batch = self.file.next_batch(data, self.start, self.stop)
        if self.batch is None:
            return False
        self.at = 0
        # A frame whose time runs backwards is due at once, behind the one before it: order within a file
        # stays.
        self.keys = np.maximum.accumulate(self.batch.time_ns)
        np.maximum(self.keys, self._latest_ns, out=self.keys)
        self._latest_ns = int(self.keys[-1])
        return True


class CaptureFiles:
    """Frames of one or several capture files, in order of time: a ``CaptureSource``.

    Files that follow one another (a rotated capture) are opened one after the other, each when its first
    frame is due; files that overlap are merged exactly, equal times in the order in which the files were
    named. Within a file frames keep their order, even where time runs backwards.

    ``problems``          one line for a person about each file that is cut or damaged, and each link
                          type that nothing here reads
    ``frames``, ``bytes`` handed over so far (bytes: captured)
    ``truncated_frames``  of these, captured shorter than they were on the wire
    """

    def __init__(self, paths: Sequence[Path], chunk_bytes: int = CHUNK_BYTES) -> None:
        """Open or look into every file. Raises CaptureError."""
        self.problems: list[str] = []
        self.frames = 0
        self.bytes = 0
        self.truncated_frames = 0
        self._chunk_bytes = max(chunk_bytes, _SMALLEST_CHUNK)
        self._data = np.empty(0, np.uint8)
        self._free: list[int] = []
        self._turns: list[_Turn] = []
        self._total_bytes = 0
        self._done_bytes = 0
        self._foreign: set[int] = set()
        self._only: _File | None = None
        self._waiting: deque[tuple[int, int, Path]] = deque()
        if len(paths) == 1:  # kept open: it may be a pipe
            self._only = _File(paths[0], self.problems)
            self._waiting.append((0, 0, paths[0]))
        else:
            first_ns = [_first_ns(path) for path in paths]
            order = sorted(range(len(paths)), key=lambda rank: (first_ns[rank], rank))
            self._waiting.extend((first_ns[rank], rank, paths[rank]) for rank in order)
        self._total_bytes = sum(_size_bytes(path) for path in paths)

    def __enter__(self) -> CaptureFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for turn in self._turns:
            self._finish(turn)
        self._turns = []
        self._waiting.clear()
        if self._only is not None:
            self._only.close()
            self._only = None

    def progress(self) -> tuple[int, int]:
        """Bytes read so far of the files as they lie on the disk, and their sum (0 for pipes)."""
        return self._done_bytes + sum(turn.file.consumed_bytes for turn in self._turns), self._total_bytes

    def blocks(self) -> Iterator[Frames]:
        """Yield blocks of frames, each of one link type, to the end of the last file.

        A block is valid until the next one is asked for. Raises CaptureError where a file that is to be read
        next has gone or changed meanwhile.
        """
        while True:
            self._refill()
            if not self._turns:
                if not self._waiting:
                    return
                self._start_next()
                continue
            # Up to where the order is certain: the file whose frames here end first may go on right after.
            first = min(self._turns, key=lambda turn: (turn.keys[-1], turn.rank))
            limit = int(first.keys[-1])
            if self._waiting and self._waiting[0][0] <= limit:
                self._start_next()
                continue
            batch = self._due(limit, first.rank)
            for frames in _by_linktype(self._data, batch):
                self.frames += len(frames)
                self.bytes += int(frames.captured.sum())
                self.truncated_frames += int(np.count_nonzero(frames.length > frames.captured))
                if frames.linktype not in LINKTYPES_READ:
                    self._note_foreign(frames.linktype)
                yield frames

    def _note_foreign(self, linktype: int) -> None:
        if linktype not in self._foreign and len(self._foreign) < _MOST_FOREIGN:
            self._foreign.add(linktype)
            paths = ", ".join(str(turn.file.path) for turn in self._turns)
            self.problems.append(
                f"{paths}: frames of link type {linktype} are not read; capture on Ethernet, or on 'any'"
            )

    def _refill(self) -> None:
        ended = [turn for turn in self._turns if not turn.refill(self._data)]
        if ended:
            self._turns = [turn for turn in self._turns if turn not in ended]
            for turn in ended:
                self._finish(turn)

    def _finish(self, turn: _Turn) -> None:
        turn.file.close()
        self._done_bytes += turn.file.consumed_bytes
        self._free.append(turn.start)

    def _start_next(self) -> None:
        """Open the file that is due next, with a region of the buffer of its own."""
        _, rank, path = self._waiting.popleft()
        file, self._only = self._only or _File(path, self.problems), None
        if not self._free:
            start = len(self._data)
            # The frames that other files have waiting move with the buffer: their offsets stay true.
            self._data = np.concatenate((self._data, np.zeros(self._chunk_bytes + PAD, np.uint8)))
            self._free.append(start)
        start = self._free.pop()
        self._turns.append(_Turn(file, rank, start, start + self._chunk_bytes))
        self._turns.sort(key=lambda turn: turn.rank)

    def _due(self, limit_ns: int, rank: int) -> Batch:
        """Take the frames before ``limit_ns``, and at it those of files up to ``rank``, in order of time."""
        parts: list[Batch] = []
        keys: list[NDArray[np.int64]] = []
        for turn in self._turns:
            assert turn.batch is not None
            to = int(np.searchsorted(turn.keys, limit_ns, "right" if turn.rank <= rank else "left"))
            if to > turn.at:
                parts.append(turn.batch if to - turn.at == len(turn.batch) else turn.batch[turn.at : to])
                keys.append(turn.keys[turn.at : to])
                turn.at = to
        if len(parts) == 1:
            return parts[0]
        return join(parts)[np.argsort(np.concatenate(keys), kind="stable")]


def open_captures(paths: Sequence[Path], chunk_bytes: int = CHUNK_BYTES) -> CaptureFiles:
    """Open capture files as one source of frames. ``chunk_bytes``: bytes read at a time, per file.

    Raises CaptureError, one line, for a file that is missing, empty, foreign, or may not be read.
    """
    return CaptureFiles(paths, chunk_bytes)


def _first_ns(path: Path) -> int:
    """Time of the first frame of a file; of one without frames the earliest there is. Raises CaptureError."""
    file = _File(path, [])
    try:
        batch = file.next_batch(np.zeros(_SMALLEST_CHUNK + PAD, np.uint8), 0, _SMALLEST_CHUNK)
    finally:
        file.close()
    return int(batch.time_ns[0]) if batch is not None else np.iinfo(np.int64).min


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _cannot_open(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"cannot read {path}: no such file"
    if isinstance(error, IsADirectoryError):
        return f"cannot read {path}: it is a directory; name the capture files in it"
    if isinstance(error, PermissionError):
        return f"cannot read {path}: permission denied; its owner or root can read it"
    return f"cannot read {path}: {error.strerror or error}"


def _parser(head: bytes, stream: ByteStream) -> PcapParser | PcapngParser:
    """The parser for a file that begins with ``head``. Raises CaptureError (without the file's name)."""
    if len(head) < _SHORTEST_BYTES and stream.problem:
        raise CaptureError(stream.problem)
    if not head:
        raise CaptureError(
            "it is empty (0 bytes)" if not stream.compressed else "it is empty (gzip of nothing)"
        )
    if is_pcap(head):
        return PcapParser(head)
    if is_pcapng(head):
        return PcapngParser(head)
    packer = next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), "")
    hint = (
        f"it is packed with {packer}, unpack it first" if packer else "expected pcap or pcapng, plain or gzip"
    )
    inside = "its gzip data starts" if stream.compressed else "starts"
    raise CaptureError(f"not a capture file ({inside} with {head[:4].hex(' ')}); {hint}")


def _by_linktype(data: NDArray[np.uint8], batch: Batch) -> Iterator[Frames]:
    """Cut a batch where its link type changes."""
    linktype = batch.linktype
    if isinstance(linktype, int):
        yield Frames(data, batch.offset, batch.captured, batch.length, batch.time_ns, linktype)
        return
    cuts = (np.flatnonzero(linktype[1:] != linktype[:-1]) + 1).tolist()
    for start, stop in zip([0, *cuts], [*cuts, len(batch)], strict=True):
        part = batch[start:stop]
        yield Frames(data, part.offset, part.captured, part.length, part.time_ns, int(linktype[start]))
