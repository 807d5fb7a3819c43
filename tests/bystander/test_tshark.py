"""TShark beside a live capture: a key may come late, a restart loses nothing and repeats nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bystander import tshark
from bystander.errors import UserError
from bystander.sniffer.tcp import Segment, TimedMessage
from bystander.tshark import LiveOpener
from tests.tlskit import TlsPair

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
PHONE, PBX = ("10.0.0.1", 40000), ("10.0.0.2", 5061)
START_NS = 1_795_464_000_000_000_000
_PATIENCE_S = 60.0


def message(number: int) -> bytes:
    return b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: %d\r\nContent-Length: 0\r\n\r\n" % number


class Wire:
    """A TLS connection whose segments go to an opener."""

    def __init__(self, opener: LiveOpener, pair: TlsPair, phone: tuple[str, int] = PHONE) -> None:
        self.opener, self.pair, self.phone = opener, pair, phone
        self.sent = {True: 1000, False: 9000}
        self.at_ns = START_NS
        for by_client, data in pair.handshake:
            self.put(by_client, data)

    def put(self, by_client: bool, data: bytes) -> None:
        src, dst = (self.phone, PBX) if by_client else (PBX, self.phone)
        self.at_ns += 1_000_000
        self.opener.take(Segment(src, dst, self.sent[by_client], 24, data, self.at_ns))
        self.sent[by_client] += len(data)

    def say(self, *numbers: int) -> None:
        for number in numbers:
            self.put(number % 2 == 0, self.pair.wrap(number % 2 == 0, message(number)))


def numbers(messages: list[TimedMessage]) -> list[int]:
    return [int(raw.split(b"Call-ID: ")[1].split(b"\r")[0]) for *_, raw in messages]


def wait(opener: LiveOpener, count: int) -> list[TimedMessage]:
    """Turn until so many messages have come back."""
    found: list[TimedMessage] = []
    until = time.monotonic() + _PATIENCE_S
    while len(found) < count and time.monotonic() < until:
        found += opener.turn()
        time.sleep(0.02)
    return found


@pytest.fixture
def keylog(tmp_path: Path) -> Path:
    return tmp_path / "keys.log"


@pytest.fixture
def opener(keylog: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveOpener]:
    monkeypatch.setattr(LiveOpener, "DELAY_S", 0.2)
    made = LiveOpener(keylog, [5061], lambda what, text: None)
    yield made
    made.close()


def test_messages_come_back_while_the_connection_goes_on(opener: LiveOpener, keylog: Path) -> None:
    wire = Wire(opener, TlsPair(keylog))
    wire.say(0, 1)
    found = wait(opener, 2)
    assert numbers(found) == [0, 1]
    time_ns, src, dst, transport, _ = found[0]
    assert (START_NS < time_ns <= wire.at_ns, src, dst, transport) == (True, PHONE, PBX, "tls")
    wire.say(2)
    assert numbers(wait(opener, 1)) == [2]
    wire.say(3)
    assert numbers(opener.close()) == [3]


def test_a_key_that_is_written_after_the_handshake_was_captured(opener: LiveOpener, keylog: Path) -> None:
    elsewhere = keylog.with_name("later.log")
    wire = Wire(opener, TlsPair(elsewhere))
    assert opener.turn() == []
    shutil.copy(elsewhere, keylog)
    wire.say(0)
    assert numbers(wait(opener, 1)) == [0]


def test_a_new_process_takes_up_open_connections(
    opener: LiveOpener, keylog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TShark is begun anew after so many packets; what it said before is not taken twice."""
    monkeypatch.setattr(LiveOpener, "MAX_PACKETS", 9)
    monkeypatch.setattr(LiveOpener, "_PATIENCE_S", 2.0)
    monkeypatch.setattr(tshark.time, "sleep", lambda _: None)
    wire = Wire(opener, TlsPair(keylog))
    other = Wire(opener, TlsPair(keylog), ("10.0.0.3", 1234))
    wire.say(*range(8))
    other.say(*range(10, 14))
    assert sorted(numbers(wait(opener, 12))) == [*range(8), *range(10, 14)]
    assert opener.counters["restarts"] >= 1


def test_a_connection_too_long_to_be_told_again_is_given_up(
    opener: LiveOpener, keylog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LiveOpener, "MAX_PACKETS", 9)
    monkeypatch.setattr(LiveOpener, "MAX_KEPT_BYTES", 500)
    monkeypatch.setattr(LiveOpener, "_PATIENCE_S", 2.0)
    wire = Wire(opener, TlsPair(keylog))
    wire.say(*range(30))
    opener.close()
    assert opener.counters["given-up"] >= 1
    assert opener._kept_bytes >= 0


def test_what_waits_is_bounded(opener: LiveOpener, keylog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LiveOpener, "MAX_WAITING_BYTES", 10_000)
    for number in range(100):
        opener.take(Segment(PHONE, PBX, number, 16, bytes(1000), START_NS))
    assert opener.counters["dropped"] >= 90


def test_a_tshark_that_hangs_holds_nothing_up(
    opener: LiveOpener, keylog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tshark, "command", lambda *_: ["sleep", "60"])
    monkeypatch.setattr(LiveOpener, "DELAY_S", 0.0)
    monkeypatch.setattr(LiveOpener, "MAX_WAITING_BYTES", 100_000)
    monkeypatch.setattr(LiveOpener, "_PATIENCE_S", 0.5)
    for number in range(3000):
        opener.take(Segment(PHONE, PBX, number, 16, bytes(1000), START_NS))
        assert opener.turn() == []
    assert opener._todo.qsize() <= LiveOpener.MAX_QUEUED
    assert opener._waiting_bytes <= 100_000
    assert opener.counters["dropped"] > 2000


def test_without_tshark_it_says_so(keylog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match=r"tshark.*not installed"):
        LiveOpener(keylog, [5061], lambda what, text: None)
