"""Takes HEP by UDP and TCP on an address of the configuration, and keeps it until the pipeline asks.

It only listens: nothing is ever answered, so a proxy that sends copies waits for nobody (R6).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from bystander.config_hep import Hep
from bystander.errors import UserError
from bystander.section import host_and_port
from bystander.sniffer.hep import HepFramer, HepPacket, parse_hep

#: Packets that wait for the pipeline, their bytes, and connections at a time; beyond, what is new is refused
#: and counted.
MAX_WAITING: Final = 8192
MAX_WAITING_BYTES: Final = 32 << 20
MAX_CONNECTIONS: Final = 64
#: Counted from zero on: an alert sees a counter rise, not appear.
RESULTS: Final = (
    "taken",
    "queue-full",
    "foreign-sender",
    "connections-refused",
    "hep-unauthorised",
    "not-hep",
)


class HepListener:
    """One listener, from :meth:`open` to :meth:`close`.

    ``counters``: taken, queue-full, foreign-sender, connections-refused, and the reasons of ``parse_hep`` and
    ``HepFramer``. ``arrived`` is called when there is something to take.
    """

    def __init__(self, section: Hep, arrived: Callable[[], None]) -> None:
        self._section = section
        self._arrived = arrived
        self._waiting: deque[HepPacket] = deque()
        self._waiting_bytes = 0
        self._datagrams: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self.connections: set[asyncio.Transport] = set()
        self.counters: Counter[str] = Counter(dict.fromkeys(RESULTS, 0))
        self.port = 0

    def __len__(self) -> int:
        """Return how many packets wait."""
        return len(self._waiting)

    async def open(self) -> None:
        """Begin to listen. Raises UserError if the address cannot be had."""
        if self._section.listen is None:
            return
        host, port = host_and_port(self._section.listen)
        loop = asyncio.get_running_loop()
        try:
            self._datagrams, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), (host, port))
            self.port = int(self._datagrams.get_extra_info("sockname")[1])
            if self._section.tcp:
                self._server = await loop.create_server(lambda: _Tcp(self), host, self.port)
        except OSError as error:
            self.close()
            raise UserError(
                f"cannot listen for HEP on {self._section.listen}: {error.strerror}; "
                "set [hep] listen to a free address of this machine"
            ) from None

    def close(self) -> None:
        """Stop listening; what waits can still be taken."""
        for transport in [*self.connections]:
            transport.abort()
        if self._datagrams is not None:
            self._datagrams.close()
        if self._server is not None:
            self._server.close()

    def take(self) -> list[HepPacket]:
        """Return what has come, in order, and forget it."""
        taken = list(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        return taken

    def admits(self, address: str) -> bool:
        """Tell whether an address may send; count it if not."""
        if self._section.admits(address):
            return True
        self.counters["foreign-sender"] += 1
        return False

    def receive(self, data: bytes) -> None:
        """Take the bytes of one packet."""
        packet = parse_hep(data, self._section.auth_key)
        if isinstance(packet, str):
            self.counters[packet] += 1
        elif len(self._waiting) >= MAX_WAITING or self._waiting_bytes > MAX_WAITING_BYTES:
            self.counters["queue-full"] += 1
        else:
            self.counters["taken"] += 1
            self._waiting.append(packet)
            self._waiting_bytes += len(packet.payload)
            self._arrived()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, listener: HepListener) -> None:
        self._listener = listener

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._listener.admits(addr[0]):
            self._listener.receive(data)


class _Tcp(asyncio.Protocol):
    """One connection of a sender: cut into packets until it ends."""

    def __init__(self, listener: HepListener) -> None:
        self._listener = listener
        self._framer = HepFramer(listener.counters)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        peer = transport.get_extra_info("peername")
        if len(self._listener.connections) >= MAX_CONNECTIONS:
            self._listener.counters["connections-refused"] += 1
            transport.abort()
        elif peer is None or not self._listener.admits(peer[0]):
            transport.abort()
        else:
            self._transport = transport
            self._listener.connections.add(transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            for packet in self._framer.feed(data):
                self._listener.receive(packet)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._transport is not None:
            self._listener.connections.discard(self._transport)
