"""What leaves the machine, as the kernel sees it: nothing on the mirrored interface (R6), nothing over a
network (R17).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.bureau import Bureau, bureau, configured, office, refused, run
from tests.vaultkit import name_of

__all__ = ["bureau", "configured", "office", "refused", "run"]

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
NOTHING = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
_CALLS = "trace=network,write,writev"
_SENDS = re.compile(r"\b(sendto|sendmsg|sendmmsg|connect|write|writev)\((\d+)<([^>]*)>")
#: Sockets within the machine: to other processes, to the kernel, connections of loopback.
_WITHIN = re.compile(r"UNIX|NETLINK|TCP(v6)?:\[\[?(127\.|::1)")


def strace(trace: Path, command: list[str]) -> list[str]:
    return ["strace", "-f", "-qq", "-yy", "-s", "16", "-o", str(trace), "-e", _CALLS, *command]


def sent_outside(trace: Path) -> list[str]:
    """Return the calls that send something over a socket that leads out of the machine, or to a link."""
    found = []
    for line in trace.read_text(errors="replace").splitlines():
        match = _SENDS.search(line)
        if match is None or "sa_family=AF_UNIX" in line or "sa_family=AF_NETLINK" in line:
            continue
        what = match[3]
        is_socket = match[1].startswith(("send", "connect")) or what.startswith(
            ("socket:", "TCP", "UDP", "RAW")
        )
        if is_socket and not _WITHIN.search(what):
            found.append(line)
    return found


def bystander(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bystander", *arguments]


@pytest.mark.skipif(os.geteuid() != 0, reason="captures, which takes root")
def test_r6_r17_the_recorder_sends_nothing_over_the_mirror_nor_anywhere(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(
        '[recording]\ndirectory = "r"\nspool = "s"\nindex = "i.sqlite"\n[metrics]\nlisten = "127.0.0.1:0"\n'
    )
    trace = tmp_path / "trace"
    command = strace(trace, bystander("run", "-c", str(tmp_path / "b.toml"), "--interface", "lo"))
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            text = _wait_for(trace, process, r"PACKET_ADD_MEMBERSHIP")
            port = re.search(r"TCP:\[127\.0\.0\.1:(\d+)\]", text)
            assert port is not None
            url = f"http://127.0.0.1:{port[1]}/metrics"
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
                assert b"bystander_" in answer.read()
            time.sleep(1.0)
        finally:
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGTERM)
        assert process.wait(60) == 0
    text = trace.read_text(errors="replace")
    assert "AF_PACKET" in text and re.search(r"sendto\(\d+<TCP:\[127", text), (
        "it captured, and served /metrics"
    )
    assert sent_outside(trace) == []


def _wait_for(trace: Path, process: subprocess.Popen[bytes], pattern: str) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        text = trace.read_text(errors="replace") if trace.exists() else ""
        if re.search(pattern, text):
            return text
        time.sleep(0.05)
    raise AssertionError("the recorder did not begin")


def test_r17_no_command_connects_to_anything(office: Bureau, tmp_path: Path) -> None:
    """Recording, listening, handing over, printing and checking, one after the other under one trace."""
    (tmp_path / "nothing.pcap").write_bytes(NOTHING)
    anna = ["--identity", "Anna.txt"]
    why = ["--case", "K", "--purpose", "security"]
    commands = [
        ["run", "--read", "nothing.pcap"],
        ["listen", name_of(1), *why, "--justification", "j", *anna, "--player", "cat >/dev/null"],
        ["disclose", "request", name_of(1), *why, "--applicant", "Sąd", "--ground", "akta"],
        ["disclose", "decide", "1", "--consent", "--by", "Prezydent"],
        ["export", "1", "--to", "copies", *anna],
        ["supervise", "--from", "2026-08-01", "--to", "2026-08-31", "-o", "report.pdf"],
    ]
    script = "\n".join(["set -e", *(_quoted(bystander(*command)) for command in commands)])
    trace = tmp_path / "trace"
    done = subprocess.run(
        strace(trace, ["sh", "-c", script]), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert Path("report.pdf").exists() and Path("copies/SHA256SUMS").exists()
    assert sent_outside(trace) == []


def _quoted(command: list[str]) -> str:
    import shlex

    return shlex.join(command)


def test_what_is_looked_for_would_be_found(tmp_path: Path) -> None:
    """A program that does send: a datagram, and a connection to an address of nowhere."""
    code = (
        "import socket\n"
        "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.sendto(b'x', ('127.0.0.1', 9))\n"
        "t = socket.socket(); t.settimeout(0.1)\n"
        "try: t.connect(('192.0.2.1', 9))\n"
        "except OSError: pass\n"
    )
    trace = tmp_path / "trace"
    subprocess.run(strace(trace, [sys.executable, "-c", code]), check=True, timeout=60)
    assert [re.search(r"sendto|connect", line)[0] for line in sent_outside(trace)] == ["sendto", "connect"]  # type: ignore[index]
