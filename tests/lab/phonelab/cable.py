"""A bad cable: copies Ethernet frames between two interfaces and spoils the RTP that goes one way through it.

    cable.py SEED REPORT NEAR FAR

From NEAR to FAR each RTP packet gets a delay (jitter), and some are dropped, sent twice, or held back
behind later ones, by a generator with a SEED. Everything else passes untouched. What was done is written to
REPORT (JSON) as it happens: sequence numbers dropped, duplicated and delayed.
"""

from __future__ import annotations

import heapq
import json
import random
import select
import socket
import sys
import time
from pathlib import Path

ETH_P_ALL = 3
PACKET_OUTGOING = 4
DROP, BURST, TWICE, LATE = 0.015, 0.004, 0.02, 0.02
JITTER_S, LATE_S = 0.012, 0.055


def open_interface(name: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((name, 0))
    return sock


def rtp_sequence(frame: bytes) -> int | None:
    """The sequence number when the frame is IPv4 UDP with RTP (not RTCP, not SIP), else None."""
    if frame[12:14] != b"\x08\x00" or frame[14] != 0x45 or frame[23] != 17 or len(frame) < 54:
        return None
    ports = int.from_bytes(frame[34:36], "big"), int.from_bytes(frame[36:38], "big")
    if 5060 in ports or frame[42] >> 6 != 2 or frame[43] & 0x7F >= 64:
        return None
    return int.from_bytes(frame[44:46], "big")


def main(seed: str, report: str, near: str, far: str) -> None:
    chance = random.Random(seed)
    inside, outside = open_interface(near), open_interface(far)
    done: dict[str, list[int]] = {"dropped": [], "doubled": [], "late": []}
    waiting: list[tuple[float, int, bytes]] = []
    serial = burst = seen = 0
    print("ready", flush=True)
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([inside, outside], [], [], timeout)
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            outside.send(heapq.heappop(waiting)[2])
        for sock in ready:
            frame, address = sock.recvfrom(65536)
            if address[2] == PACKET_OUTGOING:
                continue
            sequence = rtp_sequence(frame) if sock is inside else None
            if sequence is None:
                (outside if sock is inside else inside).send(frame)
                continue
            serial += 1
            seen += 1
            delay = chance.random() * JITTER_S
            fate = chance.random()
            # The first packets stay whole, so that a recording's beginning is known.
            if seen > 25:
                if burst or fate < DROP + BURST:
                    burst = burst - 1 if burst else (6 if fate < BURST else 0)
                    done["dropped"].append(sequence)
                    Path(report).write_text(json.dumps(done))
                    continue
                if fate < DROP + BURST + TWICE:
                    done["doubled"].append(sequence)
                    heapq.heappush(waiting, (now + delay + 0.003, serial, frame))
                    serial += 1
                elif fate < DROP + BURST + TWICE + LATE:
                    done["late"].append(sequence)
                    delay = LATE_S
                Path(report).write_text(json.dumps(done))
            heapq.heappush(waiting, (now + delay, serial, frame))


if __name__ == "__main__":
    main(*sys.argv[1:])
