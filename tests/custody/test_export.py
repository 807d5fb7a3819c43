"""What is handed over can be checked, by us and by `sha256sum` alone; and it appears whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bystander.custody.desk import CustodyProblem
from bystander.custody.export import Copy, Rows, verify_export, write_export
from bystander.storage.identity import new_identity, recipient_text
from bystander.storage.signing import RecorderKey

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which takes root")
COPIES = [
    Copy(f"{n}.wav", bytes([n]) * 50_000, {"id": str(n)}, ("2026-08-31", "22", "0:00:01")) for n in (1, 2)
]


@pytest.fixture
def key(tmp_path: Path) -> RecorderKey:
    return RecorderKey.create(tmp_path)


def protocol(rows: Rows) -> dict[str, bytes]:
    assert [row[:3] for row in rows] == [copy.row for copy in COPIES[: len(rows)]]
    return {"protocol.pdf": b"%PDF " + "\n".join(row[3] for row in rows).encode()}


def export(folder: Path, key: RecorderKey, seal_to: str | None = None) -> str:
    return write_export(folder, iter(COPIES), {"office": "Urząd"}, protocol, key, seal_to)


def test_r15_whole_and_checked_by_sha256sum_alone(tmp_path: Path, key: RecorderKey) -> None:
    folder = tmp_path / "medium" / "copies"
    digest = export(folder, key)
    assert sorted(path.name for path in folder.iterdir()) == [
        "1.wav", "2.wav", "README.txt", "SHA256SUMS", "SHA256SUMS.sig", "manifest.json", "protocol.pdf",
        "recorder.pub",
    ]  # fmt: skip
    done = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.count(": OK")) == (0, 5), done.stdout + done.stderr
    assert verify_export(folder) == verify_export(folder, key.public_hex.upper()) == []
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [one["file"] for one in manifest["recordings"]] == ["1.wav", "2.wav"]
    assert manifest["recorder_key"] == key.public_hex
    listed = subprocess.run(
        ["sha256sum", "manifest.json"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert listed.stdout.startswith(digest)
    assert key.public_hex in (folder / "README.txt").read_text()


def test_r15_whatever_is_changed_is_told(tmp_path: Path, key: RecorderKey) -> None:
    folder = tmp_path / "copies"
    export(folder, key)
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
        assert verify_export(folder, key.public_hex), path.name
        path.write_bytes(content)
        path.rename(folder / "elsewhere")
        with (
            pytest.raises(CustodyProblem)
            if path.name in ("SHA256SUMS", "SHA256SUMS.sig", "recorder.pub")
            else _none()
        ):
            assert verify_export(folder, key.public_hex), path.name
        (folder / "elsewhere").rename(path)
    assert verify_export(folder, key.public_hex) == []
    (folder / "more.wav").write_bytes(b"more")
    assert verify_export(folder) == ["more.wav: does not belong here; SHA256SUMS does not name it"]


class _none:  # noqa: N801  (a context manager like the one beside it)
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def test_r15_signed_anew_by_another_is_told_by_the_offices_key(tmp_path: Path, key: RecorderKey) -> None:
    (tmp_path / "other").mkdir()
    export(tmp_path / "copies", RecorderKey.create(tmp_path / "other"))
    assert verify_export(tmp_path / "copies") == []
    assert verify_export(tmp_path / "copies", key.public_hex) == [
        "recorder.pub: not the key that you gave", "SHA256SUMS.sig: not that key's signature of SHA256SUMS",
    ]  # fmt: skip
    for nonsense in ("", "zz", "00" * 31, key.public_hex + "00"):
        with pytest.raises(CustodyProblem, match="64 hexadecimal digits"):
            verify_export(tmp_path / "copies", nonsense)


def test_a_hostile_folder_neither_hangs_nor_leads_astray(tmp_path: Path, key: RecorderKey) -> None:
    """A pipe instead of a recording, a link to a device, a folder, names that lead out."""
    folder = tmp_path / "copies"
    export(folder, key)
    for name, make in (
        ("1.wav", os.mkfifo),
        ("2.wav", lambda path: path.symlink_to("/dev/zero")),
        ("README.txt", lambda path: path.mkdir()),
    ):
        (folder / name).unlink()
        make(folder / name)
    assert [fault.partition(":")[0] for fault in verify_export(folder)] == ["1.wav", "2.wav", "README.txt"]
    for line in (
        b"x",
        b"0" * 64 + b"  ../../etc/passwd",
        b"0" * 64 + b"  ..",
        b"0" * 64 + b"  a\0b",
        b"\xff\xfe",
    ):
        (folder / "SHA256SUMS").write_bytes(line + b"\n")
        assert verify_export(folder)
    (folder / "SHA256SUMS").unlink()
    os.mkfifo(folder / "SHA256SUMS")
    with pytest.raises(CustodyProblem, match="not a file"):
        verify_export(folder)
    with pytest.raises(CustodyProblem, match="is this the folder"):
        verify_export(tmp_path / "nowhere")


def test_r15_sealed_to_the_receiver_is_opened_by_age(tmp_path: Path, key: RecorderKey) -> None:
    receiver = new_identity()
    folder = tmp_path / "copies"
    export(folder, key, recipient_text(receiver))
    assert verify_export(folder, key.public_hex) == []
    assert not [path for path in folder.iterdir() if bytes([1]) * 100 in path.read_bytes()]
    (tmp_path / "receiver.txt").write_text(f"{receiver}\n")
    age = ["age", "-d", "-i", tmp_path / "receiver.txt", folder / "1.wav.age"]
    try:
        assert subprocess.run(age, capture_output=True, check=True).stdout == COPIES[0].wav
    except FileNotFoundError:
        pytest.skip("age is not installed")
    with pytest.raises(CustodyProblem, match="not an age recipient"):
        export(tmp_path / "more", key, "age1nonsense")
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("what", ["copies", "more"])
def test_what_fails_leaves_nothing(tmp_path: Path, key: RecorderKey, what: str) -> None:
    def damaged() -> Iterator[Copy]:
        yield COPIES[0]
        raise CustodyProblem("2: not what was recorded")

    def unprintable(_rows: Rows) -> dict[str, bytes]:
        raise KeyboardInterrupt

    medium = tmp_path / "medium"
    with pytest.raises((CustodyProblem, KeyboardInterrupt)):
        write_export(medium / "copies", damaged() if what == "copies" else COPIES, {},
                     unprintable if what == "more" else protocol, key)  # fmt: skip
    assert list(medium.iterdir()) == []


def test_only_one_recording_is_in_memory_at_a_time(tmp_path: Path, key: RecorderKey) -> None:
    """The second is opened when the first is on the medium."""

    def opened() -> Iterator[Copy]:
        yield COPIES[0]
        (unfinished,) = (tmp_path / "medium").iterdir()
        assert [path.name for path in unfinished.iterdir()] == ["1.wav"]
        yield COPIES[1]

    write_export(tmp_path / "medium/copies", opened(), {}, protocol, key)


@root_only
def test_a_full_medium_leaves_nothing(tmp_path: Path, key: RecorderKey) -> None:
    medium = tmp_path / "medium"
    medium.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80k", "tmpfs", medium], check=True)
    try:
        with pytest.raises(
            CustodyProblem, match="No space left on device; name a new folder on a medium with room"
        ):
            export(medium / "copies", key)
        assert list(medium.iterdir()) == []
    finally:
        subprocess.run(["umount", medium], check=True)


def test_killed_half_way_there_is_no_folder_and_the_next_clears_up(tmp_path: Path, key: RecorderKey) -> None:
    medium = tmp_path / "medium"

    def killed() -> Iterator[Copy]:
        yield COPIES[0]
        os._exit(9)

    if not (child := os.fork()):
        write_export(medium / "copies", killed(), {}, protocol, key)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    (left,) = medium.iterdir()
    assert left.name.startswith(".bystander-export-") and (left / "1.wav").exists()
    export(medium / "first", key)
    assert left.exists(), "it might be another's, who has just begun"
    os.utime(left, (time.time() - 120,) * 2)
    export(medium / "second", key)
    assert not left.exists()


def test_what_another_is_writing_is_left_alone(tmp_path: Path, key: RecorderKey) -> None:
    medium = tmp_path / "medium"

    def slow() -> Iterator[Copy]:
        yield COPIES[0]
        (unfinished,) = medium.iterdir()
        os.utime(unfinished, (time.time() - 120,) * 2)
        export(medium / "other", key)
        yield COPIES[1]

    write_export(medium / "copies", slow(), {}, protocol, key)
    assert verify_export(medium / "copies") == verify_export(medium / "other") == []


def test_nothing_is_written_over(tmp_path: Path, key: RecorderKey) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/other").write_text("other")
    (tmp_path / "file").write_text("other")
    for name in ("full", "file"):
        with pytest.raises(CustodyProblem, match="new or empty"):
            export(tmp_path / name, key)
    with pytest.raises(CustodyProblem, match="choose another folder"):
        export(tmp_path / "file" / "copies", key)
    (tmp_path / "empty").mkdir()
    export(tmp_path / "empty", key)
    assert verify_export(tmp_path / "empty") == []
