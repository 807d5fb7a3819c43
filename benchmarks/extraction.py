"""The whole program on one core: generated captures through ``bystander extract``, from file to WAV."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.plan import Traffic
from benchmarks.process import last_core, measured
from benchmarks.traffic import cached
from benchmarks.verify import check

#: One to four million RTP packets each: few long calls, many at once, very many one after another.
CASES = {
    "200 calls": Traffic(calls=200, seconds=100),
    "200 calls, 30 % noise": Traffic(calls=200, seconds=100, noise=0.3),
    "2000 calls": Traffic(calls=2000, seconds=60),
    "2000 calls, 30 % noise": Traffic(calls=2000, seconds=60, noise=0.3),
    "2000 calls of 20 s": Traffic(calls=2000, seconds=20),
    "10000 calls, some 600 at once": Traffic(calls=10000, seconds=4, stagger_s=90.0),
    "200 calls, loss, reorder, copies": Traffic(
        calls=200, seconds=50, loss=0.02, reorder=0.02, duplicates=0.1
    ),
    "200 calls, VLAN tag": Traffic(calls=200, seconds=100, wrap="vlan"),
    "200 calls, QinQ": Traffic(calls=200, seconds=100, wrap="qinq"),
    "200 calls, ERSPAN in GRE": Traffic(calls=200, seconds=100, wrap="gre-erspan"),
    "200 calls, VXLAN": Traffic(calls=200, seconds=100, wrap="vxlan"),
}


def warm(capture: Path) -> None:
    """Bring a file into the page cache: the disk is not what is measured."""
    chunk = bytearray(1 << 22)
    with capture.open("rb", buffering=0) as file:
        while file.readinto(chunk):
            pass


def run(out: Path) -> None:
    """Print, case by case: packets a second, CPU ns a packet, that of the first case by it, peak memory, and
    whether all was recorded."""
    print(f"  {'':<34}{'packets':>10}{'Mpps':>7}{'CPU ns/packet':>15}{'speed':>8}{'peak MiB':>10}")
    plain = 0.0
    captures = {name: cached(traffic) for name, traffic in CASES.items()}
    # On a disk, what was written goes at the very end: on ext4, deleting thousands of files makes the next
    # ones slow. In memory it goes at once, and each case is run once unmeasured before: a virtual machine
    # takes several times as long over memory that its host has not handed out yet.
    in_memory = out.is_relative_to("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="extract-", dir=out) as place:
        for number, (name, (capture, truth)) in enumerate(captures.items()):
            warm(capture)
            folder = Path(place, str(number))
            command = [sys.executable, "-m", "bystander", "extract", capture, "-o", folder]
            if in_memory:
                measured(command, core=last_core())
                shutil.rmtree(folder, ignore_errors=True)
            cost = measured(command, core=last_core())
            if cost.status:
                print(f"  {name:<34}failed: {cost.output.strip()[-300:]}")
                continue
            rate = truth["frames"] / cost.wall_s / 1e6
            each = cost.cpu_s / truth["frames"] * 1e9
            plain = plain or each
            print(
                f"  {name:<34}{truth['frames']:>10,}{rate:>7.2f}{each:>15.0f}{plain / each:>8.0%}"
                f"{cost.peak_bytes / 2**20:>10.0f}"
            )
            print(f"    {check(truth, json.loads((folder / 'calls.json').read_text())['calls'], folder)}")
            if in_memory:
                shutil.rmtree(folder, ignore_errors=True)
