"""The check of the office's announcement (R3) on real calls: what it says of each, and what it should say.

    python -m tests.announcements --calls 240 --seed 1 [--keep FOLDER]        (make announcements)

sipp makes the calls in network namespaces (tests/lab/phonelab/announced.py), over a mirrored port; the
recorder reads the mirror into a vault, and checks each call while it seals it. It takes root, and the Debian
packages of `deploy/install-test-packages`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent / "lab"))

from phonelab.announced import KINDS, PREFIX, STAR_S, Case, Studio, make_calls, plan
from phonelab.network import missing

PROGRAMS = ("ip", "tc", "ethtool", "tcpdump", "sipp", "setpriv", "espeak-ng", "ffmpeg")


@dataclass(frozen=True)
class Outcome:
    """What was said of a call. ``error_s``: how far the beginning is off; ``star_error_s``: the star's."""

    case: Case
    said: str
    score: float
    heard_s: float
    error_s: float | None
    star_error_s: float | None
    lost: int
    reordered: int

    @property
    def right(self) -> bool:
        """Whether the state is what it should be, and the star was found if it was pressed and only then."""
        return self.said == self.case.state and (self.star_error_s is not None) == bool(self.case.star)


def check(folder: Path, cases: Sequence[Case], *, rate: float, sentences: int = 4) -> list[Outcome]:
    """Make the calls, record them, and compare. ``folder`` is a new one, and keeps everything."""
    folder.mkdir()
    studio = Studio(sentences)
    capture = folder / "mirror.pcap"
    make_calls(folder / "lab", capture, cases, studio, rate)
    return judge(cases, recorded(folder, capture, studio))


def recorded(folder: Path, capture: Path, studio: Studio) -> list[dict[str, Any]]:
    """Read a capture into a new vault; return its calls."""
    (folder / "passphrase").write_text("correct horse battery\n")
    person = ("--first-person", "A", "--post", "B", "--authorisation", "1", "--identity-out", folder / "key")
    _bystander("init", folder / "vault", *person, "--passphrase-file", folder / "passphrase")
    soundfile.write(folder / "vault/announcement.flac", studio.announcement, 8000)
    config = folder / "vault/bystander.toml"
    text = config.read_text().replace('#reference = "announcement.wav"', 'reference = "announcement.flac"')
    config.write_text(text.replace("[office]\n", f'[office]\nnumbers = ["{PREFIX}"]\n'))
    _bystander("run", "--read", capture, "-c", config)
    found: list[dict[str, Any]] = json.loads(_bystander("calls", "--json", "--limit", "100000", "-c", config))
    return found


def judge(cases: Sequence[Case], calls: Sequence[dict[str, Any]]) -> list[Outcome]:
    """Hold what was said of each call against what it was."""
    by_number = {call["callee"]: call for call in calls}
    if len(calls) != len(cases) or by_number.keys() != {case.callee for case in cases}:
        raise RuntimeError(f"{len(cases)} calls were made, {len(calls)} are recorded")
    return [_outcome(case, by_number[case.callee]) for case in cases]


def _outcome(case: Case, call: dict[str, Any]) -> Outcome:
    found = call.get("announcement") or {"state": "unchecked", "score": 0.0, "heard_s": 0.0}
    first = {stream["by"]: stream["first_at"] for stream in reversed(call["streams"])}
    error_s = star_s = None
    if found.get("at") and case.state != "missing" and "callee" in first:
        error_s = _apart_s(first["callee"], found["at"]) - case.at_s
    if found.get("star_at"):
        star_s = _apart_s(first["caller"], found["star_at"]) - STAR_S
    office = [stream for stream in call["streams"] if stream["by"] == "callee"]
    lost, reordered = (sum(stream[what] for stream in office) for what in ("lost", "reordered"))
    return Outcome(case, found["state"], found["score"], found["heard_s"], error_s, star_s, lost, reordered)


def _apart_s(first: str, then: str) -> float:
    return (datetime.fromisoformat(then) - datetime.fromisoformat(first)).total_seconds()


def _bystander(*arguments: object) -> str:
    command = [sys.executable, "-m", "bystander", *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"bystander {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def table(outcomes: Sequence[Outcome]) -> str:
    """The figures, for people."""
    by_kind = defaultdict(list)
    for one in outcomes:
        by_kind[one.case.kind].append(one)
    lines = [f"{'the office sends':<22} {'should be':<9} {'heard':>6} {'cut':>5} {'missing':>8}   score"]
    for kind, state in KINDS:
        if some := by_kind.get(kind):
            said = [sum(one.said == name for one in some) for name in ("heard", "cut", "missing")]
            scores = [one.score for one in some]
            counts = f"{said[0]:>6} {said[1]:>5} {said[2]:>8}"
            lines.append(f"{kind:<22} {state:<9} {counts}   {min(scores):.2f} .. {max(scores):.2f}")
    there = [one for one in outcomes if one.case.state != "missing"]
    misses = sum(one.said in ("missing", "unchecked") for one in there)
    mixed = sum(one.said not in ("missing", "unchecked", one.case.state) for one in there)
    false = sum(one.said != "missing" for one in outcomes if one.case.state == "missing")
    lines.append(
        f"{len(outcomes)} calls: {misses} misses, {false} false hits, {mixed} cut for whole or whole for cut"
    )
    if errors := [abs(one.error_s) for one in there if one.error_s is not None]:
        middle, most = 1000 * float(np.median(errors)), 1000 * max(errors)
        lines.append(f"beginning off by {middle:.0f} ms (median), {most:.0f} ms at most")
    pressed = [one for one in outcomes if one.case.star]
    stars = [abs(one.star_error_s) for one in pressed if one.star_error_s is not None]
    falsely = sum(one.star_error_s is not None for one in outcomes if not one.case.star)
    lines.append(
        f"star: {len(stars)} of {len(pressed)} found, {falsely} where none was pressed, "
        f"off by {1000 * max(stars, default=0):.0f} ms at most"
    )
    lost = sum(one.lost for one in outcomes)
    lines.append(
        f"{lost} packets of the office were lost, {sum(one.reordered for one in outcomes)} out of order"
    )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=4.0, help="calls a second")
    parser.add_argument("--keep", type=Path, help="a new folder that keeps capture, logs and vault")
    options = parser.parse_args()
    if reason := missing(PROGRAMS):
        print(f"announcements: {reason}", file=sys.stderr)
        return 1
    cases = plan(options.calls, options.seed)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bystander-announced-") as folder:
        outcomes = check(options.keep or Path(folder) / "calls", cases, rate=options.rate)
    print(table(outcomes))
    print(f"{time.monotonic() - begun:.0f} s")
    wrong = [one for one in outcomes if not one.right]
    for one in wrong:
        print(f"wrong: {one}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
