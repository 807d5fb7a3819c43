"""Run the benchmarks: ``python -m benchmarks [name...]`` (``make bench BENCH="stages live"``)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from benchmarks import decoding, extraction, live, machine, stages
from benchmarks.traffic import cache_directory

BENCHMARKS: dict[str, tuple[str, Callable[[], None]]] = {
    "extract": ("the whole program on one core, from capture file to WAV", extraction.run),
    "stages": ("CPU ns per packet, stage by stage, on one core", stages.run),
    "decode": ("G.711 to 16-bit samples", decoding.run),
    "live": ("live, over a veth pair", live.run),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="*", help=f"all of them, or some of: {', '.join(BENCHMARKS)}")
    given = parser.parse_args()
    unknown = [name for name in given.name if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)} (there are {', '.join(BENCHMARKS)})")
    print(machine.describe())
    folder = cache_directory()
    print(f"files in {folder}, where making one costs {machine.file_cost_us(folder):.0f} us")
    for name in given.name or BENCHMARKS:
        title, run = BENCHMARKS[name]
        print(f"\n{name}: {title}")
        run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
