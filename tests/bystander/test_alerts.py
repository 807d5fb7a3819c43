"""The alerts of deploy/prometheus-rules.yml: each fires on what it is for, and is silent on a quiet day."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

RULES = Path(__file__).parents[2] / "deploy" / "prometheus-rules.yml"

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not there"
)

_MOS = "bystander_side_mos_{}{{direction='incoming'{}}}"
_CAPTURE = "bystander_side_capture_loss_ratio_{}{}"
#: What is scraped once a minute, in promtool's notation, and the alert that this is for.
TROUBLE: dict[str, dict[str, str]] = {
    "BystanderDown": {"up{job='bystander'}": "0x60"},
    "BystanderMirrorSilent": {"bystander_last_frame_timestamp_seconds": "60x60"},
    "BystanderPacketsDropped": {"bystander_kernel_drops_total": "0+5x60"},
    "BystanderOneWay": {
        "bystander_verdicts_total{verdict='one-way'}": "0+1x60",
        "bystander_verdicts_total{verdict='recorded'}": "0+1x60",
    },
    "BystanderNoMedia": {
        "bystander_verdicts_total{verdict='no-media'}": "0+1x60",
        "bystander_verdicts_total{verdict='recorded'}": "0+1x60",
    },
    "BystanderEncrypted": {
        "bystander_verdicts_total{verdict='encrypted'}": "0+1x60",
        "bystander_verdicts_total{verdict='recorded'}": "0+1x60",
    },
    "BystanderWriteQueue": {"bystander_queue_depth{queue='write'}": "200x60"},
    "BystanderSpoolErrors": {"bystander_spool_errors_total": "0+1x60"},
    "BystanderLinkLost": {"bystander_link_losses_total": "0+1x60"},
    "BystanderOverdue": {"bystander_overdue_recordings": "3x2400"},
    "BystanderSweepRefused": {"bystander_sweep_refused": "1x60"},
    "BystanderSpaceRunsOut": {"bystander_space_left_seconds": "3600x120"},
    "BystanderNoSpace": {"bystander_space_short": "1x60"},
    "BystanderCaptureLoss": {
        _CAPTURE.format("bucket", "{le='0.001'}"): "0+1x60",
        _CAPTURE.format("bucket", "{le='+Inf'}"): "0+2x60",
        _CAPTURE.format("count", ""): "0+2x60",
    },
    "BystanderPoorQuality": {
        _MOS.format("bucket", ", le='3.1'"): "0+1x120",
        _MOS.format("count", ""): "0+2x120",
    },
    "BystanderTlsUnread": {
        "bystander_tls_connections_total": "0+1x240",
        "bystander_tls_connections_read_total": "0x240",
    },
    "BystanderHepLost": {"bystander_hep_packets_total{result='queue-full'}": "0+1x60"},
    "BystanderHepRefused": {"bystander_hep_packets_total{result='foreign-sender'}": "0+1x120"},
    "BystanderHepSilent": {"bystander_hep_packets_total{result='taken'}": "0+1x60 60x240"},
    "BystanderAttemptsNotListed": {"bystander_table_evictions_total{table='waiting'}": "0+1x60"},
    "BystanderTableFull": {"bystander_table_evictions_total{table='claims'}": "0+1x60"},
}
QUIET = {
    "up{job='bystander'}": "1x2400",
    "bystander_last_frame_timestamp_seconds": "0+60x2400",
    "bystander_kernel_drops_total": "0x2400",
    "bystander_verdicts_total{verdict='one-way'}": "0+1x2400",
    "bystander_verdicts_total{verdict='recorded'}": "0+20x2400",
    "bystander_queue_depth{queue='write'}": "3x2400",
    "bystander_overdue_recordings": "0x2400",
    "bystander_space_left_seconds": "100000000x2400",
    "bystander_tls_connections_total": "0+1x2400",
    "bystander_tls_connections_read_total": "0+1x2400",
    "bystander_hep_packets_total{result='taken'}": "0+9x2400",
    "bystander_hep_packets_total{result='foreign-sender'}": "0x2400",
    "bystander_table_evictions_total{table='waiting'}": "0x2400",
}


def firing(tmp_path: Path, series: dict[str, str], alerts: list[str], expected: set[str]) -> None:
    """Check at the last scrape which of the alerts fire, with promtool."""
    at = max(sum(int(length) for length in re.findall(r"x(\d+)", values)) for values in series.values())
    cases: list[dict[str, Any]] = []
    for alert in alerts:
        # Labels and texts are not what this is about: counted by a query that names the alert.
        samples = [{"labels": "{}", "value": 1}] if alert in expected else []
        expr = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
        cases.append({"expr": expr, "eval_time": f"{at}m", "exp_samples": samples})
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": cases,
    }
    file = tmp_path / "alerts.json"  # JSON is YAML
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    run = subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def named() -> list[str]:
    return re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))


def test_every_alert_is_here() -> None:
    assert sorted(named()) == sorted(TROUBLE)


@pytest.mark.parametrize("alert", TROUBLE)
def test_it_fires_on_what_it_is_for(alert: str, tmp_path: Path) -> None:
    firing(tmp_path, TROUBLE[alert], [alert], {alert})


def test_nothing_fires_on_a_quiet_day(tmp_path: Path) -> None:
    firing(tmp_path, QUIET, named(), set())
