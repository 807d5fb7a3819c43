"""The check of recordings finds what is wrong with them: a wrong voice, swapped sides, missing packets."""

from __future__ import annotations

import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import voices
from benchmarks.verify import check, matching

START_NS = 1_795_464_000_000_000_000
SAMPLES = 16_000


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], Path]:
    """One call, whole: the truth, its call object, and the folder with its WAV."""
    spoken = [voices.expected(side, voices.PCMA, SAMPLES) for side in (0, 1)]
    wav = np.zeros((SAMPLES + 800, 2), dtype=np.int16)
    wav[400 : 400 + SAMPLES, 0] = spoken[0]
    wav[480 : 480 + SAMPLES, 1] = spoken[1]
    soundfile.write(tmp_path / "one.wav", wav, 8000)
    sides = []
    for side, late_ms in ((0, 50), (1, 60)):
        sides.append(
            {
                "src": f"10.0.0.{side}:4000",
                "ssrc": f"0x0000000{side}",
                "packets": 100,
                "lost": 0,
                "duplicates": 0,
                "samples": SAMPLES,
                "first_ns": START_NS + late_ms * 1_000_000,
            }
        )
    truth = {"calls": [{"call_id": "a@b", "payload_type": voices.PCMA, "streams": sides}]}
    ours = [{**side, "by": by} for side, by in zip(sides, ("caller", "callee"), strict=True)]
    call = {
        "call_id": "a@b",
        "state": "answered",
        "verdict": "recorded",
        "streams": ours,
        "recording": {
            "path": "one.wav",
            "starts_at": "2026-11-23T20:00:00.000Z",
            "duration_s": len(wav) / 8000,
            "sample_rate": 8000,
            "channels": 2,
        },
    }
    return truth, [call], tmp_path


def test_a_whole_recording_is_complete(
    recorded: tuple[dict[str, Any], list[dict[str, Any]], Path],
) -> None:
    found = check(*recorded)
    assert (found.complete, found.heard, found.missing_packets, found.problems) == (1, 1, 0, [])


def test_each_fault_is_found(recorded: tuple[dict[str, Any], list[dict[str, Any]], Path]) -> None:
    truth, calls, folder = recorded

    def fault(change: Any) -> str:
        spoiled = deepcopy(calls)
        change(spoiled)
        found = check(truth, spoiled, folder)
        assert found.problems
        return found.problems[0]

    assert "99 of 100 packets of the caller" in fault(lambda c: c[0]["streams"][0].update(packets=99))
    assert "0 of 100 packets of the callee" in fault(lambda c: c[0]["streams"][1].update(by="caller"))
    assert "duplicates" in fault(lambda c: c[0]["streams"][0].update(duplicates=1))
    assert "s of WAV" in fault(lambda c: c[0]["recording"].update(duration_s=1.0))
    assert "partial" in fault(lambda c: c[0].update(verdict="partial"))
    assert "was not found" in fault(lambda c: c.clear())
    assert "2 times" in fault(lambda c: c.append(deepcopy(c[0])))
    assert "never made" in fault(lambda c: c.append({**deepcopy(c[0]), "call_id": "x"}))


def test_swapped_sides_and_another_voice_are_heard(
    recorded: tuple[dict[str, Any], list[dict[str, Any]], Path],
) -> None:
    truth, calls, folder = recorded
    wav, rate = soundfile.read(folder / "one.wav", dtype="int16")
    soundfile.write(folder / "one.wav", wav[:, ::-1], rate)
    assert "left is 0.00% what was said" in check(truth, calls, folder).problems[0]
    wav[2000, 0] += 8
    soundfile.write(folder / "one.wav", wav, rate)
    assert "left is 99.99% what was said" in check(truth, calls, folder).problems[0]


def test_a_slip_of_one_sample_is_not_a_match_of_the_whole() -> None:
    spoken = voices.expected(5, voices.PCMU, SAMPLES)
    slipped = np.concatenate([spoken[:8000], spoken[8001:], spoken[:1]])
    assert matching(spoken, spoken, 0) == 1.0
    assert 0.4 < matching(slipped, spoken, 0) < 0.7
    assert matching(voices.expected(6, voices.PCMU, SAMPLES), spoken, 0) == 0.0
