"""extract, end to end on generated traffic whose every sample is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import verify
from benchmarks.traffic import Traffic, write
from bystander.config import settings
from bystander.errors import UserError
from bystander.extract import extract


@pytest.mark.parametrize(
    "traffic",
    [
        pytest.param(Traffic(calls=6, seconds=12, ptime_ms=(10, 20)), id="clean"),
        pytest.param(Traffic(calls=6, seconds=12, noise=0.3), id="noise"),
        pytest.param(
            Traffic(calls=6, seconds=12, loss=0.03, reorder=0.03, duplicates=0.05),
            id="loss, reordering, copies",
        ),
    ],
)
def test_every_sample_of_every_call(tmp_path: Path, traffic: Traffic) -> None:
    """Calls longer than a row of the arena, so that spool, memory and mixing all take part."""
    capture = tmp_path / "t.pcap"
    truth = write(traffic, capture)
    out = tmp_path / "out"
    result = extract([capture], out)
    found = verify.check(truth, result["calls"], out)
    assert not found.problems, found.problems[:5]
    assert found.complete == 6
    assert json.loads((out / "calls.json").read_text()) == result
    assert {path.suffix for path in out.iterdir()} == {".wav", ".json"}
    assert not result["unclaimed_streams"]


def test_excluded_numbers_are_listed_and_not_recorded(tmp_path: Path) -> None:
    capture = tmp_path / "t.pcap"
    write(Traffic(calls=2, seconds=2), capture)
    callers = [call["caller"] for call in extract([capture], tmp_path / "all")["calls"]]
    config = settings(recording={"exclude": [callers[0]]})
    calls = extract([capture], tmp_path / "some", config)["calls"]
    verdicts = {call["caller"]: (call["verdict"], call["recording"] is None) for call in calls}
    assert verdicts[callers[0]] == ("excluded", True)
    assert len(list((tmp_path / "some").glob("*.wav"))) == sum(not silent for _, silent in verdicts.values())


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    capture = tmp_path / "t.pcap"
    write(Traffic(calls=1, seconds=1), capture)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write to") as caught:
        extract([capture], tmp_path / "file" / "out")
    assert "\n" not in str(caught.value)
