"""A live clock that was set back: between one frame and the next, time is earlier than it was.

The kernel stamps frames with the clock of the machine, in the order in which they come. A call that runs on
over such a moment would end before it was answered, and what was said would be nowhere. So it is divided:
what is in progress is finished at the time that it was, and what follows is begun anew, as after a restart.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from bystander.sniffer.frames import Frames

#: Processors of the machine take turns at stamping, and are out of step by far less; clocks are set by more.
_BACK_NS: Final = 1_000_000_000


class Setbacks:
    """Finds them in a sequence of blocks. ``latest_ns`` is the latest time since the last one."""

    def __init__(self) -> None:
        self.latest_ns = 0

    def parts(self, frames: Frames) -> list[tuple[int, Frames]]:
        """Divide a block where the clock was set back: (by how many ns before this part, the part)."""
        times = frames.time_ns
        latest = np.maximum(np.maximum.accumulate(times), self.latest_ns)
        if times.min() >= latest[-1] - _BACK_NS:
            self.latest_ns = int(latest[-1])
            return [(0, frames)]
        found, start, back_ns = [], 0, 0
        for at, time_ns in enumerate(times.tolist()):
            if time_ns < self.latest_ns - _BACK_NS:
                if at > start:
                    found.append((back_ns, _part(frames, start, at)))
                start, back_ns, self.latest_ns = at, self.latest_ns - time_ns, time_ns
            self.latest_ns = max(self.latest_ns, time_ns)
        return [*found, (back_ns, _part(frames, start, len(frames)))]


def _part(frames: Frames, start: int, end: int) -> Frames:
    """Return some frames of a block that comes from a ring."""
    those = slice(start, end)
    return replace(
        frames,
        offset=frames.offset[those],
        captured=frames.captured[those],
        length=frames.length[those],
        time_ns=frames.time_ns[those],
        vlan=None if frames.vlan is None else frames.vlan[those],
        tunnel=None if frames.tunnel is None else frames.tunnel[those],
    )
