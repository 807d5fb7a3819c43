"""Calls in progress as the command line sees them: worked out from the signalling log in the spool.

The recorder needs no part in it. A call's recording has a name from its first message on, so it can be held
(R11) before there is anything to keep.
"""

from __future__ import annotations

from dataclasses import dataclass

from bystander.config import Config
from bystander.recovery import read_log
from bystander.settings import call_settings
from bystander.sniffer.calls import CallTable
from bystander.storage.entry import recording_id


@dataclass(frozen=True, slots=True)
class InProgress:
    """A call that is not in the index yet. ``started_ns`` is UTC."""

    id: str
    call_id: str
    caller: str
    callee: str
    direction: str
    started_ns: int
    #: Call-IDs of the calls of its case, as far as it names them (C8).
    related: tuple[str, ...] = ()


def calls_in_progress(config: Config) -> list[InProgress]:
    """Return the calls that the spool knows, the oldest first: those going on, and those just over."""
    table = CallTable(call_settings(config))
    latest_ns = 0
    for arrival in read_log(config.recording.spool):
        table.feed(arrival)
        latest_ns = max(latest_ns, arrival.time_ns)
    return [
        InProgress(
            recording_id(call.started_ns, call.name),
            call.call_id,
            call.caller,
            call.callee,
            call.direction,
            call.started_ns,
            tuple(call.related),
        )
        for call in sorted(table.close(latest_ns), key=lambda call: call.started_ns)
    ]
