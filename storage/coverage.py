"""When the recorder was not recording (R5): arithmetic over stretches of recording, without a clock or a
database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# A recorder at work says so every few seconds; one that has been silent for longer than this is taken for
# dead.
BEATING_NS = 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """An unbroken time of recording, ns UTC. `cause` is 'running' while it lasts, else what ended it;
    `dropped` packets were lost at its end."""

    from_ns: int
    to_ns: int
    cause: str
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which nothing, or not everything, was recorded, ns UTC.

    `cause`: 'stopped' (in good order), 'killed' (or the machine failed), 'drops' (`dropped` packets lost by
    the kernel), 'not-started' (before the first recording of all).
    """

    from_ns: int
    to_ns: int
    cause: str
    dropped: int = 0


def gaps(stretches: Iterable[Stretch], since_ns: int, until_ns: int) -> list[Gap]:
    """The gaps between stretches (in order of their start) within [since_ns, until_ns], oldest first.

    A stretch still open reaches `until_ns` if its last beat is not older than BEATING_NS.
    """
    found: list[Gap] = []
    covered_to = since_ns
    cause, dropped = "not-started", 0
    latest = 0
    for stretch in stretches:
        if stretch.from_ns > covered_to:
            found.append(Gap(covered_to, min(stretch.from_ns, until_ns), cause, dropped))
        covered_to = max(covered_to, stretch.to_ns)
        # Clocks are set back: the cause of a gap is that of the stretch that reaches furthest.
        if stretch.to_ns >= latest:
            latest = stretch.to_ns
            cause, dropped = stretch.cause, stretch.dropped
            if cause == "running":
                cause = "killed"
                if until_ns - stretch.to_ns <= BEATING_NS:
                    covered_to = max(covered_to, until_ns)
        if covered_to >= until_ns:
            break
    if covered_to < until_ns:
        found.append(Gap(covered_to, until_ns, cause, dropped))
    return [gap for gap in found if gap.to_ns > gap.from_ns]
