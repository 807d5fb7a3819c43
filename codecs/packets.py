"""RTP packets kept as they came, for payloads that are not one byte a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class PacketRun:
    """Packets of one stream in order of arrival: arrays of one length n, and their payloads end to end.

    ``seq`` int64[n], extended; ``ts`` uint32[n]; ``pt`` uint8[n]; ``time_ns`` int64[n]; ``size`` int32[n];
    ``payload`` uint8[sum(size)].
    """

    seq: NDArray[np.int64]
    ts: NDArray[np.uint32]
    pt: NDArray[np.uint8]
    time_ns: NDArray[np.int64]
    size: NDArray[np.int32]
    payload: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.seq)

    def payloads(self) -> list[bytes]:
        """Return the payload of each packet."""
        ends = np.cumsum(self.size).tolist()
        blob = self.payload.tobytes()
        return [blob[end - size : end] for end, size in zip(ends, self.size.tolist(), strict=True)]

    def of_type(self, pt: int) -> PacketRun:
        """Return the packets of one payload type."""
        wanted = self.pt == pt
        return PacketRun(
            self.seq[wanted],
            self.ts[wanted],
            self.pt[wanted],
            self.time_ns[wanted],
            self.size[wanted],
            self.payload[np.repeat(wanted, self.size)],
        )

    def take(self, at: NDArray[np.int64]) -> PacketRun:
        """Return the packets at some places, in that order."""
        size = self.size[at].astype(np.int64)
        begins = np.cumsum(self.size, dtype=np.int64)[at] - size
        # Where each byte comes from: its packet's beginning, and how far it is into the packet.
        into = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size)
        payload = self.payload[np.repeat(begins, size) + into]
        return PacketRun(self.seq[at], self.ts[at], self.pt[at], self.time_ns[at], self.size[at], payload)

    @classmethod
    def join(cls, runs: list[PacketRun]) -> PacketRun:
        """Join runs of one stream, in their order."""
        return cls(
            np.concatenate([run.seq for run in runs]),
            np.concatenate([run.ts for run in runs]),
            np.concatenate([run.pt for run in runs]),
            np.concatenate([run.time_ns for run in runs]),
            np.concatenate([run.size for run in runs]),
            np.concatenate([run.payload for run in runs]),
        )

    def to_bytes(self) -> bytes:
        """Serialise for the spool; the reverse of :meth:`from_bytes`."""
        arrays = (self.seq, self.ts, self.pt, self.time_ns, self.size, self.payload)
        return len(self).to_bytes(4, "little") + b"".join(array.tobytes() for array in arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> PacketRun:
        """Read what :meth:`to_bytes` wrote; raises ValueError if it is damaged."""
        n = int.from_bytes(data[:4], "little")
        at, arrays = 4, []
        for kind in ("<i8", "<u4", "<u1", "<i8", "<i4"):
            array = np.frombuffer(data, kind, n, at)
            arrays.append(array)
            at += array.nbytes
        payload = np.frombuffer(data, np.uint8, -1, at) if at < len(data) else np.zeros(0, np.uint8)
        if int(arrays[4].sum()) != len(payload) or (arrays[4] < 0).any():
            raise ValueError("kept packets do not add up")
        seq, ts, pt, time_ns, size = arrays
        return cls(seq, ts, pt, time_ns, size, payload)
