"""The recorder with a vault: what it seals, what it notes, and what it does without room, clock or disk."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from benchmarks import voices
from benchmarks.traffic import Traffic, write
from bystander.config import load
from bystander.custody.journal import Journal
from bystander.init import FirstPerson, init
from bystander.retention import clock
from bystander.sniffer.capturefile import CHUNK_BYTES
from bystander.storage.digest import refresh
from bystander.storage.identity import read_identity
from bystander.storage.index import Index
from bystander.storage.keyring import Keyring
from bystander.storage.opening import open_recording, vault_identities

TRAFFIC = Traffic(calls=8, seconds=6, stagger_s=10.0)
PASSPHRASE = "correct horse"
YEAR_NS = 365 * 86_400 * 1_000_000_000
NOTHING = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which takes root")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty vault, the identity of its person, and a capture; a passphrase takes seconds, so once."""
    folder = tmp_path_factory.mktemp("made")
    init(
        folder / "vault", FirstPerson("Jan", "clerk", "7/26"), folder / "jan.age", PASSPHRASE, timezone="UTC"
    )
    write(TRAFFIC, folder / "calls.pcap")
    (folder / "nothing.pcap").write_bytes(NOTHING)
    return folder


@pytest.fixture
def vault(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "vault", tmp_path / "vault")
    return tmp_path / "vault"


def bystander(vault: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bystander", *map(str, arguments)]
    environment = os.environ | {"BYSTANDER_CONFIG": str(vault / "bystander.toml")}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)


def record(vault: Path, capture: Path) -> subprocess.CompletedProcess[str]:
    return bystander(vault, "run", "--read", capture)


def calls(vault: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(bystander(vault, "calls", "--json").stdout)
    return found


def acts(vault: Path) -> list[str]:
    return [entry.act for entry in Journal.open(vault / "journal.jsonl").entries()]


def configure(vault: Path, **changes: str) -> None:
    path = vault / "bystander.toml"
    text = path.read_text()
    for key, value in changes.items():
        text, count = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert count == 1
    path.write_text(text)


def using(vault: Path, work: Callable[[Index], Any]) -> Any:
    async def go() -> Any:
        async with await Index.open(vault / "index.sqlite") as index:
            return await work(index)

    return asyncio.run(go())


@pytest.mark.parametrize("container", ["wav", "flac", "g711"])
def test_r7_a_person_hears_what_was_said_and_the_recorder_cannot(
    vault: Path, made: Path, container: str
) -> None:
    configure(vault, container=f'"{container}"')
    done = record(vault, made / "calls.pcap")
    assert done.returncode == 0, done.stderr
    found = calls(vault)
    assert len(found) == TRAFFIC.calls
    truth = json.loads((made / "calls.pcap.json").read_text())
    with Keyring.open(vault / "keyring.sqlite", read_only=True) as keyring:
        keys = vault_identities(keyring, read_identity(made / "jan.age", PASSPHRASE))
        for call in found:
            assert call["sealed"] and call["verdict"] == "recorded"
            path = vault / "recordings" / call["recording"]["path"]
            sound, rate = soundfile.read(
                io.BytesIO(open_recording(keyring, keys, call["id"], path)), dtype="int16"
            )
            assert rate == 8000 and abs(len(sound) - call["recording"]["duration_s"] * 8000) <= 4
            number, said = next(
                (n, one) for n, one in enumerate(truth["calls"]) if one["call_id"] == call["call_id"]
            )
            for side in (0, 1):
                spoken = voices.expected(2 * number + side, said["payload_type"], 24_000)[4000:12_000]
                heard = sound[:24_000, side].astype(float)
                best = np.max(np.correlate(heard, spoken.astype(float), "valid"))
                assert best > 0.95 * np.sum(spoken.astype(float) ** 2)
    verified = bystander(vault, "verify", "--json")
    assert verified.returncode == 0, verified.stdout
    opened = bystander(
        vault, "verify", "--identity", made / "jan.age", "--passphrase-file", _passphrase(made, PASSPHRASE)
    )
    assert opened.returncode == 0, opened.stdout + opened.stderr


def _passphrase(folder: Path, text: str) -> Path:
    path = folder / "passphrase"
    path.write_text(text + "\n")
    return path


def test_r10_the_term_is_in_the_index_from_the_start(vault: Path, made: Path) -> None:
    record(vault, made / "calls.pcap")
    assert {call["delete_after"] for call in calls(vault)} == {"2027-02-23T23:59:59.999Z"}


def test_starts_stops_and_changes_are_on_record(vault: Path, made: Path) -> None:
    record(vault, made / "nothing.pcap")
    record(vault, made / "nothing.pcap")
    configure(vault, months="4")
    assert bystander(vault, "verify").returncode == 1
    record(vault, made / "nothing.pcap")
    assert bystander(vault, "verify").returncode == 0
    assert acts(vault) == [
        "init", "configuration", "start", "stop", "start", "stop", "configuration", "start", "stop",
    ]  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of another process, which takes root")
def test_r7_the_recorders_memory_opens_nothing(vault: Path, made: Path) -> None:
    """Alive, with calls sealed and others in progress: no key is in its memory, nor in that of a child."""
    pipe = vault.parent / "pipe"
    os.mkfifo(pipe)
    write(Traffic(calls=16, seconds=12, stagger_s=20.0), vault.parent / "long.pcap")
    data = (vault.parent / "long.pcap").read_bytes()
    environment = os.environ | {"BYSTANDER_CONFIG": str(vault / "bystander.toml")}
    configure(vault, linger_s="0.5")
    command = [sys.executable, "-m", "bystander", "run", "--read", str(pipe)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        with pipe.open("wb") as wire:
            wire.write(data[: 3 * CHUNK_BYTES + 70_000])
            wire.flush()
            assert process.stderr is not None
            assert process.stderr.readline().strip().endswith("recorded")
            deadline = time.monotonic() + 20
            while _children(process.pid) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert not _children(process.pid), "the sealing process outlives its work"
            memory = _memory_of(process.pid)
            assert b"SQLite format 3" in memory
            assert not re.findall(rb"AGE-SECRET-KEY-1[0-9A-Z]{20,}", memory)
        process.communicate(timeout=30)
    sealed = list((vault / "recordings").rglob("*.age"))
    assert sealed


def _children(pid: int) -> list[str]:
    found = subprocess.run(
        ["pgrep", "-P", str(pid), "-r", "R,S,D"], capture_output=True, text=True, check=False
    )
    return found.stdout.split()


def _memory_of(pid: int) -> bytes:
    content = bytearray()
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            span, permissions = line.split()[:2]
            if "w" not in permissions:
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(start)
                content += memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
    return bytes(content)


def test_c19_without_room_calls_are_listed_and_nothing_is_erased(vault: Path, made: Path) -> None:
    record(vault, made / "calls.pcap")
    before = calls(vault)
    configure(vault, reserve_mb="1000000000")
    write(Traffic(calls=3, seconds=2, seed=5), vault.parent / "more.pcap")
    done = record(vault, vault.parent / "more.pcap")
    assert done.returncode == 0, done.stderr
    assert "no space for new calls; those in progress are recorded on" in done.stderr
    found = {call["id"]: call for call in calls(vault)}
    new = [call for name, call in found.items() if name not in {call["id"] for call in before}]
    assert [(call["verdict"], call["excluded"], call["recording"]) for call in new] == [
        ("excluded", "no space", None)
    ] * 3
    assert all(found[call["id"]] == call for call in before)
    assert "no-space" in acts(vault)
    assert bystander(vault, "verify").returncode == 0
    assert sum(path.stat().st_size for path in (vault / "spool").glob("*.spool")) == 0


def test_a_clock_that_leapt_erases_nothing_until_somebody_confirms(vault: Path, made: Path) -> None:
    """The vault last knew a time a year ago, or hence; by the clock the recordings are beyond their term."""
    configure(vault, months="0")
    record(vault, made / "calls.pcap")

    async def forget(index: Index, shift_ns: int) -> None:
        known = await clock.trusted_time(index)
        assert known is not None
        async with index.transaction() as connection:
            await connection.execute("UPDATE clock SET wall_ns = wall_ns + ?, boot_id = 'x'", [shift_ns])
            await connection.execute(refresh("clock", "true"))

    for shift_ns, how in ((-YEAR_NS, "ahead, or the recorder was long off"), (2 * YEAR_NS, "set back")):
        using(vault, lambda index, shift_ns=shift_ns: forget(index, shift_ns))
        done = bystander(vault, "retention", "sweep", "--yes")
        assert done.returncode == 1
        assert how in done.stderr and "nothing is erased; if the clock is right" in done.stderr
        assert done.stderr.count("\n") == 1
        assert len(calls(vault)) == TRAFFIC.calls
    assert acts(vault).count("erase-refused") >= 1
    assert bystander(vault, "retention", "confirm-clock").returncode == 1
    assert bystander(vault, "retention", "confirm-clock", "--yes").returncode == 0
    assert bystander(vault, "retention", "sweep", "--yes").returncode == 0
    assert calls(vault) == []
    assert "clock-confirmed" in acts(vault)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda vault: (vault / "keyring.sqlite").unlink(), "the keyring is missing"),
        (lambda vault: (vault / "journal.jsonl").unlink(), "the journal is missing"),
        (lambda vault: (vault / "keys/recorder.key").write_text("x"), "the recorder's key is damaged"),
        (lambda vault: (vault / "keys/vault.pub").write_text("age1x\n"), "not the public key of"),
        (lambda vault: (vault / "keys/vault.pub").unlink(), "cannot read the vault's public key"),
        (lambda vault: (vault / "index.sqlite").write_bytes(b"x" * 5000), "file is not a database"),
        (lambda vault: configure(vault, timezone='"Mars/Olympus"'), "no such time zone"),
    ],
)
def test_a_vault_that_is_not_whole_is_one_line(
    vault: Path, made: Path, spoil: Callable[[Path], Any], said: str
) -> None:
    spoil(vault)
    done = record(vault, made / "calls.pcap")
    assert done.returncode == 1
    assert said in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not list((vault / "recordings").rglob("*.age"))


def test_the_wrong_passphrase_and_a_strangers_identity(vault: Path, made: Path) -> None:
    from bystander.storage.identity import new_identity

    record(vault, made / "calls.pcap")
    identity = ["verify", "--identity"]
    wrong = bystander(vault, *identity, made / "jan.age", "--passphrase-file", _passphrase(made, "wrong one"))
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "the passphrase is wrong, or the file is damaged; try again" in wrong.stderr
    (made / "stranger").write_text(f"{new_identity()}\n")
    stranger = bystander(vault, *identity, made / "stranger", "--passphrase-file", _passphrase(made, "any"))
    assert (stranger.returncode, stranger.stdout) == (1, "")
    assert "this identity has no copy of the vault's key" in stranger.stderr
    assert stranger.stderr.count("\n") == wrong.stderr.count("\n") == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@root_only
def test_a_full_disk_loses_nothing_that_was_good(made: Path, small_disk: Path, tmp_path: Path) -> None:
    vault = small_disk / "vault"
    shutil.copytree(made / "vault", vault)
    configure(vault, reserve_mb="0", spool=f'"{tmp_path}/spool"')
    done = record(vault, made / "calls.pcap")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr and "Traceback" not in done.stderr
    subprocess.run(["mount", "-o", "remount,size=50m", small_disk], check=True)
    assert record(vault, made / "nothing.pcap").returncode == 0
    assert len(calls(vault)) == TRAFFIC.calls
    verified = bystander(vault, "verify")
    assert verified.returncode == 0, verified.stdout


@root_only
def test_a_read_only_disk_is_one_line(made: Path, small_disk: Path) -> None:
    vault = small_disk / "vault"
    shutil.copytree(made / "vault", vault)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for arguments in (("run", "--read", made / "calls.pcap"), ("retention", "sweep", "--yes")):
        done = bystander(vault, *arguments)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr, done.stderr
        assert re.search(r"[Rr]ead-only file system", done.stderr), done.stderr


def test_status_and_show_of_a_sealed_vault(vault: Path, made: Path) -> None:
    record(vault, made / "calls.pcap")
    name = calls(vault)[0]["id"]
    shown = bystander(vault, "show", name)
    assert shown.returncode == 0
    assert "only an authorised person's key opens" in shown.stdout
    assert bystander(vault, "status").returncode == 0
    refused = bystander(vault, "inspect", name)
    assert refused.returncode == 1 and "its signalling is sealed" in refused.stderr
    assert "sealed" in bystander(vault, "calls").stdout


def test_streams_that_no_call_claimed_have_a_term_too(vault: Path, made: Path) -> None:
    """Without a row nothing would ever erase them (C20)."""
    configure(vault, keep_unclaimed="true")
    content = (made / "calls.pcap").read_bytes()
    at, kept = 24, content[:24]
    while at < len(content):
        size = 16 + int.from_bytes(content[at + 8 : at + 12], "little")
        record_bytes = content[at : at + size]
        if b"SIP/2.0" not in record_bytes:
            kept += record_bytes
        at += size
    (vault.parent / "media.pcap").write_bytes(kept)
    assert record(vault, vault.parent / "media.pcap").returncode == 0
    found = calls(vault)
    assert len(found) == 2 * TRAFFIC.calls
    assert all(call["delete_after"] and call["recording"] and call["sealed"] for call in found)
    assert load(vault / "bystander.toml").recording.keep_unclaimed
    assert bystander(vault, "verify").returncode == 0
