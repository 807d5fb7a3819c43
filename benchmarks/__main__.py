"""Run the benchmarks: ``python -m benchmarks [name...]`` (``make bench BENCH="stages live"``)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import announcement, attack, decoding, extraction, keeping, live, machine, stages

BENCHMARKS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "extract": ("the whole program on one core, from capture file to WAV", extraction.run),
    "stages": ("CPU ns per packet, stage by stage, on one core", stages.run),
    "decode": ("what decoding costs: G.711, the other codecs, keys in the audio", decoding.run),
    "announcement": ("the announcement looked for in calls: CPU time, misses, false hits", announcement.run),
    "keeping": ("a million calls kept: queries, a sweep, sealing", keeping.run),
    "attack": ("floods around calls in progress: memory, and what is lost", attack.run),
    "live": ("live, over a veth pair", live.run),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="*", help=f"all of them, or some of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--out", type=Path, help="where to write (default: /dev/shm if it has room)")
    given = parser.parse_args()
    unknown = [name for name in given.name if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)} (there are {', '.join(BENCHMARKS)})")
    print(machine.describe())
    folder = machine.output_directory(given.out)
    print(f"writing to {folder}, where making a file costs {machine.file_cost_us(folder):.0f} us")
    for name in given.name or BENCHMARKS:
        title, run = BENCHMARKS[name]
        print(f"\n{name}: {title}")
        run(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
