"""What Prometheus sees: the pipeline's totals under `bystander_...`, and `/metrics` and `/healthz` over HTTP.

The pipeline counts for itself and hands over a `Totals` now and then; a scrape shows the latest one. So
nothing on the way of the packets knows of Prometheus, and a scrape never waits for the pipeline or the other
way round. Every label has a bounded set of values: whatever traffic could invent is counted as "other".
"""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from bystander import __version__
from bystander.condition import Condition
from bystander.errors import UserError
from bystander.qualitymetrics import QualityMetrics
from bystander.sniffer.calls import METHODS
from bystander.sniffer.dialogs import OUTCOMES
from bystander.verdict import VERDICTS

#: The statuses that tell an administrator something by themselves; the rest of a class is counted as "4xx".
STATUSES: Final = frozenset(
    {100, 180, 181, 182, 183, 200, 202, 302, 400, 401, 403, 404, 405, 407, 408, 415, 420, 422, 423}
    | {480, 481, 482, 483, 484, 486, 487, 488, 491, 500, 501, 502, 503, 504, 600, 603, 604, 606}
)
#: Counted from zero on: an alert sees a counter rise, not appear.
_NO_CALLS: Final = dict.fromkeys(OUTCOMES.values(), 0)
_NO_VERDICTS: Final = dict.fromkeys(VERDICTS, 0)
#: Values of a label whose names our own code chooses; more than these would be a fault of ours.
MAX_VALUES: Final = 64
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Totals:
    """A picture of the recorder: counters since its start, and what is the case now. Times are ns UTC."""

    packets: int = 0
    bytes: int = 0
    kernel_drops: int = 0
    bad_frames: _Counts = field(default_factory=dict)  # by reason
    tunnels: _Counts = field(default_factory=dict)  # frames, by the layers around them
    coalesced: int = 0
    hep: _Counts = field(default_factory=dict)  # by what became of it
    sip_requests: _Counts = field(default_factory=dict)  # by method
    sip_responses: Mapping[int, int] = field(default_factory=dict)  # by status
    calls: _Counts = field(default_factory=dict)  # finished, by state
    verdicts: _Counts = field(default_factory=dict)  # answered and finished, by verdict
    unclaimed_dropped: int = 0
    active_calls: int = 0
    active_streams: int = 0
    dialogs: _Counts = field(default_factory=dict)  # in the table, by state
    queue_depth: _Counts = field(default_factory=dict)  # by queue
    table_entries: _Counts = field(default_factory=dict)  # by table
    table_evictions: _Counts = field(default_factory=dict)  # by table
    link_losses: int = 0
    spool_bytes: int = 0
    spool_errors: int = 0
    last_frame_ns: int = 0
    tls_connections: _Counts = field(default_factory=dict)  # "connections" seen, "read"
    sealed: int = 0
    bytes_free: int = 0
    space_short: bool = False
    keeping: Condition = field(default_factory=Condition)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the recorder is recording; `facts` are shown by `/healthz` beside it."""

    capturing: bool
    facts: Mapping[str, Any] = field(default_factory=dict)


class Metrics:
    """The metrics of one recorder, in a registry of their own.

    `update` takes the latest totals, from any thread; the two histograms are observed directly, in seconds.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.write_seconds = Histogram(
            "bystander_write_seconds",
            "Time to finish a call: decode what is left, write, hash and file the recording.",
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.flush_seconds = Histogram(
            "bystander_flush_seconds",
            "Time to flush the audio of calls in progress to the spool, once.",
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.quality = QualityMetrics(self.registry)
        self._totals = Totals()
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def update(self, totals: Totals) -> None:
        """Show these totals from now on."""
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families of the latest totals (prometheus_client's Collector protocol)."""
        now = self._totals
        yield _counter("packets", "Frames captured.", now.packets)
        yield _counter("bytes", "Bytes of the frames captured, on the wire.", now.bytes)
        yield _counter("kernel_drops", "Packets lost because the capture ring was full.", now.kernel_drops)
        yield _counters("bad_frames", "Frames skipped, by reason.", "reason", now.bad_frames)
        yield _counters("sip_requests", "SIP requests seen, by method.", "method", _methods(now.sip_requests))
        yield _counters(
            "sip_responses", "SIP responses seen, by status.", "status", _statuses(now.sip_responses)
        )
        yield _counters(
            "tunnelled_frames", "Frames found inside tunnels, by their layers.", "tunnel", now.tunnels
        )
        yield _counter("coalesced_frames", "Frames that held several datagrams of RTP.", now.coalesced)
        yield _counters("hep_packets", "HEP packets received, by what became of them.", "result", now.hep)
        yield _counters("calls", "Calls finished, by state.", "state", _NO_CALLS | dict(now.calls))
        yield _counters(
            "verdicts", "Answered calls finished, by verdict.", "verdict", _NO_VERDICTS | dict(now.verdicts)
        )
        yield _counter(
            "unclaimed_streams_dropped", "RTP streams dropped as no call claimed them.", now.unclaimed_dropped
        )
        yield _counters("table_evictions", "Entries evicted from a full table.", "table", now.table_evictions)
        yield _gauge("active_calls", "Calls in progress.", now.active_calls)
        yield _gauge("active_streams", "RTP streams being followed.", now.active_streams)
        yield _gauges("dialogs", "Dialogs followed, by state.", "state", now.dialogs)
        yield _gauges("queue_depth", "Entries waiting, by queue.", "queue", now.queue_depth)
        yield _gauges("table_entries", "Entries of each bounded table.", "table", now.table_entries)
        yield _counter(
            "tls_connections",
            "TLS connections to the ports of SIP.",
            now.tls_connections.get("connections", 0),
        )
        yield _counter("tls_connections_read", "Of these, opened.", now.tls_connections.get("read", 0))
        yield _counter("link_losses", "Times the interface went down or away.", now.link_losses)
        yield _gauge("spool_bytes", "Audio of calls in progress on disk.", now.spool_bytes)
        yield _counter("spool_errors", "Runs of audio that the spool could not take.", now.spool_errors)
        yield _gauge(
            "last_frame_timestamp_seconds",
            "Capture time of the last frame; 0 before the first.",
            now.last_frame_ns / 1e9,
        )
        yield from _kept(now)
        build = GaugeMetricFamily(
            "bystander_build_info", "The program's version; always 1.", labels=["version"]
        )
        build.add_metric([__version__], 1)
        yield build

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Return the exposition and its content type for an Accept header."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


def _kept(now: Totals) -> Iterator[Metric]:
    """Yield what is known of the vault, of terms and of space."""
    keeping = now.keeping
    yield _counter("sealed", "Calls sealed and indexed.", now.sealed)
    yield _counter("erased", "Recordings erased by the recorder itself.", keeping.erased)
    yield _gauge("overdue_recordings", "Recordings beyond their term, not held.", keeping.overdue)
    yield _gauge("held_recordings", "Recordings held for a case.", keeping.held)
    yield _gauge("sweep_refused", "1 while the sweep refuses to erase.", float(keeping.sweep_refused))
    yield _gauge("clock_trusted", "0 after the clock has leapt.", float(keeping.clock_trusted))
    yield _gauge(
        "last_sweep_timestamp_seconds", "When the last sweep ended; 0 before.", keeping.last_sweep_ns / 1e9
    )
    yield _gauge("space_free_bytes", "Room left on the fullest of the recorder's disks.", now.bytes_free)
    yield _gauge("space_short", "1 while there is no room for new calls.", float(now.space_short))
    left = GaugeMetricFamily(
        "bystander_space_left_seconds", "Time until the disk is full, at the rate of the last week."
    )
    if keeping.days_left is not None:
        left.add_metric([], keeping.days_left * 86_400)
    yield left


def _counter(name: str, help_: str, value: int) -> Metric:
    return CounterMetricFamily(f"bystander_{name}", help_, value=value)


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(f"bystander_{name}", help_, value=value)


def _counters(name: str, help_: str, label: str, values: _Counts) -> Metric:
    family = CounterMetricFamily(f"bystander_{name}", help_, labels=[label])
    for value, count in _bounded(values).items():
        family.add_metric([value], count)
    return family


def _gauges(name: str, help_: str, label: str, values: _Counts) -> Metric:
    family = GaugeMetricFamily(f"bystander_{name}", help_, labels=[label])
    for value, count in _bounded(values).items():
        family.add_metric([value], count)
    return family


def _bounded(values: _Counts) -> _Counts:
    if len(values) <= MAX_VALUES:
        return values
    # By name, not by size: a series that moved into "other" and back would look like a counter reset.
    kept = dict(sorted(values.items())[: MAX_VALUES - 1])
    kept["other"] = sum(values.values()) - sum(kept.values()) + kept.get("other", 0)
    return kept


def _methods(requests: _Counts) -> _Counts:
    known: Counter[str] = Counter()
    for method, count in requests.items():
        known[method if method in METHODS else "other"] += count
    return known


def _statuses(responses: Mapping[int, int]) -> _Counts:
    """Statuses in use have two digits after the class at most 99: of those, only the common ones get a
    series."""
    known: Counter[str] = Counter()
    for status, count in responses.items():
        known[
            str(status) if status in STATUSES else f"{status // 100}xx" if 100 <= status <= 699 else "other"
        ] += count
    return known


class MetricsServer:
    """Serves `/metrics` and `/healthz` in threads of its own, from construction until `close`."""

    def __init__(self, metrics: Metrics, address: tuple[str, int], health: Callable[[], Health]) -> None:
        """Listen on (host, port). Raises UserError if the address cannot be had."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        handler = type("Handler", (_Handler,), {"metrics": metrics, "health": staticmethod(health)})
        server = type("Server", (_Server,), {"address_family": family})
        try:
            self._server = server(address, handler)
        except OSError as error:
            raise UserError(
                f"[metrics] listen: cannot serve on {address[0]} port {address[1]}: {error.strerror}; "
                "choose another address, or set enabled = false"
            ) from None
        self.address: tuple[str, int] = self._server.server_address[:2]
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and free the address."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        # HTTPServer's own asks the name service for the host's full name (R17: nothing goes out).
        TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that went away is not worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    metrics: Metrics
    health: Callable[[], Health]
    server_version = "bystander"
    sys_version = ""
    timeout = 10  # s; whoever connects and says nothing does not keep a thread

    def do_GET(self) -> None:
        path = self.path.split("?", 1)[0]
        if path == "/metrics":
            body, content_type = self.metrics.text(self.headers.get("Accept", ""))
            self._answer(200, content_type, body)
        elif path == "/healthz":
            health = self.health()
            state = {"status": "ok" if health.capturing else "not capturing", **health.facts}
            body = json.dumps(state).encode() + b"\n"
            self._answer(200 if health.capturing else 503, "application/json", body)
        else:
            self._answer(404, "text/plain; charset=utf-8", b"There is /metrics and /healthz.\n")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's name)
        """A scrape every few seconds is no news."""
