"""The E-model: figures of G.107 and G.113, and what must hold for any loss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.codecs.emodel import IMPAIRMENTS, burst_ratio, mos, r_factor


@pytest.mark.parametrize(
    ("r", "score"), [(93.2, 4.41), (80, 4.02), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1.0), (100, 4.5)]
)
def test_scores_of_g107_annex_b(r: float, score: float) -> None:
    assert mos(r) == pytest.approx(score, abs=0.011)


@pytest.mark.parametrize(
    ("codec", "loss", "burst", "r"),
    [
        ("PCMA", 0, 1, 93.2),
        ("pcmu", 1, 1, 93.2 - 95 / 26.1),
        ("PCMU", 5, 2, 93.2 - 95 * 5 / (2.5 + 25.1)),
        ("G729", 2, 1, 93.2 - 11 - 84 * 2 / 21),
        ("G723", 0, 1, 78.2),
        ("GSM", 0, 1, 73.2),
    ],
)
def test_ratings(codec: str, loss: float, burst: float, r: float) -> None:
    assert r_factor(codec, loss, burst) == pytest.approx(r)


def test_what_has_no_published_values_has_no_rating() -> None:
    assert r_factor("OPUS", 0) is None
    assert r_factor("G722", 0) is None
    assert r_factor("GSM", 0.5) is None


@given(st.sampled_from(sorted(IMPAIRMENTS)), st.floats(0, 100), st.floats(0, 100), st.floats(1, 20))
def test_more_loss_is_never_better(codec: str, one: float, two: float, burst: float) -> None:
    less, more = (r_factor(codec, loss, burst) for loss in sorted((one, two)))
    if less is not None and more is not None:
        assert 0 <= more <= less <= 93.2
        assert 1 <= mos(more) <= mos(less) + 1e-9 <= 4.5


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 5000))
def test_bursts_are_worse_than_chance_or_equal(lost: int, runs: int, expected: int) -> None:
    assert burst_ratio(lost, min(runs, lost), expected) >= 1.0


def test_losses_in_a_row() -> None:
    assert burst_ratio(lost=100, runs=20, expected=1000) == pytest.approx(4.5)
    assert burst_ratio(lost=10, runs=10, expected=1000) == 1.0
