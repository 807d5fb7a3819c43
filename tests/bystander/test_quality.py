"""The quality of a stream as it is told: against TShark on telephones' own calls, and by known figures."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from bystander.extract import extract
from bystander.quality import AUDIBLE, missed_audibly, quality_object, summary
from bystander.qualitymetrics import QualityMetrics
from bystander.sniffer.delays import DelayFigures, Slope
from bystander.sniffer.losses import LossFigures
from bystander.sniffer.reports import Heard
from bystander.sniffer.senderclock import Report
from bystander.sniffer.stream import Figures, Measures

DATA = Path(__file__).parents[1] / "data"


def figures(packets: int = 1000, lost: int = 0) -> Figures:
    return Figures(packets, lost, 0, 0, 1.5, 10**18, 0)


def measures(losses: LossFigures | None = None, late: int = 0, *, timed: bool = True) -> Measures:
    delays = DelayFigures(20, 1.25, 2.5, 9.0, 12.345, 0.678) if timed else DelayFigures()
    return Measures(losses or LossFigures(), delays, timed, 2.25 if timed else 0.0, late)


def test_a_stream_without_fault() -> None:
    assert quality_object(figures(), measures(), "PCMA") == {
        "measured_at": "capture point",
        "expected": 1000,
        "lost_percent": 0.0,
        "capture_lost": 0,
        "late": 0,
        "bursts": 0,
        "burst_density_percent": 0.0,
        "gap_density_percent": 0.0,
        "longest_gap_ms": 0.0,
        "jitter_max_ms": 2.25,
        "delay_variation_ms": {"median": 1.25, "p95": 2.5, "max": 9.0},
        "clock_drift_ppm": 12.35,
        "clock_drift_error_ppm": 0.68,
        "clock_drift_source": "arrivals",
        "r_factor": 93.2,
        "mos_lq": 4.41,
        "rtcp": None,
    }


def test_c23_what_the_capture_lost_is_not_the_networks() -> None:
    """100 packets are missing, of which the network has lost 20; the others ruin no score."""
    losses = LossFigures(runs=12, bursts=2, burst_packets=110, burst_lost=100, capture=80)
    found = quality_object(figures(900, 100), measures(losses), "PCMA")
    assert found is not None
    assert (found["capture_lost"], found["lost_percent"]) == (80, round(100 * 20 / 920, 3))
    assert (found["burst_density_percent"], found["gap_density_percent"]) == (90.909, 0.0)
    alone = quality_object(figures(900, 20), measures(LossFigures(runs=12)), "PCMA")
    assert alone is not None
    assert found["mos_lq"] == pytest.approx(alone["mos_lq"], abs=0.02)
    assert missed_audibly(measures(losses))
    assert not missed_audibly(measures(LossFigures(capture=AUDIBLE - 1)))


def test_c23_packets_too_late_ruin_a_call_as_lost_ones_do() -> None:
    late = quality_object(figures(), measures(late=200), "PCMA")
    assert late is not None
    assert late["lost_percent"] == 0
    assert late["mos_lq"] < 2.8


def test_what_is_not_known_is_null() -> None:
    found = quality_object(figures(), measures(timed=False), "OPUS")
    assert found is not None
    for name in ("late", "jitter_max_ms", "delay_variation_ms", "clock_drift_ppm", "r_factor", "mos_lq"):
        assert found[name] is None, name
    assert quality_object(figures(), None, "PCMA") is None


def call(direction: str = "incoming", state: str = "answered") -> dict[str, object]:
    losses = LossFigures(runs=12, capture=80)
    sides = [("caller", figures(900, 100), measures(losses)), ("callee", figures(), measures())]
    streams = [
        {"by": by, "packets": f.packets, "jitter_ms": f.jitter_ms, "quality": quality_object(f, m, "PCMA")}
        for by, f, m in sides
    ]
    # Of two streams of one side the fuller one is heard.
    streams.append({"by": "callee", "packets": 3, "jitter_ms": 0.0, "quality": streams[0]["quality"]})
    return {"state": state, "direction": direction, "streams": streams}


def test_a_line_for_people() -> None:
    said = summary(call())
    assert said == (
        "callee MOS 4.4, loss 0.0 %, jitter 1.5 ms; caller MOS 4.2, loss 2.2 %, jitter 1.5 ms, "
        "80 packets lost by the capture (listening, at the capture point)"
    )
    assert summary({"streams": [{"by": "caller", "packets": 1}]}) is None


def test_histograms_by_direction_and_no_other_label() -> None:
    registry = CollectorRegistry()
    observed = QualityMetrics(registry)
    for direction in ("incoming", "incoming", "sideways"):
        observed.observe(call(direction))
    observed.observe(call("internal", state="busy"))

    def count(name: str, direction: str) -> float | None:
        return registry.get_sample_value(f"bystander_{name}_count", {"direction": direction})

    for name in ("side_mos", "side_loss_ratio", "side_capture_loss_ratio", "side_jitter_seconds"):
        assert [count(name, d) for d in ("incoming", "outgoing", "internal", "unknown")] == [4, 0, 0, 2]
    total = registry.get_sample_value("bystander_side_capture_loss_ratio_sum", {"direction": "incoming"})
    assert total == pytest.approx(0.16)


LINE = re.compile(
    r"^ *\S+ +\S+ +(\S+) +(\d+) +(\S+) +(\d+) +(0x\w+) +\S.*? +(\d+) +(-?\d+) \(.*?%\)((?: +[\d.]+){6,})"
)


def tshark_streams(capture: Path) -> dict[tuple[str, str], tuple[int, int, float, float]]:
    """(source port, SSRC) -> packets, lost, mean and greatest jitter of ``rtp,streams``."""
    command = ["tshark", "-q", "-r", str(capture), "-z", "rtp,streams"]
    found = {}
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        match = LINE.match(line)
        if match:
            *_, mean, most = [float(value) for value in match[8].split()][:6]
            found[match[2], match[5].lower()] = (int(match[6]), int(match[7]), mean, most)
    return found


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not there")
@pytest.mark.parametrize("name", ["pcma", "impaired", "ptime", "g722", "opus", "ipv6"])
def test_loss_and_jitter_are_tsharks(name: str, tmp_path: Path) -> None:
    """Jitter of G.711, G.722 and Opus, to the microsecond; ours at the most is looked at once a second."""
    capture = DATA / f"{name}.pcap"
    theirs = tshark_streams(capture)
    streams = [stream for call in extract([capture], tmp_path)["calls"] for stream in call["streams"]]
    assert len(streams) == len(theirs) > 0
    for stream in streams:
        packets, lost, mean, most = theirs[stream["src"].rsplit(":", 1)[1], stream["ssrc"]]
        # TShark counts copies against losses.
        assert stream["packets"] + stream["duplicates"] == packets
        assert stream["lost"] - stream["duplicates"] == lost
        if name != "impaired":  # where packets overtake each other TShark goes by another order
            assert stream["jitter_ms"] == pytest.approx(mean, abs=0.002)
            assert stream["jitter_ms"] * 0.99 <= stream["quality"]["jitter_max_ms"] <= most + 0.002


def unsteady(said: Slope | None, slope: Slope | None) -> dict[str, object]:
    """What is told of the drift of a stream whose arrivals do not tell it."""
    heard = Heard(sender_reports=12)
    for n in range(12 if said is not None else 0):
        assert said is not None
        at = n * 5 * 10**9
        heard.reported.add(Report(at, at, round(n * 5 * 8000 * (1 + said.ppm * 1e-6))))
    delays = DelayFigures(40, 30.0, 60.0, 90.0, slope=slope)
    found = quality_object(figures(), Measures(LossFigures(), delays, True, 9.0, 0), "PCMA", heard, 8000)
    assert found is not None
    return {name: value for name, value in found.items() if name.startswith("clock_drift")}


def test_drift_by_what_the_sender_says_where_arrivals_do_not_tell() -> None:
    found = unsteady(Slope(100, 1), Slope(60, 25))
    assert found["clock_drift_ppm"] == pytest.approx(100, abs=4)
    assert found["clock_drift_source"] == "sender-reports"
    nothing = {"clock_drift_ppm": None, "clock_drift_error_ppm": None, "clock_drift_source": None}
    assert unsteady(Slope(100, 1), Slope(-60, 25)) == nothing  # arrivals contradict it
    assert unsteady(Slope(100, 1), None) == nothing  # or have nothing to say
    assert unsteady(None, Slope(60, 25)) == nothing
