"""A trunk port: sends every frame of one interface out of another with VLAN tags put in.

    trunk.py TAGS FROM TO

TAGS is a list like ``0x8100:120`` or ``0x88a8:7,0x8100:120`` (EtherType:VLAN, outermost first). It stands
in for a kernel without 802.1Q support: the frames that reach the recorder are tagged on the wire, as a
trunk's are.
"""

from __future__ import annotations

import socket
import sys

ETH_P_ALL = 3
PACKET_OUTGOING = 4


def main(tags: str, source: str, target: str) -> None:
    pairs = [part.split(":") for part in tags.split(",")]
    shim = b"".join(int(kind, 0).to_bytes(2, "big") + int(vlan).to_bytes(2, "big") for kind, vlan in pairs)
    receive = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    receive.bind((source, 0))
    send = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    send.bind((target, 0))
    print("ready", flush=True)
    while True:
        frame, address = receive.recvfrom(65536)
        if address[2] != PACKET_OUTGOING:
            send.send(frame[:12] + shim + frame[12:])


if __name__ == "__main__":
    main(*sys.argv[1:])
