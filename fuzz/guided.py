"""Coverage-guided fuzzing (atheris): ``python -m fuzz.guided [entry...] [--seconds 60] [--keep]``.

Each entry runs in a process of its own: libFuzzer takes a process over and ends it. It starts from the
kept corpus and the seeds; a finding is written to ``build/fuzz/ENTRY/`` with how to repeat it. ``--keep``
reduces what was found to what is new and writes it back to ``fuzz/corpus/ENTRY.zip``.
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).parents[1] / "build" / "fuzz"
#: A case that takes longer hangs the reader; the machine may be busy with other work.
_TIMEOUT_S = 20
_MEMORY_MB = 2048


def _fuzz(entry: str, arguments: list[str]) -> None:
    """Become the fuzzer of one entry; does not return."""
    import atheris

    with atheris.instrument_imports(include=["bystander"]):
        from fuzz.entries import ENTRIES

    atheris.Setup([sys.argv[0], *arguments], ENTRIES[entry])
    atheris.Fuzz()


def run(entry: str, seconds: int, *, keep: bool) -> bool:
    """Fuzz one entry for some seconds; tell whether it stood."""
    from fuzz.corpus import MOST_BYTES, reduced, unpack, write
    from fuzz.entries import ENTRIES

    work = BUILD / entry
    inputs = work / "inputs"
    shutil.rmtree(inputs, ignore_errors=True)
    unpack(entry, inputs)
    before = len(list(inputs.iterdir()))
    limits = [f"-timeout={_TIMEOUT_S}", f"-rss_limit_mb={_MEMORY_MB}", f"-max_len={MOST_BYTES}"]
    command = [sys.executable, "-m", "fuzz.guided", "--become", entry, str(inputs), *limits]
    command += [f"-max_total_time={seconds}", f"-artifact_prefix={work}/", "-print_final_stats=1"]
    log = work / "log"
    with log.open("w") as output:
        status = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
    said = log.read_text(errors="replace").splitlines()
    figures = dict(line[6:].replace(" ", "").split(":", 1) for line in said if line.startswith("stat::"))
    coverage = next((line for line in reversed(said) if " cov: " in line), "")
    reached = coverage.partition(" cov: ")[2].split(" ")[0] or "?"
    print(
        f"{entry}: {figures.get('number_of_executed_units', '?')} cases from {before} inputs, "
        f"{figures.get('average_exec_per_sec', '?')} a second, {reached} branches reached, "
        f"{len(list(inputs.iterdir())) - before} new inputs, {figures.get('peak_rss_mb', '?')} MiB at most"
    )
    if status:
        print(f"{entry}: a finding; see {log}", file=sys.stderr)
        print("\n".join(said[-30:]), file=sys.stderr)
        return False
    if keep:
        kept = reduced(ENTRIES[entry], [file.read_bytes() for file in sorted(inputs.iterdir())])
        path = write(entry, kept)
        print(f"{entry}: {len(kept)} inputs kept in {path.name}, {path.stat().st_size} bytes")
    return True


def main() -> int:
    if sys.argv[1:2] == ["--become"]:
        _fuzz(sys.argv[2], sys.argv[3:])
    from fuzz.entries import ENTRIES

    parser = argparse.ArgumentParser(
        prog="python -m fuzz.guided", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("entry", nargs="*", help=f"all of them, or some of: {', '.join(ENTRIES)}")
    parser.add_argument("--seconds", type=int, default=60, help="for each entry")
    parser.add_argument("--keep", action="store_true", help="write what was found into the corpus")
    given = parser.parse_args()
    if unknown := [name for name in given.entry if name not in ENTRIES]:
        parser.error(f"no such entry: {', '.join(unknown)} (there are {', '.join(ENTRIES)})")
    try:
        import atheris  # noqa: F401
    except ImportError:
        print(
            "atheris is not installed (it has no wheel for every Python); pip install atheris",
            file=sys.stderr,
        )
        return 1
    stood = [run(name, given.seconds, keep=given.keep) for name in given.entry or ENTRIES]
    return 0 if all(stood) else 1


if __name__ == "__main__":
    sys.exit(main())
