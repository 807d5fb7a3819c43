"""Record every capture of tests/data again: ``python tests/lab/record.py [NAME ...]`` (root; `make lab`).

Each function of ``recordings.py`` makes one network with real telephones, lets them talk with known speech, and tells
what it knows of the calls; TShark adds what is in the frames. Both go into ``tests/data/manifest.json``.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any


from phonelab import recordings, recordings_more, speech, truth  # noqa: F401 (registers its recordings)
from phonelab.network import missing

DATA = Path(__file__).resolve().parents[1] / "data"
MANIFEST = DATA / "manifest.json"
PROGRAMS = ("ip", "tc", "ethtool", "tcpdump", "tshark", "baresip", "sipp", "kamailio", "rtpengine", "setpriv")


def record(recording: recordings.Recording) -> dict[str, Any]:
    """Run one recording and return its entry of the manifest."""
    with tempfile.TemporaryDirectory(prefix="bystander-lab-") as directory:
        told = recording.run(Path(directory), Path(directory) / "capture.pcap")
        path = shutil.move(Path(directory) / "capture.pcap", DATA / f"{recording.name}.pcap")
    seen = {call["call_id"]: call for call in truth.calls(path)}
    if len(told) != len(seen):
        raise RuntimeError(f"{recording.name}: {len(told)} calls were made, TShark finds {list(seen)}")
    for known, frames in zip(told, seen.values(), strict=True):
        # Whoever holds says so in one re-INVITE and takes it back in the next.
        reinvites = list(frames["reinvited_ns"])
        for held in known.get("holds", []):
            held["from_ns"], held["to_ns"] = reinvites.pop(0), reinvites.pop(0)
    return {
        "file": path.name,
        "about": recording.about,
        "cases": recording.cases,
        "calls": [{**known, **frames} for known, frames in zip(told, seen.values(), strict=True)],
    }


def main(names: list[str]) -> int:
    if reason := missing(PROGRAMS):
        print(f"record: {reason}", file=sys.stderr)
        return 1
    if not (speech.SPEECH / "caller.flac").exists():
        speech.make()
    entries = {e["file"]: e for e in json.loads(MANIFEST.read_text())["captures"]} if MANIFEST.exists() else {}
    for recording in recordings.ALL:
        if names and recording.name not in names:
            continue
        print(f"{recording.name}: {recording.about}", flush=True)
        entries[f"{recording.name}.pcap"] = record(recording)
        order = [f"{r.name}.pcap" for r in recordings.ALL]
        manifest = {
            "speech": {name: {"voice": voice, "text": text} for name, (voice, text) in speech.TEXTS.items()},
            "captures": [entries[name] for name in order if name in entries],
        }
        MANIFEST.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
