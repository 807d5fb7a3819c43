"""Live: 2000 calls, 300,000 packets a second in real time over a veth pair, recorded by ``bystander run``.

Half of the calls send 10 ms packets and half 20 ms, which makes 150 packets a second and call. The sender has
the first core, the recorder the last.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.network import Cable
from benchmarks.plan import Traffic
from benchmarks.process import cpu_of, last_core, peak_of
from benchmarks.verify import check

LOAD = Traffic(calls=2000, seconds=26, stagger_s=4.0, ptime_ms=(10, 20))
LINGER_S = 3.0
_LISTEN = "127.0.0.1:9464"
#: How long the recorder may take to start, and to finish what is left after the last frame.
_START_S, _FINISH_S = 20.0, 120.0


def _configuration(folder: Path) -> Path:
    path = folder / "bystander.toml"
    path.write_text(
        f'[capture]\ninterface = "{Cable.tap}"\n'
        '[recording]\ndirectory = "recordings"\nspool = "spool"\nindex = "index.sqlite"\n'
        f"linger_s = {LINGER_S}\n"
        f'[metrics]\nlisten = "{_LISTEN}"\n'
    )
    return path


def _fetch(cable: Cable, page: str) -> str:
    """A page of the recorder's HTTP server, or nothing if it does not answer."""
    script = (
        f"import urllib.request as u; print(u.urlopen('http://{_LISTEN}{page}', timeout=5).read().decode())"
    )
    command = cable.inside(cable.recorder, [sys.executable, "-c", script], core=0)
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def metric(page: str, name: str) -> float:
    """The sum of a metric over its labels, from the Prometheus text format; 0.0 if it is not there."""
    found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+-]+)$", page, re.MULTILINE)
    return sum(map(float, found))


def _until(ready: Any, limit_s: float, recorder: subprocess.Popen[str]) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and recorder.poll() is None:
        if ready():
            return True
        time.sleep(0.3)
    return False


def run(out: Path, load: Traffic = LOAD) -> None:
    """Print what was sent, what the kernel dropped, what a packet cost, and whether every WAV is whole."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        print("  left out: network namespaces need root and iproute2")
        return
    folder = Path(tempfile.mkdtemp(prefix="live-", dir=out))
    try:
        with Cable() as cable:
            _record(cable, folder, load)
    finally:
        shutil.rmtree(folder)


def _record(cable: Cable, folder: Path, load: Traffic) -> None:
    configuration, truth_file = _configuration(folder), folder / "truth.json"
    command = [sys.executable, "-m", "bystander", "run", "-c", str(configuration)]
    log = folder / "log"
    with log.open("w") as out:
        recorder = subprocess.Popen(
            cable.inside(cable.recorder, command, core=last_core()),
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            if not _until(lambda: _fetch(cable, "/healthz"), _START_S, recorder):
                print(f"  the recorder did not start: {log.read_text().strip()[-300:]}")
                return
            before_s = cpu_of(recorder.pid)
            sent = _send(cable, truth_file, load)
            _until(
                lambda: metric(_fetch(cable, "/metrics"), "bystander_active_calls") == 0, _FINISH_S, recorder
            )
            page = _fetch(cable, "/metrics")
            cpu_s, peak = cpu_of(recorder.pid) - before_s, peak_of(recorder.pid)
        finally:
            recorder.send_signal(signal.SIGTERM)
            status = recorder.wait(_FINISH_S)
    rate = sent["frames"] / sent["seconds"]
    drops = metric(page, "bystander_kernel_drops_total")
    print(f"  sent {sent['frames']:,} frames in {sent['seconds']:.1f} s: {rate:,.0f} a second on average,")
    print(
        f"    {_steady(load):,.0f} a second with all calls up, {sent['worst_delay_ms']:.1f} ms late at most"
    )
    print(
        f"  captured {metric(page, 'bystander_packets_total'):,.0f}, dropped by the kernel {drops:,.0f}, "
        f"transmitted {cable.transmitted()}, exit status {status}"
    )
    print(f"  recorder: {cpu_s / sent['frames'] * 1e9:.0f} CPU ns per packet, peak {peak / 2**20:.0f} MiB")
    print(f"    {check(_shifted(truth_file, sent), _calls(configuration), folder / 'recordings')}")


def _steady(load: Traffic) -> float:
    """RTP packets a second while every call is up."""
    return load.calls * 2 * sum(1000 / ptime for ptime in load.ptime_ms) / len(load.ptime_ms)


def _send(cable: Cable, truth_file: Path, load: Traffic) -> dict[str, Any]:
    words = asdict(load)
    options = ["--calls", words["calls"], "--seconds", words["seconds"], "--stagger", words["stagger_s"]]
    options += [
        "--ptime",
        ",".join(map(str, load.ptime_ms)),
        "--seed",
        words["seed"],
        "--noise",
        words["noise"],
    ]
    command = [sys.executable, "-m", "benchmarks.sender", cable.mirror, str(truth_file), *map(str, options)]
    done = subprocess.run(
        cable.inside(cable.switch, command, core=0), capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the sender failed: {done.stderr.strip()[-300:]}")
    sent: dict[str, Any] = json.loads(done.stdout)
    return sent


def _shifted(truth_file: Path, sent: dict[str, Any]) -> dict[str, Any]:
    """The truth with the times at which streams were really sent."""
    truth: dict[str, Any] = json.loads(truth_file.read_text())
    shift_ns = sent["began_ns"] - truth["traffic"]["start_ns"]
    for call in truth["calls"]:
        for stream in call["streams"]:
            stream["first_ns"] += shift_ns
    return truth


def _calls(configuration: Path) -> list[dict[str, Any]]:
    command = [
        sys.executable,
        "-m",
        "bystander",
        "calls",
        "-c",
        str(configuration),
        "--json",
        "--limit",
        "1000000",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    calls: list[dict[str, Any]] = json.loads(done.stdout)
    return calls
