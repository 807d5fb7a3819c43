"""Whether every call of generated traffic was recorded whole, and the right voice on the right side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import voices

#: Where a channel is looked for around the place that capture times say: 60 ms either way.
_SEARCH = 480
#: Samples that must all agree for a place to be the right one.
_PROBE = 800


@dataclass
class Found:
    """What became of the calls: ``problems`` has a line for each thing that is not as it was sent."""

    calls: int = 0
    complete: int = 0
    missing_packets: int = 0
    heard: int = 0
    wav_bytes: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        faults = "; ".join(self.problems[:3]) + (
            f"; and {len(self.problems) - 3} more" if len(self.problems) > 3 else ""
        )
        return (
            f"{self.complete:,} of {self.calls:,} recordings complete, "
            f"{self.missing_packets:,} packets missing, {self.heard} calls compared sample by sample"
            + (f": {faults}" if faults else "")
        )


def check(truth: dict[str, Any], calls: Sequence[dict[str, Any]], folder: Path, *, listen: int = 5) -> Found:
    """Compare call objects (as in ``calls.json``) and the WAVs under ``folder`` with what was sent.

    A recording is complete when every packet sent on both sides was placed, the sides are the right way
    round, and the WAV is as long as the audio. ``listen`` calls, spread over all, are compared by samples.
    """
    found = Found(calls=len(truth["calls"]))
    seen = Counter(call["call_id"] for call in calls)
    by_id = {call["call_id"]: call for call in calls}
    for call_id, copies in seen.items():
        if copies > 1:
            found.problems.append(f"{call_id} is there {copies} times")
    for call_id in set(by_id) - {call["call_id"] for call in truth["calls"]}:
        found.problems.append(f"{call_id} was never made")
    chosen = set(np.linspace(0, found.calls - 1, min(listen, found.calls)).astype(int).tolist())
    for number, sent in enumerate(truth["calls"]):
        call = by_id.get(sent["call_id"])
        if call is None:
            found.problems.append(f"{sent['call_id']} was not found")
            found.missing_packets += sum(stream["packets"] for stream in sent["streams"])
            continue
        faults = _faults(sent, call, found)
        if number in chosen and call["recording"] is not None:
            faults += _listen(number, sent, call, folder)
            found.heard += 1
        found.problems += [f"{sent['call_id']}: {fault}" for fault in faults]
        found.complete += not faults
    return found


def _faults(sent: dict[str, Any], call: dict[str, Any], found: Found) -> list[str]:
    faults = []
    if (call["state"], call["verdict"]) != ("answered", "recorded"):
        faults.append(f"{call['state']}, {call['verdict']}")
    streams = {(stream["by"], stream["src"], stream["ssrc"]): stream for stream in call["streams"]}
    for side, stream in zip(("caller", "callee"), sent["streams"], strict=True):
        ours = streams.get((side, stream["src"], stream["ssrc"]))
        got = ours["packets"] if ours else 0
        if got != stream["packets"]:
            found.missing_packets += max(0, stream["packets"] - got)
            faults.append(f"{got} of {stream['packets']} packets of the {side}")
        elif ours and ours["duplicates"] != stream["duplicates"]:
            faults.append(f"{ours['duplicates']} duplicates of the {side}, not {stream['duplicates']}")
    recording = call["recording"]
    if recording is None:
        return [*faults, "no recording"]
    audio_s = max(stream["samples"] for stream in sent["streams"]) / voices.CLOCK_HZ
    if recording["duration_s"] < audio_s - 0.1 or recording["duration_s"] > audio_s + 1.5:
        faults.append(f"{recording['duration_s']} s of WAV for {audio_s} s of audio")
    found.wav_bytes += round(recording["duration_s"] * recording["sample_rate"]) * 2 * recording["channels"]
    return faults


def _listen(number: int, sent: dict[str, Any], call: dict[str, Any], folder: Path) -> list[str]:
    import soundfile

    samples, rate = soundfile.read(folder / call["recording"]["path"], dtype="int16", always_2d=True)
    if rate != voices.CLOCK_HZ or samples.shape[1] != 2:
        return [f"{samples.shape[1]} channels at {rate} Hz"]
    starts_ns = int(datetime.fromisoformat(call["recording"]["starts_at"]).timestamp() * 1e9)
    faults = []
    for side, stream in enumerate(sent["streams"]):
        spoken = voices.expected(2 * number + side, sent["payload_type"], stream["samples"])
        first_ns = stream.get("seen_ns", stream["first_ns"])
        share = matching(samples[:, side], spoken, (first_ns - starts_ns) * voices.CLOCK_HZ // 10**9)
        sent_packets = stream["packets"] + stream["lost"]
        if share < stream["packets"] / sent_packets - 1e-9:
            faults.append(f"{('left', 'right')[side]} is {share:.2%} what was said")
    return faults


def matching(heard: NDArray[np.int16], spoken: NDArray[np.int16], near: int) -> float:
    """The share of ``spoken`` found in ``heard`` sample for sample at one offset near ``near``, or 0.0.

    A few probes are tried, so that a lost packet in one does not hide the place.
    """
    for probe in np.linspace(0, len(spoken) - _PROBE, 12).astype(int).tolist():
        first = max(0, near + probe - _SEARCH)
        field_ = heard[first : near + probe + _SEARCH + _PROBE]
        if len(field_) < _PROBE:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(field_, _PROBE)
        fits = np.flatnonzero((windows == spoken[probe : probe + _PROBE]).all(axis=1))
        if len(fits):
            offset = first + int(fits[0]) - probe
            begin, end = max(0, -offset), min(len(spoken), len(heard) - offset)
            return float(np.count_nonzero(heard[offset + begin : offset + end] == spoken[begin:end])) / len(
                spoken
            )
    return 0.0
