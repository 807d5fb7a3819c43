"""Audio that cannot be decoded: its packets are kept beside the signalling, so that nothing is lost.

Who has the codec can play them from the evidence: Wireshark, or a decoder of the standard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bystander.codecs.packets import PacketRun
from bystander.sniffer.address import Endpoint
from bystander.sniffer.rtpevidence import RECORD_BYTES, RtpStream, with_rtp

#: Bytes of such packets kept of one call: some two hours of EVS of both sides.
MAX_BYTES: Final = 32 << 20


@dataclass(slots=True)
class Undecoded:
    """Packets of one stream in one codec: how many came, and how many are kept in the evidence."""

    by: str
    codec: str
    packets: int
    src: Endpoint
    dst: Endpoint
    ssrc: int
    run: PacketRun | None
    kept: int = 0

    def described(self) -> dict[str, Any]:
        """Return it as `calls.json` tells it."""
        return {"by": self.by, "codec": self.codec, "packets": self.packets, "kept": self.kept}


def kept_in(evidence: bytes, streams: list[Undecoded], limit: int = MAX_BYTES) -> bytes:
    """Return evidence with the packets of undecodable streams in it, the first ones up to a limit."""
    wanted = [stream for stream in streams if stream.run is not None]
    room = limit
    taken = []
    for number, stream in enumerate(wanted):
        run = stream.run
        assert run is not None
        share = room // (len(wanted) - number)
        fit = int(((run.size.astype(np.int64) + RECORD_BYTES).cumsum() <= share).sum())
        part = run.take(np.arange(fit))
        room -= int(part.size.sum()) + RECORD_BYTES * fit
        stream.kept, stream.run = fit, None
        taken.append(RtpStream(stream.src, stream.dst, stream.ssrc, part))
    return with_rtp(evidence, taken) if taken else evidence
