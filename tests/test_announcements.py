"""R3: the check of the announcement on real calls, one of every kind (`make announcements`: 240)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.announcements import PROGRAMS, check, missing, table
from tests.announcements import plan as planned

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(missing(PROGRAMS)), reason=f"the lab: {missing(PROGRAMS)}"),
]


def test_r3_each_call_is_told_for_what_it_was(tmp_path: Path) -> None:
    outcomes = check(tmp_path / "calls", planned(20, seed=3, lead_s=3.0), rate=8.0, sentences=3)
    assert all(one.right for one in outcomes), "\n" + table(outcomes)
    assert sum(one.lost for one in outcomes) > 20 and sum(one.reordered for one in outcomes) > 0
    there = [one.score for one in outcomes if one.case.state != "missing"]
    assert min(there) > max(one.score for one in outcomes if one.case.state == "missing") + 0.1
    # What sipp sends begins when the kernel lets it; the packets of 20 ms say where.
    assert max(abs(one.error_s) for one in outcomes if one.error_s is not None) < 0.1
    assert max(abs(one.star_error_s) for one in outcomes if one.star_error_s is not None) < 0.1
