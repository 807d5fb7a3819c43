"""What RTCP said of a stream, as its JSON object has it, and which streams it says are of one source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bystander.sniffer.claims import StreamLike
    from bystander.sniffer.reports import Heard
    from bystander.sniffer.rtcp import VoipMetrics

#: Beyond this a figure is none: somebody's clock was set, or the sender does not know what it says.
_MOST_PPM: Final = 100_000.0
_MOST_JITTER_MS: Final = 60_000.0
#: One source does not speak with two voices: the next SSRC begins when the last is silent, or nearly.
_OVERLAP_NS: Final = 1_000_000_000


def rtcp_object(heard: Heard | None, clock_hz: int | None) -> dict[str, Any] | None:
    """Describe what the sender and the receiver of a stream reported; None where neither did."""
    if heard is None or not (heard.sender_reports or heard.receiver_reports or heard.metrics):
        return None
    reports = heard.receiver_reports
    wall_ppm, media_ppm = heard.clock_rates_ppm(clock_hz or 0)
    return {
        "sender_reports": heard.sender_reports,
        "wall_clock_ppm": _believed(wall_ppm, _MOST_PPM, 1),
        "media_clock_ppm": _believed(media_ppm, _MOST_PPM, 1),
        "bye": heard.left_ns is not None,
        "receiver_reports": reports,
        "receiver_lost": heard.lost if reports else None,
        "receiver_loss_max_percent": round(100 * heard.fraction_most / 256, 1) if reports else None,
        "receiver_jitter_ms": _believed(1000 * heard.jitter_sum / reports / clock_hz, _MOST_JITTER_MS, 3)
        if reports and clock_hz
        else None,
        "receiver_jitter_max_ms": _believed(1000 * heard.jitter_most / clock_hz, _MOST_JITTER_MS, 3)
        if reports and clock_hz
        else None,
        "round_trip_ms": {
            "mean": round(heard.round_trip_sum_ns / heard.round_trips / 1e6, 2),
            "max": round(heard.round_trip_most_ns / 1e6, 2),
        }
        if heard.round_trips
        else None,
        "xr": None if heard.metrics is None else _metrics_object(heard.metrics),
    }


def _metrics_object(said: VoipMetrics) -> dict[str, Any]:
    """Describe the receiver's own VoIP metrics (RFC 3611 §4.7), in our units."""
    return {
        "loss_percent": round(100 * said.loss / 256, 1),
        "discard_percent": round(100 * said.discard / 256, 1),
        "burst_density_percent": round(100 * said.burst_density / 256, 1),
        "gap_density_percent": round(100 * said.gap_density / 256, 1),
        "round_trip_ms": said.round_trip_ms or None,
        "jitter_buffer_ms": said.buffer_ms or None,
        "r_factor": said.r if said.r <= 100 else None,
        "mos_lq": said.mos_lq / 10 if 10 <= said.mos_lq <= 50 else None,
        "mos_cq": said.mos_cq / 10 if 10 <= said.mos_cq <= 50 else None,
    }


def continued(streams: Sequence[tuple[StreamLike, Heard | None]]) -> dict[int, int]:
    """Return which streams go on with another SSRC where the one before left off: its place -> that SSRC.

    A source that changes its SSRC keeps its CNAME (RFC 3550 §6.5.1, §8.2).
    """
    latest: dict[object, StreamLike] = {}
    found = {}
    for place in sorted(range(len(streams)), key=lambda place: streams[place][0].first_ns):
        stream, heard = streams[place]
        if heard is None or not heard.cname:
            continue
        source = (stream.src, stream.dst, heard.cname)
        before = latest.get(source)
        if before is not None and before.last_ns - stream.first_ns <= _OVERLAP_NS:
            found[place] = before.ssrc
        latest[source] = stream
    return found


def _believed(value: float | None, most: float, digits: int) -> float | None:
    return None if value is None or abs(value) > most else round(value, digits)
