"""What the spool still knows of calls that are erased: their last signalling, and media left by a kill.

The recorder begins its log of calls in progress anew every minute; a call that is erased before that, or that
a recorder which was killed left behind, would otherwise be in it still, and be recorded again from it (R10).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from bystander.errors import UserError
from bystander.process import lock_spool
from bystander.recovery import blank_log, read_streams
from bystander.report import rfc3339
from bystander.sniffer.address import format_endpoint
from bystander.sniffer.sip import Arrival
from bystander.storage.entry import time_ns

#: Messages sent again, and late answers, come for so long after a call (RFC 3261, 64 times T1).
_LATE_NS: Final = 32 * 1_000_000_000


def forget(spool: Path, calls: Iterable[dict[str, Any]]) -> None:
    """Remove from the spool what it knows of calls, given as objects of `calls.json`. Raises OSError.

    A later call with the same Call-ID is not touched: it may be in progress.
    """
    ends: dict[str, int | None] = {}
    streams = set()
    for call in calls:
        end = time_ns(call["ended_at"]) + _LATE_NS if call.get("ended_at") else None
        for leg in (call["call_id"], *call.get("linked_call_ids", ())):
            known = ends.setdefault(leg, end)
            ends[leg] = None if end is None or known is None else max(end, known)
        streams |= {
            (stream["src"], stream["dst"], stream["ssrc"], stream["first_at"])
            for stream in (*call.get("streams", ()), *call.get("other_streams", ()))
        }

    def is_erased(arrival: Arrival) -> bool:
        # Of whichever realm: what is erased leaves nothing behind.
        leg = str(arrival.message.call_id)
        if leg not in ends:
            return False
        end = ends[leg]
        return end is None or arrival.time_ns <= end

    blank_log(spool, is_erased)
    _empty_slots(spool, streams)


def _empty_slots(spool: Path, streams: set[tuple[str, str, str, str]]) -> None:
    """Empty the files of streams that a recorder which was killed left behind."""
    if not any(path.stat().st_size for path in spool.glob("slot-*.spool")):
        return
    try:
        lock = lock_spool(spool)
    except UserError:
        # A recorder is at work: it has let go of the media of calls that are in the index.
        return
    try:
        for stream in read_streams(spool):
            ends = (format_endpoint(stream.src), format_endpoint(stream.dst))
            if (*ends, f"{stream.ssrc:#010x}", rfc3339(stream.first_ns)) in streams:
                os.truncate(stream.file, 0)
    finally:
        os.close(lock)
