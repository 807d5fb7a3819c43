"""The listener for HEP on real sockets: what comes is kept, bounded, counted; nothing is answered."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest

from bystander import heplistener
from bystander.config_hep import Hep
from bystander.errors import UserError
from bystander.heplistener import HepListener
from bystander.sniffer.hep import HepPacket


def packet(payload: bytes, key: bytes = b"") -> bytes:
    chunks = [(3, bytes([10, 0, 0, 1])), (4, bytes([10, 0, 0, 2])), (11, b"\x01"), (15, payload)]
    chunks += [(14, key)] if key else []
    body = b"".join(struct.pack("!HHH", 0, kind, 6 + len(value)) + value for kind, value in chunks)
    return b"HEP3" + (6 + len(body)).to_bytes(2) + body


async def heard(
    section: Hep, send: Callable[[int], object], wanted: Callable[[HepListener], bool]
) -> tuple[HepListener, list[HepPacket]]:
    """Listen, let ``send`` loose on the port in a thread, wait until ``wanted``; return what was taken."""
    came = asyncio.Event()
    listener = HepListener(section, came.set)
    for again in range(9, -1, -1):
        try:
            await listener.open()
            break
        except UserError:  # a free port for UDP was not free for TCP
            if not again:
                raise
    try:
        await asyncio.to_thread(send, listener.port)
        async with asyncio.timeout(60):
            while not wanted(listener):
                await asyncio.sleep(0.01)
        return listener, listener.take()
    finally:
        listener.close()


LOOPBACK = Hep(listen="127.0.0.1:0")


def by_udp(*packets: bytes) -> Callable[[int], None]:
    def send(port: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for each in packets:
                sock.sendto(each, ("127.0.0.1", port))

    return send


def by_tcp(*pieces: bytes) -> Callable[[int], bytes]:
    def send(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            for piece in pieces:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
            return sock.recv(100)

    return send


def test_by_udp() -> None:
    send = by_udp(packet(b"one"), b"what is this", packet(b"two"))
    listener, taken = asyncio.run(heard(LOOPBACK, send, lambda it: len(it) == 2))
    assert [each.payload for each in taken] == [b"one", b"two"]
    assert +listener.counters == {"taken": 2, "not-hep": 1}
    assert len(listener) == 0


def test_by_tcp_in_pieces_and_nothing_is_answered() -> None:
    raw = packet(b"one") + packet(b"two")
    answer: list[bytes] = []
    send = by_tcp(raw[:9], raw[9:70], raw[70:])
    _, taken = asyncio.run(heard(LOOPBACK, lambda port: answer.append(send(port)), lambda it: len(it) == 2))
    assert [each.payload for each in taken] == [b"one", b"two"]
    assert answer == [b""]


def test_without_an_address_nothing_listens() -> None:
    async def check() -> int:
        listener = HepListener(Hep(), lambda: None)
        await listener.open()
        return listener.port

    assert asyncio.run(check()) == 0


def test_without_the_key_nothing_is_taken() -> None:
    section = Hep(listen="127.0.0.1:0", auth_key="secret")
    send = by_udp(packet(b"none"), packet(b"wrong", b"guess"), packet(b"right", b"secret"))
    listener, taken = asyncio.run(heard(section, send, lambda it: len(it) == 1))
    assert [each.payload for each in taken] == [b"right"]
    assert listener.counters["hep-unauthorised"] == 2


@pytest.mark.parametrize("send", [by_udp(packet(b"one")), lambda port: by_tcp(packet(b"one"))(port)])
def test_foreign_senders_are_turned_away(send: Callable[[int], object]) -> None:
    section = Hep(listen="127.0.0.1:0", senders=("10.0.0.0/8", "192.0.2.1"))

    def anyhow(port: int) -> None:
        try:
            send(port)
        except OSError:
            pass  # aborted: that is what is to be shown

    listener, taken = asyncio.run(heard(section, anyhow, lambda it: bool(it.counters["foreign-sender"])))
    assert taken == []
    assert +listener.counters == {"foreign-sender": 1}


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heplistener, "MAX_WAITING", 3)
    send = by_tcp(b"".join(packet(bytes([n])) for n in range(10)))
    _, taken = asyncio.run(heard(LOOPBACK, send, lambda it: it.counters["queue-full"] == 7))
    assert [each.payload for each in taken] == [b"\0", b"\1", b"\2"]


def test_the_bytes_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heplistener, "MAX_WAITING_BYTES", 2500)
    send = by_tcp(b"".join(packet(bytes(1000)) for _ in range(10)))
    listener, taken = asyncio.run(heard(LOOPBACK, send, lambda it: it.counters["queue-full"] == 7))
    assert len(taken) == 3
    listener.receive(packet(b"x"))
    assert len(listener) == 1


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heplistener, "MAX_CONNECTIONS", 2)

    def send(port: int) -> None:
        kept.extend(socket.create_connection(("127.0.0.1", port)) for _ in range(3))

    kept: list[socket.socket] = []
    asyncio.run(heard(LOOPBACK, send, lambda it: it.counters["connections-refused"] == 1))
    for each in kept:
        each.close()


def test_an_address_that_cannot_be_had_is_one_line() -> None:
    async def check() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            listener = HepListener(Hep(listen=f"127.0.0.1:{taken.getsockname()[1]}"), lambda: None)
            await listener.open()

    with pytest.raises(UserError, match=r"cannot listen for HEP on 127\.0\.0\.1:\d+: .*in use"):
        asyncio.run(check())
