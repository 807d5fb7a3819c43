"""What Prometheus scrapes: totals, labels that traffic cannot grow, health as a status."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bystander import __version__
from bystander.condition import Condition
from bystander.errors import UserError
from bystander.metrics import MAX_VALUES, Health, Metrics, MetricsServer, Totals
from bystander.verdict import VERDICTS

RULES = Path(__file__).parents[2] / "deploy" / "prometheus-rules.yml"
promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not there"
)

TOTALS = Totals(
    packets=10,
    bytes=2140,
    kernel_drops=3,
    bad_frames={"truncated": 2},
    tunnels={"vxlan": 1},
    hep={"taken": 1},
    sip_requests={"INVITE": 4, "BYE": 3, "WIBBLE": 2, "invite": 1},
    sip_responses={200: 7, 486: 1, 499: 2, 498: 1, 999: 1},
    calls={"answered": 2, "busy": 1},
    verdicts={"recorded": 2},
    unclaimed_dropped=1,
    active_calls=5,
    active_streams=9,
    dialogs={"answered": 4, "ringing": 1},
    queue_depth={"write": 6},
    table_entries={"claims": 8},
    table_evictions={"calls": 1},
    link_losses=2,
    spool_bytes=4096,
    spool_errors=5,
    last_frame_ns=1_700_000_000_500_000_000,
    sealed=7,
    bytes_free=1000,
    space_short=True,
    keeping=Condition(
        days_left=12.5, overdue=3, held=4, erased=5, last_sweep_ns=6_000_000_000, sweep_refused=True
    ),
)


def samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    """What a scrape says: (name, value of the only label or "") -> value."""
    body, _ = metrics.text()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_totals_are_shown_in_base_units() -> None:
    metrics = Metrics()
    metrics.update(TOTALS)
    seen = samples(metrics)
    for (name, label), value in {
        ("packets_total", ""): 10,
        ("bytes_total", ""): 2140,
        ("kernel_drops_total", ""): 3,
        ("bad_frames_total", "truncated"): 2,
        ("calls_total", "busy"): 1,
        ("verdicts_total", "recorded"): 2,
        ("unclaimed_streams_dropped_total", ""): 1,
        ("table_evictions_total", "calls"): 1,
        ("active_calls", ""): 5,
        ("active_streams", ""): 9,
        ("dialogs", "ringing"): 1,
        ("queue_depth", "write"): 6,
        ("table_entries", "claims"): 8,
        ("link_losses_total", ""): 2,
        ("spool_bytes", ""): 4096,
        ("spool_errors_total", ""): 5,
        ("last_frame_timestamp_seconds", ""): 1_700_000_000.5,
        ("build_info", __version__): 1,
    }.items():
        assert seen["bystander_" + name, label] == value, name


def test_c22_verdicts_and_states_are_counted_from_zero() -> None:
    # An alert sees a counter rise, not appear: the first calls of a recorder may all be one-way.
    seen = samples(Metrics())
    assert {label for name, label in seen if name == "bystander_verdicts_total"} == set(VERDICTS)
    assert {label for name, label in seen if name == "bystander_calls_total"} == {
        "answered",
        "busy",
        "cancelled",
        "failed",
        "incomplete",
        "unanswered",
    }


def test_the_page_of_metrics_has_each_one_and_its_alerts() -> None:
    metrics = Metrics()
    metrics.update(TOTALS)
    served = {family.name for family in metrics.registry.collect() if family.name.startswith("bystander_")}
    page = (RULES.parents[1] / "docs/metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(bystander_\w+?)(?:_total)?(?:\{\w+\})?` \|.*\| ([^|]*)\|$", page, re.MULTILINE)
    assert {name for name, _ in rows} == served
    assert len(rows) == len(served)
    told = {alert for _, alerts in rows for alert in re.findall(r"\w+", alerts)}
    assert {f"Bystander{alert}" for alert in told | {"Down"}} == set(
        re.findall(r"alert: (\w+)", RULES.read_text())
    )


def test_c24_what_traffic_invents_makes_no_series() -> None:
    metrics = Metrics()
    metrics.update(TOTALS)
    seen = samples(metrics)
    requests = {
        label: value for (name, label), value in seen.items() if name == "bystander_sip_requests_total"
    }
    assert requests == {"INVITE": 4, "BYE": 3, "other": 3}
    responses = {
        label: value for (name, label), value in seen.items() if name == "bystander_sip_responses_total"
    }
    assert responses == {"200": 7, "486": 1, "4xx": 3, "other": 1}


def test_c24_labels_are_bounded_and_lose_no_count() -> None:
    metrics = Metrics()
    metrics.update(Totals(bad_frames={f"reason-{number:03d}": 2 for number in range(500)}))
    reasons = [value for (name, _), value in samples(metrics).items() if name == "bystander_bad_frames_total"]
    assert len(reasons) == MAX_VALUES
    assert sum(reasons) == 1000


def test_histograms_are_in_seconds() -> None:
    metrics = Metrics()
    metrics.write_seconds.observe(0.003)
    metrics.flush_seconds.observe(20)
    seen = samples(metrics)
    assert seen["bystander_write_seconds_bucket", "0.0025"] == 0
    assert seen["bystander_write_seconds_bucket", "0.005"] == 1
    assert seen["bystander_flush_seconds_sum", ""] == 20


def test_two_recorders_in_one_process_do_not_share_metrics() -> None:
    first, second = Metrics(), Metrics()
    first.update(Totals(packets=1))
    assert samples(second)["bystander_packets_total", ""] == 0


@pytest.fixture
def health() -> dict[str, Health]:
    return {"now": Health(True, {"interface": "mirror0"})}


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest, health: dict[str, Health]) -> Iterator[MetricsServer]:
    if request.param == "::1":
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::1", 0))
            except OSError:
                pytest.skip("no IPv6 on this machine")
    metrics = Metrics()
    metrics.update(TOTALS)
    served = MetricsServer(metrics, (request.param, 0), lambda: health["now"])
    yield served
    served.close()


def ask(server: MetricsServer, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    connection.request(method, path)
    answer = connection.getresponse()
    found = answer.status, answer.headers["Content-Type"], answer.read()
    connection.close()
    return found


def test_metrics_are_served(server: MetricsServer) -> None:
    status, content_type, body = ask(server, "/metrics")
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    assert b"\nbystander_packets_total 10.0\n" in body
    assert ask(server, "/metrics", "HEAD")[2] == b""


def test_health_is_a_status(server: MetricsServer, health: dict[str, Health]) -> None:
    status, content_type, body = ask(server, "/healthz?verbose")
    assert (status, content_type) == (200, "application/json")
    assert json.loads(body) == {"status": "ok", "interface": "mirror0"}
    health["now"] = Health(False)
    status, _, body = ask(server, "/healthz")
    assert (status, json.loads(body)) == (503, {"status": "not capturing"})


def test_nothing_else_is_served(server: MetricsServer) -> None:
    assert [ask(server, path)[0] for path in ("/", "/metrics/", "/../etc/passwd")] == [404, 404, 404]
    assert ask(server, "/metrics", "POST")[0] == 501


def test_the_address_is_free_again_after_close() -> None:
    first = MetricsServer(Metrics(), ("127.0.0.1", 0), lambda: Health(True))
    with pytest.raises(
        UserError, match=r"^\[metrics\] listen: cannot serve on 127\.0\.0\.1 port \d+: Address"
    ):
        MetricsServer(Metrics(), first.address, lambda: Health(True))
    first.close()
    MetricsServer(Metrics(), first.address, lambda: Health(True)).close()


@promtool
def test_promtool_finds_nothing_to_say_about_the_metrics() -> None:
    metrics = Metrics()
    metrics.update(TOTALS)
    body, _ = metrics.text()
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=body, capture_output=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, b"")


@promtool
def test_promtool_accepts_the_rules() -> None:
    checked = subprocess.run(
        ["promtool", "check", "rules", RULES], capture_output=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", ["prometheus-rules.yml", "grafana-dashboard.json"])
def test_alerts_and_dashboard_name_only_metrics_that_are_served(name: str) -> None:
    metrics = Metrics()
    metrics.update(TOTALS)
    served = {name for name, _ in samples(metrics)}
    text = (RULES.parent / name).read_text()
    named = set(re.findall(r"bystander_\w+", "\n".join(re.findall(r"expr\W+(.*(?:\n +>.*)*)", text))))
    assert len(named) >= 4
    assert named <= served


def test_what_is_known_of_the_vault_is_served() -> None:
    metrics = Metrics()
    metrics.update(TOTALS)
    served = {name: value for (name, _), value in samples(metrics).items()}
    assert served["bystander_sealed_total"] == 7
    assert served["bystander_erased_total"] == 5
    assert served["bystander_overdue_recordings"] == 3
    assert served["bystander_held_recordings"] == 4
    assert served["bystander_last_sweep_timestamp_seconds"] == 6
    assert (served["bystander_sweep_refused"], served["bystander_clock_trusted"]) == (1, 1)
    assert (served["bystander_space_free_bytes"], served["bystander_space_short"]) == (1000, 1)
    assert served["bystander_space_left_seconds"] == 12.5 * 86_400
    metrics.update(Totals())
    assert ("bystander_space_left_seconds", "") not in samples(metrics)
