"""RTCP as it is told: what cannot be is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.rtcpview import rtcp_object
from bystander.sniffer.reports import Heard
from bystander.sniffer.rtcp import VoipMetrics

S = 1_000_000_000
BYTE, SHORT = st.integers(0, 255), st.integers(0, 65535)


def metrics(**said: int) -> VoipMetrics:
    return VoipMetrics(**(dict.fromkeys(VoipMetrics._fields, 0) | said))


def told(**heard: Any) -> dict[str, Any]:
    found = rtcp_object(Heard(**({"sender_reports": 2, "receiver_reports": 1} | heard)), 8000)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("sent", "shown"), [(9, None), (10, 1.0), (41, 4.1), (50, 5.0), (116, None), (127, None)]
)
def test_a_score_outside_its_scale_is_none(sent: int, shown: float | None) -> None:
    xr = told(metrics=metrics(mos_lq=sent, mos_cq=sent))["xr"]
    assert (xr["mos_lq"], xr["mos_cq"]) == (shown, shown)


@pytest.mark.parametrize(("sent", "shown"), [(0, 0), (93, 93), (100, 100), (101, None), (127, None)])
def test_an_r_factor_outside_its_scale_is_none(sent: int, shown: int | None) -> None:
    assert told(metrics=metrics(r=sent))["xr"]["r_factor"] == shown


def test_jitter_of_hours_is_none() -> None:
    found = told(jitter_sum=80, jitter_most=0xFFFFFFFF)
    assert (found["receiver_jitter_ms"], found["receiver_jitter_max_ms"]) == (10.0, None)


def test_a_clock_that_was_set_is_no_rate() -> None:
    found = told(first=(0, 0, 0), last=(30 * S, 3000 * S, 30 * 8000))
    assert (found["wall_clock_ppm"], found["media_clock_ppm"]) == (None, None)
    found = told(first=(0, 0, 0), last=(100 * S, 100 * S + S // 100, 100 * 8000 + 40))
    assert (found["wall_clock_ppm"], found["media_clock_ppm"]) == (100.0, -50.0)


@given(st.builds(metrics, r=BYTE, mos_lq=BYTE, mos_cq=BYTE, loss=BYTE, discard=BYTE, round_trip_ms=SHORT))
def test_whatever_is_sent_what_is_told_is_on_its_scale(said: VoipMetrics) -> None:
    xr = told(metrics=said)["xr"]
    assert xr["r_factor"] is None or 0 <= xr["r_factor"] <= 100
    assert all(xr[name] is None or 1 <= xr[name] <= 5 for name in ("mos_lq", "mos_cq"))
    assert 0 <= xr["loss_percent"] < 100
