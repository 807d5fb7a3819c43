"""Record every capture of tests/data again: ``python tests/lab/record.py [NAME ...]`` (root; `make lab`).

Each function of ``recordings.py`` makes one network with real telephones, lets them talk with known
speech, and tells what it knows of the calls; TShark adds what is in the frames. Both go into
``tests/data/manifest.json``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from phonelab import (  # noqa: F401 (some only register their recordings)
    recordings,
    recordings_codecs,
    recordings_more,
    recordings_network,
    recordings_secure,
    recordings_transfer,
    speech,
    truth,
)
from phonelab.network import missing

DATA = Path(__file__).resolve().parents[1] / "data"
PROGRAMS = ("ip", "tc", "ethtool", "tcpdump", "tshark", "baresip", "sipp", "kamailio", "rtpengine", "setpriv")


def record(recording: recordings.Recording, into: Path) -> dict[str, Any]:
    """Run one recording and return its entry of the manifest."""
    with tempfile.TemporaryDirectory(prefix="bystander-lab-") as directory:
        told = recording.run(Path(directory), Path(directory) / "capture.pcap")
        path = Path(shutil.move(Path(directory) / "capture.pcap", into / f"{recording.name}.pcap"))
    seen = {call["call_id"]: call for call in truth.calls(path)}
    if len(told) != len(seen):
        raise RuntimeError(f"{recording.name}: {len(told)} calls were made, TShark finds {list(seen)}")
    for known, frames in zip(told, seen.values(), strict=True):
        # Whoever holds says so in one re-INVITE and takes it back in the next, or never.
        reinvites = list(frames["reinvited_ns"])
        for held in known.get("holds", []):
            held["from_ns"] = reinvites.pop(0)
            held["to_ns"] = reinvites.pop(0) if reinvites else frames["bye_ns"]
    return {
        "file": path.name,
        "about": recording.about,
        "cases": recording.cases,
        "calls": [{**known, **frames} for known, frames in zip(told, seen.values(), strict=True)],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Record the captures of tests/data again.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these recordings")
    parser.add_argument("--into", type=Path, default=DATA, help="another folder than tests/data")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - {r.name for r in recordings.ALL}:
        parser.error(f"no such recording: {', '.join(sorted(unknown))}")
    if reason := missing(PROGRAMS):
        print(f"record: {reason}", file=sys.stderr)
        return 1
    speech.make()
    arguments.into.mkdir(parents=True, exist_ok=True)
    manifest = arguments.into / "manifest.json"
    entries = (
        {e["file"]: e for e in json.loads(manifest.read_text())["captures"]} if manifest.exists() else {}
    )
    for recording in recordings.ALL:
        if arguments.names and recording.name not in arguments.names:
            continue
        print(f"{recording.name}: {recording.about}", flush=True)
        entries[f"{recording.name}.pcap"] = record(recording, arguments.into)
        order = [f"{r.name}.pcap" for r in recordings.ALL]
        content = {
            "speech": {name: {"voice": voice, "text": text} for name, (voice, text) in speech.TEXTS.items()},
            "captures": [entries[name] for name in order if name in entries],
        }
        manifest.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
