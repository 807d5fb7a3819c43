"""TShark as the opener of TLS: encrypted segments and a key log in, data in the clear out.

Slow, in a process of its own, and only for the signalling connections of which the operator has the keys. A
capture file is gone through beforehand (`open_files`), so that the messages in it are taken in order of time
with all others. On a live mirror (`LiveOpener`) one process runs all the time.
"""

from __future__ import annotations

import queue
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from bystander.errors import UserError
from bystander.sniffer.address import Endpoint
from bystander.sniffer.capturefile import open_captures
from bystander.sniffer.parse import FrameParser
from bystander.sniffer.tcp import FIN, RST, SYN, Segment, TimedMessage
from bystander.sniffer.tls import (
    MAX_CONNECTIONS,
    OpenedStreams,
    TlsConnections,
    capture_header,
    capture_record,
    client_randoms,
    parse_opened,
    random_heads,
)

#: Lines of a key log that are looked at: a server's log of years is cut off, not read into memory.
_MAX_KEY_LINES: Final = 1_000_000
#: TShark would rather read these itself, by their first bytes or because the handshake names them (ALPN).
_NOT_DISSECTED: Final = ("http", "http2", "sip", "websocket")
_FIELDS: Final = (
    *("frame.time_epoch", "ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport"),
    "data.data",
)


def program() -> str:
    """Return where TShark is. Raises UserError where it is not."""
    found = shutil.which("tshark")
    if found is None:
        raise UserError(
            "tshark is not installed, which opens TLS; `apt install tshark`, or leave out the key log"
        )
    return found


def read_randoms(keylog: Path) -> set[bytes]:
    """Return the client randoms of a key log. Raises UserError where it cannot be read, or holds none."""
    try:
        with keylog.open("rb") as file:
            found = client_randoms(line for line, _ in zip(file, range(_MAX_KEY_LINES), strict=False))
    except OSError as error:
        raise UserError(f"{keylog}: cannot read the key log: {error.strerror}") from None
    if not found:
        raise UserError(f"{keylog}: no key in it; a key log has lines like CLIENT_RANDOM <hex> <hex>")
    return found


def command(keylog: Path, ports: Iterable[int], *more: str) -> list[str]:
    """Return the command that prints data of TLS connections as `parse_opened` reads it."""
    asked = [program(), "-n", "-Q", "-o", f"tls.keylog_file:{keylog.absolute()}"]
    asked += ["-o", "tcp.reassemble_out_of_order:TRUE", *more]
    for name in _NOT_DISSECTED:
        asked += ["--disable-protocol", name]
    asked += ["-Y", "(tls && data) || tcp.flags.syn == 1", "-T", "fields"]
    for port in sorted(ports):
        asked += ["-d", f"tcp.port=={port},tls", "-d", f"tls.port=={port},data"]
    return asked + [part for field in _FIELDS for part in ("-e", field)]


def open_files(captures: Sequence[Path], keylog: Path, ports: Iterable[int]) -> list[TimedMessage]:
    """Return the SIP messages of the TLS connections in capture files that the key log opens, in order.

    Raises UserError: TShark is missing or fails, the key log cannot be read, a capture is a pipe and cannot
    be read twice; CaptureError as `open_captures` does.
    """
    for path in captures:
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: a pipe cannot be read twice, as a key log asks for; write it to a file")
    randoms = read_randoms(keylog)
    with tempfile.TemporaryFile(prefix="bystander-tls-") as file:
        file.write(capture_header())

        def take(segment: Segment) -> None:
            file.write(capture_record(segment))

        connections = TlsConnections(ports, randoms, take)
        _choose(captures, connections)
        if not connections:
            return []
        file.seek(0)
        asked = command(keylog, connections.server_ports, "-r", "-")
        with (
            tempfile.TemporaryFile(prefix="bystander-tls-") as said,
            subprocess.Popen(asked, stdin=file, stdout=subprocess.PIPE, stderr=said) as process,
        ):
            assert process.stdout is not None
            messages = list(_messages(process.stdout, OpenedStreams(Counter())))
            status = process.wait()
            said.seek(0)
            why = said.read().decode(errors="replace").strip().split("\n")[-1]
        if status:
            raise UserError(f"{keylog}: tshark could not open TLS with it: {why}")
    return sorted(messages, key=lambda message: message[0])


def _messages(lines: Iterable[bytes], streams: OpenedStreams) -> Iterator[TimedMessage]:
    for line in lines:
        opened = parse_opened(line)
        if opened is not None:
            yield from streams.feed(opened)


def _choose(captures: Sequence[Path], connections: TlsConnections) -> None:
    """Show every segment that may be of a TLS connection to ``connections``."""
    parser = FrameParser()
    parser.tcp.ports = tuple(connections.ports)
    parser.tcp.randoms = random_heads(connections.randoms)
    watched: set[frozenset[Endpoint]] = set()
    with open_captures(captures) as source:
        for frames in source.blocks():
            for segment in parser.parse(frames).segments:
                if connections.feed(segment):
                    pair = frozenset((segment.src, segment.dst))
                    if pair not in watched and len(watched) < parser.tcp.MAX_WATCHED:
                        watched.add(pair)
                        parser.watch_tcp(segment.src, segment.dst)


class LiveOpener:
    """TShark beside a live capture: takes segments of TLS connections, gives SIP messages a little later.

    A segment is held back for DELAY_S, because the key of a handshake may be written a little after it.
    TShark remembers every packet, so it is begun anew after MAX_PACKETS, and is then told again what it needs
    of the connections that are open: one of which more than MAX_KEPT_BYTES were sent, or that had to make
    room, cannot be read from there on, until it is made again. What waits is bounded by MAX_WAITING_BYTES.

    `take`, `turn` and `close` belong to one thread. ``counters``: dropped (segments), restarts, given-up
    (connections), and those of the framers. ``tell(what, text)`` is told of trouble, from any thread.
    """

    DELAY_S = 2.0
    MAX_PACKETS = 200_000
    MAX_WAITING_BYTES = 32 << 20
    MAX_QUEUED = 256
    MAX_KEPT_BYTES = 4 << 20
    MAX_KEPT_BYTES_TOGETHER = 64 << 20
    _PATIENCE_S = 10.0

    def __init__(self, keylog: Path, ports: Iterable[int], tell: Callable[[str, str], None]) -> None:
        """Look for TShark. Raises UserError where it is not."""
        program()
        self._keylog = keylog
        self._ports = tuple(ports)
        self._tell = tell
        self.counters: Counter[str] = Counter()
        self._streams = OpenedStreams(self.counters)
        self._waiting: deque[tuple[float, Segment, bytes]] = deque()
        self._waiting_bytes = 0
        self._todo: queue.SimpleQueue[tuple[Segment, bytes] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[TimedMessage] = queue.SimpleQueue()
        self._kept: dict[frozenset[Endpoint], _Kept] = {}
        self._kept_bytes = 0
        self._feeder: threading.Thread | None = None

    def take(self, segment: Segment) -> None:
        """Take a segment of a TLS connection."""
        record = capture_record(segment)
        self._waiting.append((time.monotonic() + self.DELAY_S, segment, record))
        self._waiting_bytes += len(record)
        while self._waiting_bytes > self.MAX_WAITING_BYTES:
            _, _, dropped = self._waiting.popleft()
            self._waiting_bytes -= len(dropped)
            self.counters["dropped"] += 1

    def turn(self) -> list[TimedMessage]:
        """Pass on what has waited long enough; return the messages that have come back. Never waits."""
        now = time.monotonic()
        # A TShark that does not keep up leaves the rest where it is bounded.
        while self._waiting and self._waiting[0][0] <= now and self._todo.qsize() < self.MAX_QUEUED:
            self._pass_on()
        return self._came_back()

    def close(self) -> list[TimedMessage]:
        """End: pass on everything, wait for TShark, return the last messages."""
        while self._waiting:
            self._pass_on()
        if self._feeder is not None:
            self._todo.put(None)
            self._feeder.join(2 * self._PATIENCE_S)
        return self._came_back()

    def _pass_on(self) -> None:
        _, segment, record = self._waiting.popleft()
        self._waiting_bytes -= len(record)
        self._todo.put((segment, record))
        if self._feeder is None:
            self._feeder = threading.Thread(target=self._feed, name="tls", daemon=True)
            self._feeder.start()

    def _came_back(self) -> list[TimedMessage]:
        messages = []
        with suppress(queue.Empty):
            while True:
                messages.append(self._done.get_nowait())
        return messages

    # -- in the feeder's thread ---------------------------------------------------------------------------

    def _feed(self) -> None:
        """Run one TShark after the other, until the end."""
        item: tuple[Segment, bytes] | None = self._todo.get()
        while item is not None:
            asked = command(self._keylog, self._ports, "-l", "-r", "-")
            with subprocess.Popen(
                asked,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # A terminal's Ctrl-C is for the recorder, which then takes the last messages from it.
                start_new_session=True,
            ) as process:
                assert process.stdin is not None
                reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
                self._streams.skip_known()
                reader.start()
                began = time.monotonic()
                with suppress(OSError):  # it ended by itself: the next one is told again
                    process.stdin.write(capture_header() + b"".join(self._again()))
                    item = self._pump(process.stdin, item)
                with suppress(OSError):
                    process.stdin.close()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(self._PATIENCE_S)
                process.kill()
                reader.join(self._PATIENCE_S)
            if item is not None:
                self.counters["restarts"] += 1
                if time.monotonic() - began < self._PATIENCE_S:
                    self._tell("tls", "tshark, which opens TLS, ended by itself; it is started again")
                    time.sleep(1.0)

    def _pump(self, pipe: IO[bytes], item: tuple[Segment, bytes]) -> tuple[Segment, bytes] | None:
        """Write records until it is time for another process, which begins with the item returned."""
        for _ in range(self.MAX_PACKETS):
            segment, record = item
            pipe.write(record)
            self._keep(segment, record)
            if self._todo.empty():
                # What is read of a pipe is read by the buffer: only a full one is looked at.
                pipe.write(_filler(segment.time_ns))
                pipe.flush()
            following = self._todo.get()
            if following is None:
                return None
            item = following
        return item

    def _keep(self, segment: Segment, record: bytes) -> None:
        """Keep what another process would have to be told of a connection."""
        pair = frozenset((segment.src, segment.dst))
        kept = self._kept.pop(pair, None)
        if kept is None or segment.flags & (SYN | RST):
            self._kept_bytes -= 0 if kept is None else kept.size
            kept = _Kept()
        self._kept[pair] = kept
        if segment.flags & (FIN | RST):
            kept.over = True
        if not kept.lost:
            kept.records.append(record)
            kept.size += len(record)
            self._kept_bytes += len(record)
            if kept.size > self.MAX_KEPT_BYTES:
                self._lose(kept)
        while self._kept_bytes > self.MAX_KEPT_BYTES_TOGETHER or len(self._kept) > MAX_CONNECTIONS:
            self._lose(self._kept.pop(next(iter(self._kept))))

    def _lose(self, kept: _Kept) -> None:
        self._kept_bytes -= kept.size
        kept.records.clear()
        kept.size, kept.lost = 0, True

    def _again(self) -> Iterator[bytes]:
        """Yield the records of the connections that are open, and forget the others."""
        for pair, kept in list(self._kept.items()):
            if kept.over or kept.lost:
                self.counters["given-up"] += not kept.over
                self._kept_bytes -= kept.size
                del self._kept[pair]
            else:
                yield from kept.records

    def _read(self, lines: IO[bytes]) -> None:
        for message in _messages(lines, self._streams):
            self._done.put(message)


@dataclass(slots=True)
class _Kept:
    """The records of a connection from its beginning; ``lost`` when it was too long to keep them."""

    records: list[bytes] = field(default_factory=list)
    size: int = 0
    over: bool = False
    lost: bool = False


def _filler(time_ns: int) -> bytes:
    """Return a record that means nothing and is longer than TShark's buffer."""
    size = 4096 + 64
    packet = struct.pack("!BBHHHBBH8x", 0x45, 0, size, 0, 0, 64, 253, 0) + bytes(size - 20)
    return struct.pack("<IIII", time_ns // 1_000_000_000 & 0xFFFFFFFF, 0, size, size) + packet
