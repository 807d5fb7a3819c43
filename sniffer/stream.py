"""One RTP stream, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.packets import PacketRun
from bystander.sniffer.address import Endpoint
from bystander.sniffer.delays import DelayFigures
from bystander.sniffer.losses import LossFigures


class Counts(Protocol):
    """What a stream asks of the table that follows it."""

    def figures(self, number: int) -> Figures:
        """Return what is counted of the stream with this number."""

    def measures(self, number: int) -> Measures:
        """Return what is measured of it."""

    def last_ns(self, number: int) -> int:
        """Return the capture time of its latest packet, ns."""


#: Two seconds of packets of 20 ms.
ENDING_PACKETS: Final = 100


class StreamSink(Protocol):
    """Where the media of streams goes; arrays are valid only during the call."""

    def audio(self, stream: Stream, position: int, law: int, samples: NDArray[np.uint8]) -> None:
        """Take a run of G.711 whose first byte is sample ``position`` of the stream's timeline."""

    def packets(self, stream: Stream, run: PacketRun) -> None:
        """Take packets that are kept as they came."""

    def whole(self, stream: Stream, run: PacketRun) -> None:
        """Take packets that are kept with their headers and tags, as they stood on the wire."""

    def disown(self, stream: Stream) -> None:
        """Forget the audio and packets of a stream so far: they were not what they seemed to be."""


class Stream:
    """One RTP stream: it lives from its first packet until the table forgets it; its figures outlive that."""

    __slots__ = (
        "_figures",
        "_measures",
        "_table",
        "dst",
        "ending",
        "explained",
        "first_ns",
        "id",
        "kept",
        "key",
        "number",
        "payload_types",
        "src",
        "ssrc",
        "tunnel",
        "whole",
    )

    def __init__(
        self,
        table: Counts,
        number: int,
        ident: int,
        key: int,
        src: Endpoint,
        dst: Endpoint,
        ssrc: int,
        first_ns: int,
        tunnel: str,
    ) -> None:
        self._table: Counts | None = table
        self._figures: Figures | None = None
        self._measures: Measures | None = None
        self.number = number
        self.id = ident
        self.key = key
        self.src = src
        self.dst = dst
        self.ssrc = ssrc
        self.first_ns = first_ns
        self.tunnel = tunnel
        self.payload_types: list[int] = []
        self.kept: list[PacketRun] = []
        self.whole: list[PacketRun] = []
        self.ending: list[PacketRun] = []
        """The last whole packets, two seconds or more where there are so many."""
        self.explained = False
        """Whether a description has said if the stream is protected."""

    @property
    def figures(self) -> Figures:
        """Return the stream's figures as they stand."""
        if self._table is None:
            assert self._figures is not None
            return self._figures
        return self._table.figures(self.number)

    @property
    def measures(self) -> Measures:
        """Return how the stream came, as it stands."""
        if self._table is None:
            assert self._measures is not None
            return self._measures
        return self._table.measures(self.number)

    @property
    def last_ns(self) -> int:
        """Capture time of the latest packet, ns."""
        return self.figures.last_ns if self._table is None else self._table.last_ns(self.number)

    @property
    def packets(self) -> int:
        """Distinct sequence numbers received."""
        return self.figures.packets

    @property
    def alive(self) -> bool:
        """True until the table has forgotten the stream."""
        return self._table is not None

    def note_whole(self, run: PacketRun) -> None:
        """Remember whole packets that are handed on, the last of them."""
        self.ending.append(run)
        while sum(map(len, self.ending[1:])) >= ENDING_PACKETS:
            del self.ending[0]

    def freeze(self) -> None:
        """Keep the figures of now; the table is about to forget the stream."""
        self._figures, self._measures = self.figures, self.measures
        self._table = None

    def __repr__(self) -> str:
        return f"<Stream {self.src[0]}:{self.src[1]} > {self.dst[0]}:{self.dst[1]} {self.ssrc:#010x}>"


@dataclass(slots=True, frozen=True)
class Figures:
    """What was counted of a stream. ``epoch_ns`` is the capture time of sample 0, None without G.711."""

    packets: int
    lost: int
    duplicates: int
    reordered: int
    jitter_ms: float
    last_ns: int
    epoch_ns: int | None


@dataclass(slots=True, frozen=True)
class Measures:
    """How a stream came: its losses, delays, jitter at the worst, and packets ``late`` by over 100 ms.

    ``timed``: jitter and delays are known, which takes a payload type whose clock is known.
    """

    losses: LossFigures
    delays: DelayFigures
    timed: bool
    jitter_most_ms: float
    late: int
