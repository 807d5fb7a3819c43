"""Our view of a capture against TShark's, on the project's own captures."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.headers import udp_frame
from bystander.config import Config
from bystander.crosscheck import crosscheck
from bystander.errors import UserError
from bystander.sniffer.errors import CaptureError

DATA = Path(__file__).parents[1] / "data"
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="not installed: tshark")


@needs_tshark
@pytest.mark.parametrize("name", ["pcma", "relayed", "unsuccessful", "concurrent", "twice", "ipv6"])
def test_both_see_the_same(name: str) -> None:
    found = crosscheck([DATA / f"{name}.pcap"], Config())
    assert found["differences"] == []
    assert found["bystander"]["calls"]
    assert len(found["bystander"]["streams"]) == len(found["tshark"]["streams"])
    assert found["tshark_version"].startswith("TShark")


@needs_tshark
def test_what_only_one_sees_is_told(tmp_path: Path) -> None:
    """A packet that TShark takes for RTP, when told to guess, and we for chance."""
    capture = tmp_path / "more.pcap"
    lone = udp_frame(("10.0.0.1", 7000), ("10.0.0.2", 7002), b"\x80\x08" + bytes(10) + bytes(160))
    original = (DATA / "pcma.pcap").read_bytes()
    time = original[24:32]
    capture.write_bytes(original + time + len(lone).to_bytes(4, "little") * 2 + lone)
    (difference,) = crosscheck([capture], Config())["differences"]
    assert difference["what"] == "stream"
    assert difference["key"] == "10.0.0.1:7000 > 10.0.0.2:7002 0x00000000"
    assert (difference["bystander"], difference["tshark"]) == (None, 1)
    assert "no second" in difference["why"]


@needs_tshark
def test_from_the_command_line() -> None:
    command = [sys.executable, "-m", "bystander", "doctor", "--compare", DATA / "pcma.pcap"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "No difference." in ran.stdout
    said = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert said["differences"] == []


def test_without_tshark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="apt install tshark"):
        crosscheck([DATA / "pcma.pcap"], Config())


@needs_tshark
def test_a_file_that_is_no_capture(tmp_path: Path) -> None:
    strange = tmp_path / "letter.txt"
    strange.write_text("Dear Sir or Madam, " * 20)
    with pytest.raises(CaptureError, match=r"letter\.txt"):
        crosscheck([strange], Config())
