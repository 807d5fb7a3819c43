"""Calls signalled over WebSocket, on any port, from the upgrade or from the middle of the connection."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from connections import Connection
from scenery import Line, Outcome, Scene

from tests.websocketkit import Deflate, frame, switching, upgrade

Play = Callable[..., Outcome]
BOTH = ("caller", "callee")
MASK = b"\x11\x22\x93\x44"


def plain(by_client: bool, message: bytes) -> bytes:
    return frame(message, mask=MASK if by_client else b"")


def in_fragments(by_client: bool, message: bytes) -> bytes:
    mask = MASK if by_client else b""
    ping = frame(b"", 9, mask=mask)
    return frame(message[:99], fin=False, mask=mask) + ping + frame(message[99:], 0, mask=mask)


def compressed() -> Callable[[bool, bytes], bytes]:
    sides = {True: Deflate(), False: Deflate()}
    return lambda by_client, message: sides[by_client].message(message, MASK if by_client else b"")


@pytest.mark.parametrize("how", ["plain", "fragments", "deflate"])
@pytest.mark.parametrize("most", [1400, 90])
def test_a_call_over_websocket(scene: Scene, play: Play, how: str, most: int) -> None:
    """C4: RFC 7118, whatever the frames and the segments are."""
    wrap = {"plain": plain, "fragments": in_fragments, "deflate": compressed()}[how]
    connection = Connection(scene=scene, wrap=wrap, most=most)
    line = Line(connection)
    connection.open(0)
    connection.put(0.1, True, upgrade())
    connection.put(0.2, False, switching())
    heard = _call(scene, line, play)
    call = heard.call
    assert (call["transport"], call["verdict"], call["ended_by"]) == ("ws", "recorded", "caller")
    assert heard.heard(0.05, 3.9) == BOTH


@pytest.mark.parametrize("first", ["client", "server"])
def test_from_the_middle_of_the_connection(scene: Scene, play: Play, first: str) -> None:
    """C4: the upgrade was not seen; the header of a frame is guessed, masked or not."""
    connection = Connection(scene=scene, wrap=plain, server=("10.0.0.2", 443))
    connection.put(
        0.3, first == "client", plain(first == "client", b"OPTIONS sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 20)
    )
    heard = _call(scene, Line(connection), play)
    assert (heard.call["transport"], heard.call["verdict"]) == ("ws", "recorded")


def test_a_segment_lost_costs_one_message(scene: Scene, play: Play) -> None:
    connection = Connection(scene=scene, wrap=plain, most=200)
    line = Line(connection)
    connection.open(0)
    connection.put(0.1, True, upgrade())
    connection.put(0.2, False, switching())
    line.progress(0.6)
    ringing = len(scene.frames)
    del scene.frames[ringing - 2]  # of the 180
    heard = _call(scene, line, play)
    assert (heard.call["state"], heard.call["verdict"]) == ("answered", "recorded")


def _call(scene: Scene, line: Line, play: Play) -> Outcome:
    line.invite(0.5)
    line.answer(1)
    scene.talk(line.says(), 1, 5)
    scene.talk(line.replies(), 1, 5)
    line.bye(5)
    return play(scene)
