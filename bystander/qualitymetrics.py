"""Quality as Prometheus sees it: histograms over the sides of answered calls, by direction."""

from __future__ import annotations

from typing import Any, Final

from prometheus_client import CollectorRegistry, Histogram

from bystander.quality import heard_quality

#: Where users notice: 4.3 is as good as it gets, 3.6 is what many dislike, 2.6 what nearly all do (G.107).
_MOS: Final = (1.5, 2.0, 2.6, 3.1, 3.6, 4.0, 4.3)
_LOSS: Final = (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
_JITTER_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
_DIRECTIONS: Final = ("incoming", "outgoing", "internal", "unknown")


class QualityMetrics:
    """Histograms of quality at the capture point, one observation for each side of a call."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, help_: str, buckets: tuple[float, ...]) -> Histogram:
            made = Histogram(
                f"bystander_{name}", help_, labelnames=["direction"], buckets=buckets, registry=registry
            )
            for direction in _DIRECTIONS:
                made.labels(direction)
            return made

        self._mos = histogram(
            "side_mos", "Listening quality (G.107) of one side of a call, at the capture point.", _MOS
        )
        self._loss = histogram(
            "side_loss_ratio", "Packets the network lost of one side, at the capture point.", _LOSS
        )
        self._capture = histogram(
            "side_capture_loss_ratio", "Packets of one side that the capture itself has lost.", _LOSS
        )
        self._jitter = histogram(
            "side_jitter_seconds", "Mean interarrival jitter (RFC 3550) of one side.", _JITTER_S
        )

    def observe(self, call: dict[str, Any]) -> None:
        """Take a finished call's JSON object; from any thread."""
        if call.get("state") != "answered":
            return
        direction = call["direction"] if call["direction"] in _DIRECTIONS else "unknown"
        for _, stream in heard_quality(call):
            quality = stream["quality"]
            self._loss.labels(direction).observe(quality["lost_percent"] / 100)
            self._capture.labels(direction).observe(quality["capture_lost"] / max(quality["expected"], 1))
            if quality["mos_lq"] is not None:
                self._mos.labels(direction).observe(quality["mos_lq"])
            if quality["jitter_max_ms"] is not None:
                self._jitter.labels(direction).observe(stream["jitter_ms"] / 1000)
