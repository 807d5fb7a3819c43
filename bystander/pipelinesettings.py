"""What the pipeline is told when it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bystander.digits import DigitSettings
from bystander.sniffer.calls import Call, CallSettings
from bystander.sniffer.tcp import Segment
from bystander.sniffer.tls import TLS_PORTS


@dataclass(slots=True)
class PipelineSettings:
    """What the pipeline needs to know; all of it has a default."""

    calls: CallSettings = field(default_factory=CallSettings)
    root: Path = Path()
    #: Where a call's recording goes, below ``root``.
    target: Callable[[Call], Path] = lambda call: Path(f"{call.started_ns}.wav")
    #: Why a call is not to be recorded, or None.
    excluded: Callable[[Call], str | None] = lambda _call: None
    #: Lose as little as possible to a crash: media is flushed every few seconds, recordings reach the disk.
    durable: bool = False
    #: Keep streams that no call claims as recordings of their own, at ``orphan_target(first_ns, stream id)``.
    keep_unclaimed: bool = False
    orphan_target: Callable[[int, int], Path] = lambda first_ns, stream: Path(f"{first_ns}-{stream}.wav")
    #: Told how long each flush took, in seconds.
    observe_flush: Callable[[float], None] = lambda _seconds: None
    max_streams: int = 16384
    #: By what networks with one address plan are told apart: some of `separation.KINDS`.
    separate: tuple[str, ...] = ()
    #: VLANs that are one network all the same.
    vlan_groups: tuple[tuple[int, ...], ...] = ()
    digits: DigitSettings = field(default_factory=DigitSettings)
    #: Ports of SIP over TLS, and who takes the segments of the connections there.
    tls_ports: tuple[int, ...] = TLS_PORTS
    tls_take: Callable[[Segment], None] | None = None
