"""The signalling of calls in progress, kept so that a recorder that is killed can go on where it was.

Beside the media (see ``storage/spool.py``) the spool holds a log of the SIP messages of calls. A recorder
that starts replays the log through the same dialog machine that heard it first, and is then in mid-call as
if it had never been away; media of the earlier process is attached as streams that have ended. Calls that
the index already has are left out. The log is begun anew from the calls still in progress when it has grown.

A record is a header (time, transport, lengths) and the two addresses and the message as they came, the first
of the addresses with its realm where networks are told apart; a record cut short by the kill is the end of
the log.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from bystander.report import rfc3339
from bystander.sniffer.calls import Call
from bystander.sniffer.realm import realm_of, within
from bystander.sniffer.recovered import RecoveredStream
from bystander.sniffer.sip import Arrival, Message, parse_message
from bystander.sniffer.streams import Figures
from bystander.storage.entry import time_ns
from bystander.storage.spool import read_facts

NAME: Final = "signalling.log"
_HEADER = struct.Struct("<qBBBHHI")
_TRANSPORTS: Final = ("udp", "tcp", "ws", "tls")
#: Stands between an address and its realm.
_IN: Final = "%"
#: The log is begun anew beyond this size, and beyond twice what it then held.
_ROTATE_BYTES: Final = 8 << 20
_MAX_MESSAGE: Final = 1 << 20
#: Methods of the messages that make calls; registrations and presence are nobody's call.
_OF_CALLS: Final = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "REFER"})


class SignallingLog:
    """The log of one recorder; messages are appended as they come and belong to the kernel at once.

    ``shown`` says what of a message is kept: keys may have to be hidden from the first moment on.
    """

    def __init__(self, folder: Path, shown: Callable[[Arrival], Arrival] = lambda arrival: arrival) -> None:
        self._shown = shown
        self._path = folder / NAME
        self._file = self._open(self._path)
        self._size = self._limit = 0
        self._limit = _ROTATE_BYTES
        #: False after the disk refused a message, until the log is begun anew.
        self.whole = True

    def append(self, arrival: Arrival) -> None:
        """Take a message; one that cannot be written is not worth an error, the call is still recorded."""
        if arrival.message.cseq_method not in _OF_CALLS or len(arrival.raw) > _MAX_MESSAGE:
            return
        record = _pack(self._shown(arrival))
        try:
            written = os.write(self._file, record)
            if written < len(record):
                # Whatever came behind a piece of a record could not be read.
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
                self.whole = False
                return
            self._size += written
        except OSError:
            self.whole = False

    @property
    def full(self) -> bool:
        """True when it is time to begin anew."""
        return self._size > self._limit

    def begin_anew(self, arrivals: Iterable[Arrival]) -> None:
        """Replace the log by one of these messages: those of the calls still in progress. Raises OSError."""
        part = self._path.with_suffix(".part")
        file = self._open(part)
        os.ftruncate(file, 0)
        size = 0
        try:
            for arrival in arrivals:
                record = _pack(self._shown(arrival))
                written = os.write(file, record)
                if written < len(record):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(part))
                size += written
            part.replace(self._path)
        except OSError:
            os.close(file)
            part.unlink(missing_ok=True)
            raise
        os.close(self._file)
        self._file, self._size, self.whole = file, size, True
        self._limit = max(_ROTATE_BYTES, 2 * size)

    def close(self, *, remove: bool) -> None:
        """Close the log; ``remove`` it when no call is in progress any more."""
        os.close(self._file)
        if remove:
            self._path.unlink(missing_ok=True)

    @staticmethod
    def _open(path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def read_log(folder: Path) -> Iterator[Arrival]:
    """Yield the messages of an earlier process's log, up to where it was cut off."""
    try:
        content = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return
    for _, _, arrival in _records(content):
        yield arrival


def blank_log(folder: Path, unwanted: Callable[[Arrival], bool]) -> int:
    """Overwrite messages in the log with zeros, which a reader skips; return how many. Raises OSError.

    In place: a recorder at work goes on appending to the file meanwhile.
    """
    try:
        file = os.open(folder / NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        content = os.pread(file, os.fstat(file).st_size, 0)
        found = [(at, end) for at, end, arrival in _records(content) if unwanted(arrival)]
        for at, end in found:
            os.pwrite(file, bytes(end - at), at)
        if found:
            os.fsync(file)
    finally:
        os.close(file)
    return len(found)


def _records(content: bytes) -> Iterator[tuple[int, int, Arrival]]:
    """Yield (start, end, message) of what follows the header of each whole record."""
    at = 0
    while at + _HEADER.size <= len(content):
        time_ns, transport, *lengths = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        start = at
        src_length, dst_length, src_port, dst_port, length = lengths
        end = at + src_length + dst_length + length
        if transport >= len(_TRANSPORTS) or length > _MAX_MESSAGE or end > len(content):
            return
        src, _, realm = content[at : at + src_length].decode("ascii", "replace").partition(_IN)
        dst = content[at + src_length : at + src_length + dst_length].decode("ascii", "replace")
        raw = content[at + src_length + dst_length : end]
        at = end
        message = parse_message(raw)
        if isinstance(message, Message):
            source, target = (within(src, realm), src_port), (within(dst, realm), dst_port)
            yield start, end, Arrival(time_ns, source, target, _TRANSPORTS[transport], message, raw)


def read_streams(folder: Path) -> list[RecoveredStream]:
    """Return the streams whose media an earlier process left in the spool."""
    found = []
    for path in sorted(folder.glob("slot-*.spool")):
        facts = read_facts(path)
        if facts is None:
            continue
        try:
            realm = str(facts.get("realm", ""))
            found.append(
                RecoveredStream(
                    id=int(facts["id"]),
                    src=(within(str(facts["src"][0]), realm), int(facts["src"][1])),
                    dst=(within(str(facts["dst"][0]), realm), int(facts["dst"][1])),
                    ssrc=int(facts["ssrc"]),
                    first_ns=int(facts["first_ns"]),
                    file=path,
                    figures=Figures(**facts["figures"]),
                    payload_types=[int(pt) for pt in facts["payload_types"]],
                    tunnel=str(facts.get("tunnel", "")),
                )
            )
        except (KeyError, TypeError, ValueError, IndexError):
            continue
    return found


def finished_before(call: Call, finished: set[tuple[str, int]]) -> bool:
    """Tell whether a call was written by an earlier process, by Call-ID and the millisecond it began."""
    return (call.call_id, time_ns(rfc3339(call.started_ns)) // 1_000_000) in finished


def _pack(arrival: Arrival) -> bytes:
    realm = realm_of(arrival.src[0])
    src, dst = f"{arrival.src[0]}{_IN}{realm}" if realm else arrival.src[0], arrival.dst[0]
    transport = _TRANSPORTS.index(arrival.transport) if arrival.transport in _TRANSPORTS else 0
    header = _HEADER.pack(
        arrival.time_ns, transport, len(src), len(dst), arrival.src[1], arrival.dst[1], len(arrival.raw)
    )
    return header + src.encode("ascii") + dst.encode("ascii") + arrival.raw
