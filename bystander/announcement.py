"""The office's announcement, checked on a call that is being sealed (R3). Without a reference, nothing is
(R19).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from bystander.codecs.announcement import Reference, look
from bystander.codecs.dtmf import RATE_HZ, tones
from bystander.codecs.timeline import render
from bystander.errors import UserError
from bystander.finish import Mix, Written


@dataclass(frozen=True, slots=True)
class Check:
    """What to look for, and within how many seconds it should begin."""

    reference: Path
    within_s: float


def load(path: Path) -> Reference:
    """Read the announcement. Raises UserError."""
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError, RuntimeError) as error:
        why = "no such file" if not path.exists() else str(error).rpartition(": ")[2]
        raise UserError(f"{path}: cannot read the announcement: {why}; give a WAV or FLAC") from None
    try:
        return Reference.from_samples(samples.mean(axis=1), int(rate_hz))
    except ValueError as error:
        raise UserError(f"{path}: cannot be the announcement: {error}") from None


@lru_cache(maxsize=2)
def _known(path: Path, changed_ns: int) -> Reference:  # noqa: ARG001  (a file that changes is read again)
    return load(path)


def check(made: Check, mixed: Mix, written: Written) -> dict[str, Any] | None:
    """Return what was heard of the announcement, for the call's object; None if the reference cannot be read.

    The office's side of an incoming call is the callee; ``written`` says where the recording begins, and
    which telephone events there were.
    """
    try:
        reference = _known(made.reference, made.reference.stat().st_mtime_ns)
    except (UserError, OSError):
        return None
    seconds = made.within_s + reference.length_s + 1
    begin = _beginning(mixed, int(seconds * mixed.rate_hz))
    finding = look(reference, begin[:, 1], mixed.rate_hz, made.within_s)
    stars = [press.at_ns for press in written.presses if press.digit == "*" and press.by == "caller"]
    if not stars:
        # Keys in the audio may not have been looked for; this one is the ordinance's affair.
        heard = tones(np.ascontiguousarray(begin[:, 0]), mixed.rate_hz)
        stars = [
            written.starts_ns + tone.start * 1_000_000_000 // RATE_HZ for tone in heard if tone.key == "*"
        ]
    at_s = finding.at_s
    return {
        "state": finding.state,
        "at_ns": None if at_s is None else written.starts_ns + int(at_s * 1e9),
        "heard_s": finding.heard_s,
        "score": round(finding.score, 3),
        "star_ns": min(stars, default=None),
    }


def _beginning(mixed: Mix, frames: int) -> NDArray[np.int16]:
    frames = min(frames, mixed.length)
    blocks = [block.copy() for block in render(mixed.caller, mixed.callee, frames)]
    return np.concatenate(blocks) if blocks else np.zeros((0, 2), np.int16)
