"""Real calls come out the same: by `extract` one by one, all at once, and by the daemon (`run --read`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bystander.cli import main
from bystander.extract import extract

DATA = Path(__file__).parent / "data"
#: Of each kind one: tunnelled, protected, held, transferred, TCP, keys in the audio, a change of codec.
NAMES = [
    "codec-change", "digits-inband", "hold", "srtp-far-hop", "tcp-small-mtu", "transfer-blind", "vxlan"
]  # fmt: skip
CONFIG = """[recording]
directory = "recordings"
spool = "spool"
index = "index.sqlite"
[metrics]
enabled = false
"""


def _stream(stream: dict[str, Any]) -> dict[str, Any]:
    """A stream without what is measured second by second: those are counted from the first frame read."""
    quality = {
        name: value
        for name, value in stream["quality"].items()
        if not name.startswith(("delay_variation", "clock_drift"))
    }
    return stream | {"quality": quality}


def told(calls: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What must not differ, in an order of its own."""
    return sorted(
        (
            call["call_id"], call["state"], str(call["verdict"]), call["duration_s"], call["direction"],
            json.dumps(call["dtmf"]), json.dumps(call["holds"]), (call["recording"] or {}).get("sha256", ""),
            json.dumps([_stream(stream) for stream in call["streams"]], sort_keys=True),
        )
        for call in calls
    )  # fmt: skip


def test_one_by_one_all_at_once_and_by_the_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    captures = [DATA / f"{name}.pcap" for name in NAMES]
    alone = [call for path in captures for call in extract([path], tmp_path / path.stem)["calls"]]
    together = extract(captures, tmp_path / "together")["calls"]
    config = tmp_path / "bystander.toml"
    config.write_text(CONFIG)
    assert main(["run", "-c", str(config), "--read", *map(str, captures)]) == 0
    capsys.readouterr()
    assert main(["calls", "-c", str(config), "--json"]) == 0
    recorded = json.loads(capsys.readouterr().out)
    assert len(alone) > len(captures)
    assert told(together) == told(alone)
    assert told(recorded) == told(alone)
