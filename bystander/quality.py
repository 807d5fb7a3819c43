"""The quality of a stream as its JSON object has it: what was measured, where, and what it sounds like.

The point of measurement is the mirror port: what is lost behind it is not seen, and what the capture itself
has lost is told apart (C23) and does not count against the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bystander.codecs.emodel import burst_ratio, mos, r_factor
from bystander.lang import t
from bystander.rtcpview import rtcp_object
from bystander.sniffer.delays import DelayFigures
from bystander.sniffer.senderclock import agree, clock_slope

if TYPE_CHECKING:
    from bystander.sniffer.reports import Heard
    from bystander.sniffer.stream import Figures, Measures

#: Packets of one stream that the capture lost, beyond which its recording has a hole that can be heard.
AUDIBLE: Final = 5
MEASURED_AT: Final = "capture point"


def quality_object(
    figures: Figures,
    measures: Measures | None,
    codec: str | None,
    heard: Heard | None = None,
    clock_hz: int | None = None,
) -> dict[str, Any] | None:
    """Describe how a stream came, and what RTCP said of it; None for one that an earlier process measured."""
    if measures is None:
        return None
    losses, delays = measures.losses, measures.delays
    expected = figures.packets + figures.lost
    capture = min(_lost_by_the_capture(measures, heard), figures.lost)
    network = figures.lost - capture
    late = min(measures.late, figures.packets)
    gap_packets = max(expected - losses.burst_packets, 0)
    timed = measures.timed and delays.seconds > 0
    reckoned = max(expected - capture, 1)
    rating = None
    if codec is not None and measures.timed:
        share = 100 * min(1.0, (network + late) / reckoned)
        rating = r_factor(codec, share, burst_ratio(network, losses.runs, reckoned))
    return {
        "measured_at": MEASURED_AT,
        "expected": expected,
        "lost_percent": _round(100 * network / reckoned, 3),
        "capture_lost": capture,
        "late": late if timed else None,
        "bursts": losses.bursts,
        "burst_density_percent": _share(losses.burst_lost, losses.burst_packets),
        "gap_density_percent": _share(losses.isolated, gap_packets),
        "longest_gap_ms": _round(losses.longest_ns / 1e6, 1),
        "jitter_max_ms": _round(measures.jitter_most_ms, 3) if measures.timed else None,
        "delay_variation_ms": {
            "median": _round(delays.median_ms, 2),
            "p95": _round(delays.p95_ms, 2),
            "max": _round(delays.most_ms, 2),
        }
        if timed
        else None,
        **_drift(delays, heard, clock_hz),
        "r_factor": _round(rating, 1),
        "mos_lq": None if rating is None else _round(mos(rating), 2),
        "rtcp": rtcp_object(heard, clock_hz),
    }


def _drift(delays: DelayFigures, heard: Heard | None, clock_hz: int | None) -> dict[str, Any]:
    """Describe the drift of the sender's clock: by arrivals, or where those do not tell by what it says."""
    told, source = (delays.drift_ppm, delays.drift_error_ppm), "arrivals"
    if told[0] is None and delays.slope is not None and heard is not None and clock_hz:
        said = clock_slope(heard.reported.reports, clock_hz)
        if said is not None and agree(said, delays.slope):
            told, source = said, "sender-reports"
    return {
        "clock_drift_ppm": _round(told[0], 2),
        "clock_drift_error_ppm": _round(told[1], 2),
        "clock_drift_source": None if told[0] is None else source,
    }


def missed_audibly(measures: Measures | None, heard: Heard | None = None) -> bool:
    """Tell whether the capture lost so much of a stream that its recording is partial."""
    return measures is not None and _lost_by_the_capture(measures, heard) >= AUDIBLE


def _lost_by_the_capture(measures: Measures, heard: Heard | None) -> int:
    """Return what is missing everywhere at once, or what the receiver has and the capture has not."""
    return max(measures.losses.capture, heard.capture_lost if heard is not None else 0)


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 3) if whole else 0.0


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def heard_quality(call: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return who said it and the stream object of the fullest stream of each side: the one that is heard."""
    best: dict[str, dict[str, Any]] = {}
    for stream in call["streams"]:
        known = best.get(stream.get("by", ""))
        if stream.get("quality") and (known is None or stream["packets"] > known["packets"]):
            best[stream.get("by", "")] = stream
    return sorted(best.items())


def summary(call: dict[str, Any]) -> str | None:
    """Say in one line how each side of a call came; None where nothing was measured."""
    said = []
    for by, stream in heard_quality(call):
        quality = stream["quality"]
        words = [] if quality["mos_lq"] is None else [t("MOS {mos:.1f}", mos=quality["mos_lq"])]
        words.append(t("loss {percent:.1f} %", percent=quality["lost_percent"]))
        if quality["jitter_max_ms"] is not None:
            words.append(t("jitter {ms:.1f} ms", ms=stream["jitter_ms"]))
        if lost := quality["capture_lost"]:
            words.append(t("{lost} {lost:packet|packets} lost by the capture", lost=lost))
        said.append(f"{t(by)} {', '.join(words)}")
    return f"{'; '.join(said)} {t('(listening, at the capture point)')}" if said else None
