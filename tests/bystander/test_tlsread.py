"""What people are told of TLS connections that are not read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bystander.config import Config, settings
from bystander.readingsettings import ReadingSettings
from bystander.sniffer.tcp import Segment
from bystander.sniffer.tls import TlsConnections
from bystander.tlsread import UnreadWatch, opened_beforehand, opener_of, unread

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(90)


def connect(connections: TlsConnections, *numbers: int, port: int = 5061) -> None:
    for number in numbers:
        connections.feed(Segment(("10.0.0.1", number), ("10.0.0.2", port), 1, 16, HELLO, number))


def test_how_many_and_where() -> None:
    connections = TlsConnections((5061, 5063))
    assert unread(connections) == []
    connect(connections, 1)
    assert unread(connections) == [
        "1 TLS connection to port 5061 was not read; give a key log with --tls-keylog"
    ]
    connect(connections, 2, 3, port=5063)
    assert unread(connections, advice="x") == ["3 TLS connections to ports 5061, 5063 were not read; x"]


def test_a_connection_that_is_about_to_be_read_is_no_news() -> None:
    """Its messages come some seconds later; only what stays unread is told."""
    connections = TlsConnections()
    watch = UnreadWatch(connections, has_keylog=True)
    connect(connections, 1)
    assert watch.look() == []
    connections.opened(("10.0.0.1", 1), ("10.0.0.2", 5061))
    assert watch.look() == []
    connect(connections, 2)
    assert watch.look() == []
    (line,) = watch.look()
    assert line == "1 TLS connection to port 5061 was not read; their keys are not in the key log"


@pytest.mark.parametrize("has_keylog", [True, False])
def test_the_advice_is_what_can_be_done(has_keylog: bool) -> None:
    connections = TlsConnections()
    connect(connections, 1, 2)
    watch = UnreadWatch(connections, has_keylog=has_keylog)
    watch.look()
    assert ("tls_keylog" in watch.look()[0]) is not has_keylog


def test_without_a_key_log_nothing_is_opened(tmp_path: Path) -> None:
    assert opened_beforehand([tmp_path / "none.pcap"], ReadingSettings()) == []
    assert opener_of(Config(), lambda what, text: None) is None


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_a_key_log_that_is_not_there_yet_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    config = settings(capture={"tls_keylog": tmp_path / "keys.log"})
    opener = opener_of(config, lambda what, text: said.append(text))
    assert opener is not None
    assert opener.close() == []
    assert "no such key log yet" in said[0]
