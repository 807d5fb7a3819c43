"""The media of streams, on its way from the stream table to the spool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bystander.codecs.packets import PacketRun
from bystander.finished import facts_of
from bystander.sniffer.streams import Stream
from bystander.storage.spool import Spool


class ToSpool:
    """A StreamSink: what the stream table hands on goes to the spool.

    ``durable``: the spool says whose media it holds, and an error of the disk costs that media only.
    ``began_ns(stream)`` is when the call of a stream began, None if none has claimed it. ``lossy`` has the
    streams that the disk did not take all of.
    """

    def __init__(
        self,
        spool: Spool,
        counters: Counter[str],
        began_ns: Callable[[Stream], int | None],
        *,
        durable: bool,
    ) -> None:
        self._spool = spool
        self._counters = counters
        self._began_ns = began_ns
        self._durable = durable
        self.lossy: set[int] = set()
        #: Since when there is room only for the calls that were in progress then (C19); None: there is room.
        self.short_since_ns: int | None = None

    def audio(self, stream: Stream, position: int, law: int, samples: NDArray[np.uint8]) -> None:
        """Take a run of G.711 from the stream table. A full disk costs this run; capture goes on."""
        if self.short_since_ns is not None and self._is_new(stream, self.short_since_ns):
            return
        self._describe(stream)
        try:
            self._spool.audio(stream.id, position, law, samples)
        except OSError as error:
            self._lose(stream, error)

    def packets(self, stream: Stream, run: PacketRun) -> None:
        """Take kept packets from the stream table."""
        self._put(stream, partial(self._spool.packets, stream.id, run))

    def whole(self, stream: Stream, run: PacketRun) -> None:
        """Take packets with their headers and tags from the stream table."""
        self._put(stream, partial(self._spool.whole, stream.id, run))

    def disown(self, stream: Stream) -> None:
        """Forget the media of a stream so far."""
        self._put(stream, partial(self._spool.disown, stream.id))

    def _put(self, stream: Stream, put: Callable[[], None]) -> None:
        if self.short_since_ns is not None and self._is_new(stream, self.short_since_ns):
            return
        self._describe(stream)
        try:
            put()
        except OSError as error:
            self._lose(stream, error)

    def _is_new(self, stream: Stream, since_ns: int) -> bool:
        """Tell whether a stream is of a call that began after the disk ran short: it is not kept."""
        if stream.first_ns < since_ns:
            return False
        began_ns = self._began_ns(stream)
        if began_ns is not None and began_ns < since_ns:
            return False
        self._counters["refused-runs"] += 1
        return True

    def _describe(self, stream: Stream) -> None:
        """Let the spool say whose media it gets: of a stream so new that nobody else has heard of it, too."""
        if self._durable:
            self._spool.describe(stream.id, partial(facts_of, stream))

    def _lose(self, stream: Stream, error: OSError) -> None:
        if not self._durable:
            raise error
        self._counters["spool-errors"] += 1
        self.lossy.add(stream.id)
