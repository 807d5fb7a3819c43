"""A baresip telephone in a namespace: known speech instead of a microphone, a WAV dump instead of a
loudspeaker.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from phonelab.network import Host, stop, wait_until

CONTROL_PORT = 4444

CONFIG = """\
poll_method epoll
sip_listen 0.0.0.0:5060
net_interface eth0
call_local_timeout {ring_s}
call_max_calls 4
audio_player aubridge,sink
audio_source aufile,{speech}
audio_alert aubridge,alert
auplay_channels 1
audio_txmode thread
{more}audio_buffer 20-160
rtp_ports {ports}
rtcp_mux no
jitter_buffer_delay 2-10
module_path /usr/lib/baresip/modules
{modules}module aubridge.so
module aufile.so
module sndfile.so
module_tmp account.so
module_app ctrl_tcp.so
module_app menu.so
ctrl_tcp_listen 127.0.0.1:{port}
snd_path {heard}
ringback_disabled yes
"""


# Module, sample rate and channels of a codec's encoder: the file that it speaks must have just these.
CODECS = {
    "PCMA": ("g711", 8000, 1),
    "PCMU": ("g711", 8000, 1),
    "G722": ("g722", 16000, 1),
    "opus": ("opus", 48000, 2),
}


def sound(codecs: str) -> tuple[int, int]:
    """The sample rate and the channels of what a telephone with ``codecs`` is to speak: its first codec's."""
    return CODECS[codecs.split(",")[0].split("/")[0]][1:]


class Phone:
    """One telephone. ``events`` collects what it tells over its control port; every wait is on one of
    them."""

    def __init__(
        self,
        host: Host,
        user: str,
        speech: Path,
        *,
        codecs: str = "PCMA",
        ptime_ms: int = 20,
        ring_s: int = 120,
        account: str = "",
        display: str = "",
        encryption: str = "",
        more: str = "",
        video_codecs: str = "",
        ports: str = "10000-10998",
        modules: Sequence[str] = (),
    ) -> None:
        """``codecs`` as baresip writes them, such as ``opus/48000/2,PCMA``; ``encryption`` is its
        ``mediaenc``; ``more`` are lines of its configuration."""
        self.host = host
        self.user = user
        self.events: list[dict[str, object]] = []
        self.heard_in = host.directory / "heard"
        self.heard_in.mkdir(exist_ok=True)
        self.uri = f"sip:{user}@{host.address}"
        self._changed = threading.Condition()
        self._socket: socket.socket | None = None
        names = dict.fromkeys(CODECS[codec.split("/")[0]][0] for codec in codecs.split(","))
        wanted = [*names, *(["srtp"] if encryption else []), *modules]
        listen = CONFIG.format(
            speech=speech.resolve(), heard=self.heard_in, ring_s=ring_s, port=CONTROL_PORT,
            ports=ports, modules="".join(f"module {name}.so\n" for name in wanted), more=more,
        )  # fmt: skip
        if host.ip6 and not host.ip:
            listen = listen.replace("0.0.0.0:5060", "[::]:5060")
        (host.directory / "config").write_text(listen)
        name = f'"{display}" ' if display else ""
        extra = account or f"<{self.uri}>;regint=0"
        extra += f";mediaenc={encryption}" if encryption else ""
        extra += f";video_codecs={video_codecs}" if video_codecs else ""
        (host.directory / "accounts").write_text(f"{name}{extra};audio_codecs={codecs};ptime={ptime_ms}\n")
        (host.directory / "contacts").write_text("")
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = self.host.start("baresip", "-f", self.host.directory, log="baresip.log")
        wait_until(lambda: self._connect(process), f"baresip of {self.user}")
        threading.Thread(target=self._read, daemon=True).start()
        return process

    def _connect(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"baresip of {self.user} ended: {self.host.log('baresip.log')[-2000:]}")
        # A socket belongs to the namespace its maker was in; this process itself stays outside.
        try:
            self._socket = socket_in(self.host.namespace, ("127.0.0.1", CONTROL_PORT))
        except OSError:
            return False
        return True

    def _read(self) -> None:
        assert self._socket is not None
        pending = b""
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            pending += data
            while (match := re.match(rb"(\d+):", pending)) and len(pending) > match.end() + int(match[1]):
                end = match.end() + int(match[1])
                try:
                    event = json.loads(pending[match.end() : end])
                except ValueError:
                    event = {"type": "unreadable"}
                pending = pending[end + 1 :]
                with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()

    def command(self, command: str, parameters: str = "") -> dict[str, object]:
        """Send one command over the control port and return its answer."""
        assert self._socket is not None
        mark = len(self.events)
        text = json.dumps({"command": command, "params": parameters, "token": command}).encode()
        self._socket.sendall(b"%d:%s," % (len(text), text))
        return self.wait(lambda e: bool(e.get("response")), f"answer to {command}", mark)

    def wait(
        self, wanted: Callable[[dict[str, object]], bool], what: str, since: int = 0, timeout_s: float = 60.0
    ) -> dict[str, object]:
        """The first event after number ``since`` that is ``wanted``."""
        with self._changed:
            if not self._changed.wait_for(lambda: any(wanted(e) for e in self.events[since:]), timeout_s):
                raise TimeoutError(f"{self.user}: no {what} within {timeout_s:g} s: {self.events[since:]}")
            return next(e for e in self.events[since:] if wanted(e))

    def wait_for(self, kind: str, since: int = 0, timeout_s: float = 60.0) -> dict[str, object]:
        """The first event of a type such as CALL_INCOMING, CALL_RINGING, CALL_ESTABLISHED, CALL_CLOSED."""
        return self.wait(lambda e: e.get("type") == kind, kind, since, timeout_s)

    def registered(self) -> None:
        """Wait for the registrar's answer (which may come before the control port is open: the log tells)."""
        wait_until(lambda: " binding" in self.host.log("baresip.log"), f"registration of {self.user}")

    def dial(self, uri: str) -> None:
        self.command("dial", uri)

    def answer(self, since: int = 0) -> None:
        """Take the call that comes in after event number ``since``."""
        self.wait_for("CALL_INCOMING", since)
        self.command("accept")
        self.wait_for("CALL_ESTABLISHED", since)

    def hang_up(self) -> None:
        self.command("hangup")

    def heard(self) -> list[Path]:
        """The dumps of what this telephone decoded, oldest first (one a call, one more after each
        re-INVITE)."""
        return sorted(self.heard_in.glob("*-dec.wav"))

    def close(self) -> None:
        """End the telephone; its dumps are complete afterwards."""
        if self._socket is not None:
            self._socket.close()
        stop(self._process)


def socket_in(namespace: str, address: tuple[str, int]) -> socket.socket:
    """A TCP connection made inside another network namespace, by a thread that enters it and ends there."""
    result: list[socket.socket | OSError] = []

    def connect() -> None:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/run/netns/{namespace}").open("rb") as file:
            if libc.setns(file.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
                result.append(OSError(ctypes.get_errno(), f"setns {namespace}"))
                return
        try:
            result.append(socket.create_connection(address, 2))
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    result[0].settimeout(None)
    return result[0]


def call(caller: Phone, callee: Phone, uri: str = "") -> None:
    """Dial, ring, answer; returns when both ends are in the call."""
    mark, seen = len(caller.events), len(callee.events)
    caller.dial(uri or callee.uri)
    callee.answer(seen)
    caller.wait_for("CALL_ESTABLISHED", mark)


def hang_up(by: Phone, other: Phone) -> None:
    """End the call and wait until the other end knows."""
    mark = len(other.events)
    by.hang_up()
    other.wait_for("CALL_CLOSED", mark)
