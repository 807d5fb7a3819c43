"""Calls signalled over TLS: read with a key log, else counted and told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from connections import Connection
from scenery import Line, Outcome, Scene

from bystander.config import settings
from bystander.errors import UserError
from tests.tlskit import TlsPair
from tests.websocketkit import frame, switching, upgrade

Play = Callable[..., Outcome]
pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def call(scene: Scene, connection: Connection) -> Line:
    line = Line(connection)
    line.invite(0.5)
    line.answer(1)
    scene.talk(line.says(), 1, 5)
    scene.talk(line.replies(), 1, 5)
    line.bye(5)
    return line


def opened(scene: Scene, pair: TlsPair, port: int = 5061, **more: object) -> Connection:
    connection = Connection(scene=scene, wrap=pair.wrap, server=("10.0.0.2", port), **more)  # type: ignore[arg-type]
    connection.open(0)
    for number, (by_client, data) in enumerate(pair.handshake):
        connection.put(0.1 + number / 100, by_client, data)
    return connection


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_call_over_tls_with_its_keys(scene: Scene, play: Play, tmp_path: Path, version: str) -> None:
    """The messages keep their times and addresses, and the call is the call it was."""
    keylog = tmp_path / "keys.log"
    call(scene, opened(scene, TlsPair(keylog, version), most=300))
    heard = play(scene, settings=settings(capture={"tls_keylog": keylog}))
    one = heard.call
    assert (one["transport"], one["verdict"], one["ended_by"]) == ("tls", "recorded", "caller")
    assert one["duration_s"] == pytest.approx(4.0, abs=0.001)
    assert heard.heard(0.05, 3.9) == ("caller", "callee")
    assert heard.result["notes"] == []
    assert heard.result["counters"]["tls_connections_read"] == 1


@pytest.mark.parametrize("alpn", ["", "http/1.1"])
def test_a_call_over_secure_websocket_on_any_port(
    scene: Scene, play: Play, tmp_path: Path, alpn: str
) -> None:
    """wss: the connection is found by the client's random, which the key log names."""
    keylog = tmp_path / "keys.log"
    pair = TlsPair(keylog, alpn=alpn)
    connection = opened(scene, pair, port=8443)
    connection.put(0.3, True, pair.wrap(True, upgrade()))
    connection.put(0.35, False, pair.wrap(False, switching()))

    def wrap(by_client: bool, message: bytes) -> bytes:
        return pair.wrap(by_client, frame(message, mask=b"abcd" if by_client else b""))

    connection.wrap = wrap
    call(scene, connection)
    heard = play(scene, settings=settings(capture={"tls_keylog": keylog}))
    assert (heard.call["transport"], heard.call["verdict"]) == ("ws", "recorded")


def test_without_keys_the_connections_are_counted_and_told(scene: Scene, play: Play, tmp_path: Path) -> None:
    for number in range(2):
        connection = opened(scene, TlsPair(tmp_path / "keys.log"), client=("10.1.0.1", 40000 + number))
        call(scene, connection)
    heard = play(scene)
    assert heard.calls == []
    assert heard.result["notes"] == [
        "2 TLS connections to port 5061 were not read; give a key log with --tls-keylog"
    ]
    assert heard.result["problems"] == []


def test_keys_of_other_connections_open_nothing(scene: Scene, play: Play, tmp_path: Path) -> None:
    keylog = tmp_path / "others.log"
    TlsPair(keylog)
    call(scene, opened(scene, TlsPair(tmp_path / "keys.log")))
    heard = play(scene, settings=settings(capture={"tls_keylog": keylog}))
    assert heard.calls == []
    assert len(heard.result["notes"]) == 1


def test_a_port_used_again_is_another_connection(scene: Scene, play: Play, tmp_path: Path) -> None:
    keylog = tmp_path / "keys.log"
    first = opened(scene, TlsPair(keylog))
    first.put(0.3, True, first.wrap(True, b"INVITE sip:half"))  # never finished
    first.close(0.4)
    again = opened(Scene(), TlsPair(keylog), sent={True: 77_000_000, False: 5_000_000})
    scene.frames += [(at + 1, data) for at, data in again.scene.frames]
    again.scene = scene
    line = Line(again)
    line.invite(2)
    line.progress(2.5, "486 Busy Here")
    heard = play(scene, settings=settings(capture={"tls_keylog": keylog}))
    assert heard.call["state"] == "busy"


@pytest.mark.parametrize("content", [None, b"", b"no keys here\n" * 10])
def test_a_key_log_that_is_none_is_one_line(
    scene: Scene, play: Play, tmp_path: Path, content: bytes | None
) -> None:
    keylog = tmp_path / "keys.log"
    if content is not None:
        keylog.write_bytes(content)
    with pytest.raises(UserError, match=r"keys.log: (cannot read|no key)"):
        play(scene, settings=settings(capture={"tls_keylog": keylog}))
