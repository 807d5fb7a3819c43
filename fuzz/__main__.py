"""Run the fuzz targets: ``python -m fuzz [target...] [--seconds 30] [--seed 1]``.

Every case follows from the seed and its number; ``--seed S --first N --cases 1`` repeats a failure (or,
if it needs what came before it, without ``--first``). A target fails when it raises, or when memory goes on
growing: resident memory is compared after the first third and at the end. ``--trace`` lists what grew.
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import time
import traceback
import tracemalloc
from pathlib import Path

from fuzz.targets import TARGETS, Target

#: Growth of resident memory, from a third of the way to the end, that is called a leak. Bounded tables of
#: every kind fill up within the first third.
ALLOWED_GROWTH_BYTES = 48 << 20


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _show_growth(before: tracemalloc.Snapshot) -> None:
    for statistic in tracemalloc.take_snapshot().compare_to(before, "lineno")[:8]:
        print(f"    {statistic}")


def attack(target: Target, *, seed: int, first: int, cases: int | None, seconds: float, trace: bool) -> bool:
    """Feed a target until the cases or the seconds are used up; tell whether it stood."""
    began = time.monotonic()
    warm: int | None = None
    snapshot: tracemalloc.Snapshot | None = None
    number = first
    while (cases is None or number < first + cases) and (
        cases is not None or time.monotonic() < began + seconds
    ):
        rng = random.Random(f"{seed}:{target.name}:{number}")
        try:
            target.run(rng)
        except Exception:  # noqa: BLE001 - whatever it raises is the finding
            print(f"{target.name}: case {number} of seed {seed} raised", file=sys.stderr)
            traceback.print_exc()
            print(
                f"again: python -m fuzz {target.name} --seed {seed} --first {number} --cases 1",
                file=sys.stderr,
            )
            return False
        number += 1
        done = (number - first) / cases if cases is not None else (time.monotonic() - began) / seconds
        if warm is None and done > 1 / 3:
            gc.collect()
            warm = resident_bytes()
            snapshot = tracemalloc.take_snapshot() if trace else None
    gc.collect()
    grown = resident_bytes() - warm if warm is not None else 0
    rate = (number - first) / max(time.monotonic() - began, 1e-9)
    print(f"{target.name}: {number - first} cases, {rate:,.0f} a second, memory {grown / 2**20:+.1f} MiB")
    print(f"    {target.summary()}")
    if snapshot is not None:
        _show_growth(snapshot)
    if grown > ALLOWED_GROWTH_BYTES:
        print(f"{target.name}: memory grew by {grown / 2**20:.0f} MiB after warming up", file=sys.stderr)
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", nargs="*", help=f"all of them, or some of: {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each target")
    parser.add_argument("--cases", type=int, help="for each target, instead of a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--trace", action="store_true", help="list the lines whose memory grew (slow)")
    given = parser.parse_args()
    unknown = [name for name in given.target if name not in TARGETS]
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)} (there are {', '.join(TARGETS)})")
    if given.trace:
        tracemalloc.start(5)
    stood = [
        attack(
            TARGETS[name](),
            seed=given.seed,
            first=given.first,
            cases=given.cases,
            seconds=given.seconds,
            trace=given.trace,
        )
        for name in given.target or TARGETS
    ]
    return 0 if all(stood) else 1


if __name__ == "__main__":
    sys.exit(main())
