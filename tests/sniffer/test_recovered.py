"""A stream that an earlier process recorded."""

from __future__ import annotations

from pathlib import Path

from bystander.sniffer.calls import CallTable
from bystander.sniffer.recovered import RecoveredStream
from bystander.sniffer.streams import Figures


def test_it_is_a_stream_to_the_calls() -> None:
    figures = Figures(500, 3, 2, 1, 0.5, 9_000, 1_000)
    stream = RecoveredStream(
        7, ("10.0.0.1", 4000), ("10.0.0.2", 5000), 0xCAFE, 1_000, Path("slot-1.spool"), figures, [8]
    )
    assert (stream.packets, stream.last_ns) == (500, 9_000)
    table = CallTable()
    table.stream_started(stream)
    assert table.unclaimed_streams == 1
