"""Players: what they took is known however they end, and nothing plain is on a disk (R7, R14)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bystander import player
from bystander.errors import UserError
from bystander.player import HEADER_BYTES, PLAYERS, Player
from bystander.storage.wav import header
from tests.bureau import Bureau
from tests.vaultkit import name_of

RATE = 32_000  # bytes a second of stereo at 8 kHz


def wav(seconds: float) -> bytes:
    frames = int(seconds * 8000)
    return header(frames, 8000) + bytes([7]) * (frames * 4)


def heard(command: str | None, seconds: float) -> float:
    played = Player(command)
    played.play(wav(seconds), RATE)
    return played.heard_s


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Install a program of a name on the search path, which has no other player."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    real = player.shutil.which
    monkeypatch.setattr(player.shutil, "which", lambda name: real(name, path=str(folder)))

    def install(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return install


def test_a_command_gets_the_whole_wav(tmp_path: Path) -> None:
    assert heard(f"cat > {tmp_path}/out", 10.0) == 10.0
    assert (tmp_path / "out").read_bytes() == wav(10.0)


def test_what_a_player_left_in_the_pipe_was_not_heard() -> None:
    assert heard(f"head -c {HEADER_BYTES + 3200} > /dev/null", 0.2) == pytest.approx(0.1)
    assert heard(f"head -c {HEADER_BYTES + 4 * RATE} > /dev/null", 60.0) == pytest.approx(4.0, abs=0.3)
    assert heard("true", 1.0) == 0.0
    assert heard("head -c 20 > /dev/null", 1.0) == 0.0  # less than the header


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("exit 3", "ended with status 3"),
        ("kill -9 $$", "was ended by Killed"),
        ("no-such-player-xyz -", "is not there"),
        ("/etc/passwd", "cannot be run"),
    ],
)
def test_a_player_that_fails_is_named(command: str, why: str) -> None:
    played = Player(f"{command}" if "kill" in command else f"{{ {command}; }} 2>/dev/null")
    with pytest.raises(UserError, match=why):
        played.play(wav(60.0), RATE)
    assert played.heard_s == 0.0


def test_a_player_that_dies_on_the_way() -> None:
    played = Player(f"head -c {HEADER_BYTES + 2 * RATE} > /dev/null; exit 7")
    with pytest.raises(UserError, match="status 7"):
        played.play(wav(60.0), RATE)
    assert played.heard_s == pytest.approx(2.0, abs=0.3)


def interrupted(played: Player, seconds: float, number: int, started: Path) -> float:
    """Play, and send this process a signal once the player has made a file; return how long it took."""

    def interrupt() -> None:
        while not started.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    begun = time.monotonic()
    thread.start()
    try:
        played.play(wav(seconds), RATE)
    finally:
        thread.join()
    return time.monotonic() - begun


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [1.0, 60.0])
def test_a_player_that_never_reads_is_ended_by_who_listens(
    number: int, seconds: float, tmp_path: Path
) -> None:
    """Both while the pipe is full and while its end is waited for; nothing was heard."""
    played = Player(f"touch {tmp_path}/on; exec sleep 600")
    before = signal.getsignal(signal.SIGTERM)
    interrupted(played, seconds, number, tmp_path / "on")
    assert played.heard_s == 0.0
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_while_the_player_is_being_started(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs before its start is known here; it is ended like any other."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))
        os.kill(os.getpid(), number)
        return started[0]

    popen = subprocess.Popen
    monkeypatch.setattr(player.subprocess, "Popen", start)
    assert heard("exec sleep 600", 60.0) == 0.0
    assert started[0].returncode == -signal.SIGTERM


def test_interrupted_again_while_the_player_is_being_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Player._end

    def again(played: Player, process: subprocess.Popen[bytes]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        end(played, process)

    monkeypatch.setattr(Player, "_end", again)
    played = Player(f"head -c {HEADER_BYTES + RATE} > /dev/null; touch {tmp_path}/on; exec sleep 600")
    interrupted(played, 60.0, signal.SIGINT, tmp_path / "on")
    assert played.heard_s == pytest.approx(1.0, abs=0.3)


def test_a_player_that_will_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "_PATIENCE_S", 0.3)
    read = f"head -c {HEADER_BYTES + RATE} > /dev/null; touch {tmp_path}/on"
    played = Player(f"trap '' TERM; {read}; while :; do sleep 0.1; done")
    interrupted(played, 60.0, signal.SIGINT, tmp_path / "on")
    assert played.heard_s == pytest.approx(1.0, abs=0.3)


def test_installed_players_in_the_order_of_preference(program: Callable[[str, str], Path]) -> None:
    with pytest.raises(UserError, match=r"no player found .*--player"):
        Player(None)
    for candidate in reversed(PLAYERS):
        said = program(candidate[0], 'echo "$0 $*" > "$0.said"; cat > /dev/null')
        assert heard(None, 0.1) == pytest.approx(0.1)
        told = said.with_name(f"{said.name}.said").read_text()
        assert told == f"{said} {' '.join(candidate[1:])}\n"


def test_an_installed_player_is_fed_as_it_plays(program: Callable[[str, str], Path]) -> None:
    """It takes all that it can get; interrupted at once, it was not given the whole recording."""
    made = program("ffplay", 'head -c 20000 > /dev/null; touch "$0.on"; exec cat > /dev/null')
    played = Player(None)
    took_s = interrupted(played, 600.0, signal.SIGINT, made.with_name("ffplay.on"))
    assert 0 < played.heard_s <= took_s + player.AHEAD_S + 0.5


@pytest.mark.skipif(not Path("/usr/bin/ffplay").exists(), reason="ffplay is not installed")
def test_ffplay_itself_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    assert heard(None, 0.5) == pytest.approx(0.5)


# -- with the journal and the protocol ----------------------------------------------------------------------

WHY = ("--case", "K 7/26", "--purpose", "quality", "--justification", "complaint 5")
KEY = ("--identity", "Anna.key", "--passphrase-file", "right")


def test_r14_interrupted_the_journal_and_the_protocol_say_how_far(
    office: Bureau, run: Callable[..., Any]
) -> None:
    """As at a terminal, in a process of its own: it is told that it is to end, and ends in good order."""
    slow = f"head -c {HEADER_BYTES + 4800} > /dev/null; touch read; exec sleep 600"
    command = [sys.executable, "-m", "bystander", "listen", name_of(1), *WHY, *KEY, "--from", "0.05"]
    process = subprocess.Popen([*command, "--player", slow, "--json"], stdout=subprocess.PIPE)
    while not Path("read").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    done = json.loads(told)
    assert (done["from_s"], done["to_s"]) == (0.05, pytest.approx(0.2, abs=0.01))
    (listen,), (listened,) = office.journal("listen"), office.journal("listened")
    assert (listen["from_s"], listen["to_s"]) == (0.05, 0.25)
    assert (listened["from_s"], listened["to_s"]) == (0.05, done["to_s"])
    kept = run("protocol", "show", 1)
    assert (kept["from_s"], kept["to_s"], kept["state"]) == (0.05, done["to_s"], "open")


def test_r14_without_a_player_no_protocol_is_opened(
    office: Bureau, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player.shutil, "which", lambda name: None)
    assert "no player found" in refused("listen", name_of(1), *WHY, *KEY)
    assert office.journal("listen") == []


def test_r14_a_player_that_is_not_there_leaves_a_protocol_of_nothing_heard(
    office: Bureau, refused: Callable[..., str]
) -> None:
    line = refused("listen", name_of(1), *WHY, *KEY, "--player", "no-such-player-xyz 2>/dev/null")
    assert line == "the player is not there; see --player; protocol 1 is open all the same"
    (listened,) = office.journal("listened")
    assert (listened["from_s"], listened["to_s"]) == (0.0, 0.0)


def test_r14_who_copies_the_pipe_without_reading_it_has_heard_it(tmp_path: Path) -> None:
    """A pipe made larger holds the whole; `tee` would copy it from there, and take nothing."""
    script = tmp_path / "greedy.py"
    script.write_text(
        "import array, fcntl, termios, time\n"
        "fcntl.fcntl(0, fcntl.F_SETPIPE_SZ, 1 << 20)\n"
        "count = array.array('i', [0])\n"
        f"while count[0] < {HEADER_BYTES + 20 * RATE}:\n"
        "    time.sleep(0.02)\n"
        "    fcntl.fcntl(0, fcntl.F_SETPIPE_SZ, 1 << 20)\n"
        "    fcntl.ioctl(0, termios.FIONREAD, count)\n"
    )
    assert heard(f"exec {sys.executable} {script}", 20.0) == 20.0


def test_r14_who_is_left_behind_by_a_player_gets_nothing_more(tmp_path: Path) -> None:
    later = f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; cat <&3 > {tmp_path}/later"
    assert heard(f"exec 3<&0; ({later}; touch {tmp_path}/done) & exit 0", 0.1) == 0.0
    (tmp_path / "go").touch()
    while not (tmp_path / "done").exists():
        time.sleep(0.02)
    assert (tmp_path / "later").read_bytes() == b""
