"""The totals that the metrics show, put together from what each part of the recorder has counted."""

from __future__ import annotations

from bystander.condition import Condition
from bystander.counts import skipped, tables, tunnelled
from bystander.filing import Filing
from bystander.heplistener import HepListener
from bystander.metrics import Totals
from bystander.pipeline import Pipeline
from bystander.room import Room
from bystander.sniffer.ring import Ring


def totals(
    pipeline: Pipeline,
    filing: Filing,
    room: Room,
    keeping: Condition,
    *,
    ring: Ring | None,
    hep: HepListener | None,
    kernel_drops: int,
    spool_bytes: int,
) -> Totals:
    """Return what the recorder has counted since its start, and what is the case now.

    ``ring`` and ``hep`` are None where nothing is captured; an empty queue of HEP is one all the same.
    """
    counted = tables(pipeline)
    return Totals(
        packets=pipeline.counters["frames"],
        bytes=pipeline.counters["bytes"],
        kernel_drops=kernel_drops,
        bad_frames=skipped(pipeline),
        sip_requests=dict(pipeline.calls.requests),
        sip_responses=dict(pipeline.calls.responses),
        calls=dict(pipeline.calls.states),
        verdicts=dict(filing.verdicts),
        unclaimed_dropped=pipeline.counters["unclaimed"],
        active_calls=pipeline.calls.active_calls,
        active_streams=len(pipeline.streams),
        dialogs=pipeline.calls.dialogs_by_state(),
        queue_depth=filing.queues | ({} if hep is None else {"hep": len(hep)}),
        hep={} if hep is None else dict(hep.counters),
        tunnels=tunnelled(pipeline),
        coalesced=pipeline.coalesced.frames,
        table_entries={name: table.entries for name, table in counted.items()},
        table_evictions={name: table.evicted for name, table in counted.items()}
        | {"waiting": filing.unlisted},
        link_losses=0 if ring is None else ring.link_losses,
        spool_bytes=spool_bytes,
        spool_errors=pipeline.counters["spool-errors"],
        last_frame_ns=pipeline.last_frame_ns,
        tls_connections={name: pipeline.tls.counters[name] for name in ("connections", "read")},
        sealed=filing.sealed,
        bytes_free=room.bytes_free,
        space_short=room.short_since_ns is not None,
        keeping=keeping,
    )
