"""Acts of custody while a recorder is at work on the same vault: neither hinders the other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.traffic import Traffic, write
from bystander.init import FirstPerson, init
from bystander.sniffer.capturefile import CHUNK_BYTES
from bystander.storage.identity import new_identity, recipient_text

WHY = ("--case", "K 7/26", "--purpose", "quality", "--justification", "complaint 5")
ANNA = ("--identity", "anna.age", "--passphrase-file", "words")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A vault, its first person's key, and calls that come in one after the other."""
    monkeypatch.chdir(tmp_path)
    Path("words").write_text("correct horse\n")
    init(tmp_path / "vault", FirstPerson("Anna", "clerk", "7/26"), tmp_path / "anna.age", "correct horse",
         timezone="UTC")  # fmt: skip
    config = tmp_path / "vault/bystander.toml"
    config.write_text(config.read_text().replace("linger_s = 5", "linger_s = 0.5"))
    monkeypatch.setenv("BYSTANDER_CONFIG", str(config))
    write(Traffic(calls=16, seconds=12, stagger_s=20.0), tmp_path / "calls.pcap")
    return tmp_path


def test_r13_the_key_is_changed_and_persons_come_and_go_while_calls_are_recorded(
    place: Path, run: Callable[..., Any]
) -> None:
    os.mkfifo("pipe")
    data = Path("calls.pcap").read_bytes()
    key = new_identity()
    Path("ewa.txt").write_text(f"{key}\n")
    command = [sys.executable, "-m", "bystander", "run", "--read", "pipe"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as recorder:
        with Path("pipe").open("wb") as wire:
            wire.write(data[: 3 * CHUNK_BYTES + 70_000])
            wire.flush()
            assert recorder.stderr is not None
            assert recorder.stderr.readline().strip().endswith("recorded")
            before = [call["id"] for call in run("calls")]
            new = ("--name", "Ewa", "--post", "p", "--authorisation", "8/26")
            run("persons", "add", *new, "--recipient", recipient_text(key), *ANNA)
            assert run("persons", "rotate", "--yes", "--identity", "ewa.txt")["recordings"] >= 1
            run("listen", before[0], *WHY, *ANNA, "--player", "cat >/dev/null")
            run("persons", "revoke", 1, "--reason", "left", "--yes")
            wire.write(data[3 * CHUNK_BYTES + 70_000 :])
        recorder.communicate(timeout=120)
        assert recorder.returncode == 0
    every = run("calls")
    assert len(every) == 16 > len(before)
    # What was sealed before the change, during it and after it: all of it opens with the new key.
    for call in (every[0], every[-1]):
        run("listen", call["id"], *WHY, "--identity", "ewa.txt", "--player", "cat >/dev/null")
    assert run("verify", "--identity", "ewa.txt", "--passphrase-file", "words")["faults"] == []
