"""Kills the recorder, the sweep and erasures at random moments, and looks at what is left.

    python -m tests.crash --kills 200 --seed 1

Each round feeds the real recorder a capture of its own and kills it with SIGKILL, or its sealing process, or
both; in two rounds of three a sweep or an erasure is killed as well. Then the recorder is started once more,
with nothing to record, and the vault must be as if nobody had been killed: what was called filed is there and
whole, what was called erased is nowhere, what is held was not touched, and `verify` finds no fault.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.traffic import Traffic, write
from bystander.custody.journal import Journal
from bystander.init import FirstPerson, configuration
from bystander.init import init as init_vault
from bystander.storage.keyring import Keyring

_TRAFFIC: Final = Traffic(calls=5, seconds=3, stagger_s=2.0)
_HOUR_NS: Final = 3_600_000_000_000
_NOTHING: Final = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
PASSPHRASE: Final = "correct horse battery"


class Crashes:
    """A vault that is killed again and again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.draw = random.Random(seed)
        self.config = folder / "vault/bystander.toml"
        self.filed: dict[str, str] = {}
        self.held: set[str] = set()
        self.kills: Counter[str] = Counter()
        self.asked: set[str] = set()
        init_vault(
            folder / "vault", FirstPerson("J", "p", "1"), folder / "identity.age", PASSPHRASE, timezone="UTC"
        )
        # Everything is beyond its term on the day after it was recorded: there is something to sweep.
        text = (
            configuration("UTC").replace("months = 3", "months = 0").replace("linger_s = 5", "linger_s = 0.5")
        )
        self.config.write_text(text)
        (folder / "nothing.pcap").write_bytes(_NOTHING)
        self._run("--read", folder / "nothing.pcap")

    @property
    def count(self) -> int:
        """How often something was killed before it had ended."""
        return sum(count for what, count in self.kills.items() if "had ended" not in what)

    # -- one round ----------------------------------------------------------------------------------------

    def round(self, number: int) -> None:
        """Kill the recorder while it records, now and then a sweep too, recover, and look."""
        capture = self.folder / "part.pcap"
        start_ns = _TRAFFIC.start_ns + (number - 480) * _HOUR_NS
        traffic = replace(_TRAFFIC, seed=number + 1, start_ns=start_ns)
        write(traffic, capture)
        self._killed("record", 0.7, "run", "--read", capture)
        if number % 3 == 1 and self.filed:
            self._killed("sweep", 0.6, "retention", "sweep", "--limit", "6", "--yes")
        if number % 3 == 2 and (free := sorted(set(self.filed) - self.held)):
            victims = self.draw.sample(free, min(3, len(free)))
            self.asked |= set(victims)
            self._killed("erase", 0.6, "erase", *victims, "--reason", "asked", "--ground", "art. 17", "--yes")
        self._run("--read", self.folder / "nothing.pcap")
        self.check()
        if number % 4 == 0 and (free := sorted(set(self.filed) - self.held)):
            name = self.draw.choice(free)
            self._call("hold", "add", name, "--case", f"K {number}", "--reason", "test")
            self.held.add(name)

    def check(self) -> None:
        """Raise AssertionError if anything is not as it must be."""
        vault = self.folder / "vault"
        said = json.loads(self._call("verify", "--json", check=False))
        assert said["ok"] and not said["notes"], said
        calls = {call["id"]: call for call in json.loads(self._call("calls", "--json"))}
        entries = list(Journal.open(vault / "journal.jsonl").entries())
        planned = {
            name for entry in entries if entry.act == "erase-plan" for name in entry.facts["recordings"]
        }
        done = {name for entry in entries if entry.act == "erase-done" for name in entry.facts["recordings"]}
        assert planned == done, planned ^ done
        assert not done & self.held, "a held recording was erased"
        assert not done & set(calls), "reported erased, and in the index"
        with Keyring.open(vault / "keyring.sqlite", read_only=True) as keyring:
            keys = set(keyring.ids())
        assert keys == set(calls), keys ^ set(calls)
        files = [path for path in (vault / "recordings").rglob("*") if path.is_file()]
        assert {path.name.split(".")[0] for path in files} == set(calls)
        for name, digest in self.filed.items():
            assert name in calls or name in done, f"{name} was filed and is lost"
            if name in calls:
                assert calls[name]["recording"]["sha256"] == digest, f"{name} was changed"
        assert len(calls) == len({call["call_id"] for call in calls.values()}), "a call twice"
        self.filed = {
            name: call["recording"]["sha256"] for name, call in calls.items() if call["recording"] is not None
        }
        assert not list((vault / "spool").glob("signalling.*"))

    # -- processes ----------------------------------------------------------------------------------------

    def _killed(self, what: str, within_s: float, *arguments: str | Path) -> None:
        process = self._start(*arguments)
        time.sleep(self.draw.uniform(0.12, within_s))
        ended = process.poll() is not None
        # The recorder alone, or everything at once, as when the machine fails.
        children = subprocess.run(
            ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
        ).stdout.split()
        whom = self.draw.choice(["it", "its children", "both"]) if children else "it"
        try:
            if whom != "its children":
                process.send_signal(signal.SIGKILL)
            if whom != "it":
                for child in children:
                    os.kill(int(child), signal.SIGKILL)
        except ProcessLookupError:
            pass
        _, said = process.communicate(timeout=120)
        self.kills[f"{what}: {whom}" if not ended else f"{what} (had ended)"] += 1
        for line in said.splitlines():
            name, _, verdict = line.partition(" ")
            if verdict in ("recorded", "partial", "one-way"):
                self.filed.setdefault(name, self._digest_of(name))

    def _digest_of(self, name: str) -> str:
        call: dict[str, Any] = json.loads(self._call("show", name, "--json"))
        digest: str = call["recording"]["sha256"]
        return digest

    def _run(self, *arguments: str | Path) -> None:
        self._call("run", *arguments)

    def _call(self, *arguments: str | Path, check: bool = True) -> str:
        process = self._start(*arguments)
        out, said = process.communicate(timeout=120)
        assert "Traceback" not in said, said
        assert not check or process.returncode == 0, f"{arguments}: {said}"
        return out

    def _start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bystander", *map(str, arguments)]
        environment = os.environ | {"BYSTANDER_CONFIG": str(self.config)}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )


def main() -> None:
    """Kill as often as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        crashes = Crashes(Path(folder), options.seed)
        number = 0
        while crashes.count < options.kills:
            crashes.round(number)
            number += 1
            print(f"{crashes.count} kills, {len(crashes.filed)} recordings kept", flush=True)
        print(json.dumps(crashes.kills))


if __name__ == "__main__":
    main()
