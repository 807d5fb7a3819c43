"""A stream of an earlier process, known from what that process left in the spool."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bystander.sniffer.address import Endpoint
from bystander.sniffer.streams import Figures


@dataclass(slots=True, eq=False)
class RecoveredStream:
    """An RTP stream that ended with the process that recorded it; ``file`` holds its media."""

    id: int
    src: Endpoint
    dst: Endpoint
    ssrc: int
    first_ns: int
    file: Path
    figures: Figures
    payload_types: list[int] = field(default_factory=list)
    tunnel: str = ""

    @property
    def measures(self) -> None:
        """How it came was measured by the process that is gone."""
        return None

    @property
    def last_ns(self) -> int:
        """Capture time of the latest packet, ns."""
        return self.figures.last_ns

    @property
    def packets(self) -> int:
        """Distinct sequence numbers known to have come."""
        return self.figures.packets
