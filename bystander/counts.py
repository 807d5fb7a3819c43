"""What the pipeline's rooms have counted, put together: for the metrics, and for whoever asks why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from bystander.pipeline import Pipeline
from bystander.sniffer.realm import REALMS
from bystander.sniffer.tunnels import tunnel_name


@dataclass(frozen=True, slots=True)
class TableCount:
    """A table that traffic can grow: what it holds, and what it has given up or refused, being full."""

    entries: int
    evicted: int


def tables(pipeline: Pipeline) -> dict[str, TableCount]:
    """Return the count of each bounded table, by its name."""
    calls, streams, ports = pipeline.calls, pipeline.streams, pipeline.media_ports
    found = {
        "calls": TableCount(calls.active_calls, calls.counters["calls-evicted"]),
        "claims": TableCount(calls.claims, calls.counters["claims-dropped"]),
        "fragments": TableCount(len(pipeline.fragments), pipeline.fragments.counters["evicted"]),
        "key-exchanges": TableCount(len(ports), ports.counters["flows-forgotten"]),
        "probation": TableCount(streams.on_probation, streams.counters["probation-overflow"]),
        "reports": TableCount(len(pipeline.reports), pipeline.reports.counters["skipped"]),
        "streams": TableCount(len(streams), streams.counters["streams-refused"]),
        "tcp": TableCount(len(pipeline.tcp), pipeline.tcp.counters["evicted"]),
        "tls": TableCount(len(pipeline.tls), pipeline.tls.counters["evicted"]),
        "transfers": TableCount(calls.transfers_waiting, calls.counters["transfers-evicted"]),
        "unclaimed": TableCount(calls.unclaimed_streams, calls.counters["streams-evicted"]),
    }
    if pipeline.settings.separate:
        found["realms"] = TableCount(len(REALMS), REALMS.forgotten)
    return found


def skipped(pipeline: Pipeline) -> dict[str, int]:
    """Return what could not be used and was passed over, by reason; only what has happened."""
    reasons = Counter(pipeline.bad)
    for reason in ("rtp-header", "g711-oversized"):
        reasons[reason] += pipeline.streams.counters[reason]
    # SRTCP of which nobody has the keys, which is counted as "rtcp-tail", is nothing bad.
    for reason in ("rtcp-not-rtcp", "rtcp-padding", "rtcp-truncated", "rtcp-unopened"):
        reasons[reason] += pipeline.reports.counters[reason]
    reasons["sip-without-call-id"] += pipeline.calls.counters["sip-without-call-id"]
    for reason in ("oversize", "empty", "contradictory-end", "conflicting", "expired"):
        reasons[f"fragment-{reason}"] += pipeline.fragments.counters[reason]
    for reason in ("holes", "cut-messages", "oversize", "ws-undecodable"):
        reasons[f"tcp-{reason}"] += pipeline.tcp.counters[reason]
    return {reason: count for reason, count in sorted(reasons.items()) if count}


def tunnelled(pipeline: Pipeline) -> dict[str, int]:
    """Return how many frames were found inside tunnels, by the layers around them."""
    named: Counter[str] = Counter()
    for way, count in pipeline.tunnels.items():
        named[tunnel_name(way) or "other"] += count
    return dict(sorted(named.items()))
