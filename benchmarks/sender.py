"""Plays generated traffic onto an interface in real time, as the mirror port of a busy switch would.

    python -m benchmarks.sender INTERFACE TRUTH.json --calls 2000 --seconds 25 --ptime 10,20

All frames are laid out in memory first; then each is sent when it is due, by sendmmsg(2) on a raw packet
socket, many in one call, so that an interpreted program keeps 300,000 frames a second. Prints a line of JSON
when the last frame is out, and writes what was sent to TRUTH.json.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.plan import Plan
from benchmarks.traffic import Slice, Writer, add_arguments, traffic_of

_SOL_PACKET, _PACKET_QDISC_BYPASS = 263, 20
#: The most that sendmmsg(2) takes at once (UIO_MAXIOV).
_MOST = 1024
#: Frames are sent in strokes of this length.
_STROKE_S = 0.0005

_IOVEC = np.dtype([("base", "<u8"), ("len", "<u8")])
_MMSGHDR = np.dtype(
    [
        ("name", "<u8"), ("namelen", "<u8"), ("iov", "<u8"), ("iovlen", "<u8"),
        ("control", "<u8"), ("controllen", "<u8"), ("flags", "<u8"), ("len", "<u8"),
    ]
)  # fmt: skip


@dataclass
class _Batch:
    """One slice made ready for sendmmsg; the arrays must outlive the calls that point into them."""

    data: NDArray[np.uint8]
    vectors: NDArray[np.void]
    messages: NDArray[np.void]
    time_ns: NDArray[np.int64]


def _ready(piece: Slice) -> _Batch:
    vectors = np.zeros(len(piece.start), dtype=_IOVEC)
    vectors["base"] = piece.data.ctypes.data + piece.start
    vectors["len"] = piece.size
    messages = np.zeros(len(piece.start), dtype=_MMSGHDR)
    messages["iov"] = vectors.ctypes.data + np.arange(len(piece.start)) * _IOVEC.itemsize
    messages["iovlen"] = 1
    return _Batch(piece.data, vectors, messages, piece.time_ns)


@dataclass
class Sent:
    """What went out: frames, when the first left (UTC), how long it took, how late the latest frame was."""

    frames: int
    began_ns: int
    seconds: float
    worst_delay_ms: float
    refused: int


def play(interface: str, batches: list[_Batch]) -> Sent:
    """Send every frame at its time, counted from the first. Raises OSError if the interface refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    sendmmsg = libc.sendmmsg
    sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
    refused = sent = 0
    worst_ns = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((interface, 0))
        wire.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
        handle = wire.fileno()
        began_ns = time.monotonic_ns()
        began_utc_ns = time.time_ns()
        origin_ns = int(batches[0].time_ns[0]) - began_ns
        for batch in batches:
            address, at, count = batch.messages.ctypes.data, 0, len(batch.time_ns)
            while at < count:
                now = time.monotonic_ns() + origin_ns
                due = int(np.searchsorted(batch.time_ns, now, side="right"))
                if due <= at:
                    time.sleep(_STROKE_S)
                    continue
                worst_ns = max(worst_ns, now - int(batch.time_ns[at]))
                while at < due:
                    done = sendmmsg(handle, address + at * _MMSGHDR.itemsize, min(due - at, _MOST), 0)
                    if done > 0:
                        at += done
                        sent += done
                        continue
                    error = ctypes.get_errno()
                    if error not in (11, 105):  # EAGAIN, ENOBUFS: the queue is full, try the same frame again
                        raise OSError(error, f"sendmmsg on {interface}: {os.strerror(error)}")
                    refused += 1
        return Sent(sent, began_utc_ns, (time.monotonic_ns() - began_ns) / 1e9, worst_ns / 1e6, refused)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sender", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("interface")
    parser.add_argument("truth", type=Path)
    add_arguments(parser)
    given = parser.parse_args()
    writer = Writer(Plan(traffic_of(parser, given)))
    batches = [_ready(piece) for piece in writer.slices() if len(piece.start)]
    given.truth.write_text(json.dumps(writer.truth()))
    gc.disable()
    sent = play(given.interface, batches)
    print(json.dumps(sent.__dict__), flush=True)


if __name__ == "__main__":
    main()
