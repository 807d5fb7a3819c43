"""The recorder on the lab's mirror: the real daemon in the *recorder* namespace, and what it has recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import soundfile
from phonelab.network import TAP, Lab, wait_until
from phonelab.phone import socket_in
from phonelab.speech import Samples

METRICS = ("127.0.0.1", 9464)
CONFIG = """\
[capture]
interface = "{tap}"
{capture}
[recording]
directory = "{folder}/recordings"
spool = "{folder}/spool"
index = "{folder}/index.sqlite"
linger_s = {linger_s}
[metrics]
listen = "127.0.0.1:9464"
{sections}
"""


class Recorder:
    """``bystander run`` on the tap of a lab, without a vault; it may be started several times.

    ``capture`` are further lines of [capture], ``sections`` further sections of the configuration.
    """

    def __init__(self, lab: Lab, *, capture: str = "", sections: str = "", linger_s: float = 1.0) -> None:
        self.lab = lab
        self.folder = lab.recorder.directory
        self.config = self.folder / "bystander.toml"
        self.config.write_text(
            CONFIG.format(tap=TAP, folder=self.folder, capture=capture, sections=sections, linger_s=linger_s)
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Start the daemon and wait until it says that it is well."""
        daemon = self.lab.recorder.start(
            sys.executable, "-m", "bystander", "run", "-c", self.config,
            log="recorder.log",
        )  # fmt: skip
        wait_until(lambda: self._healthy(daemon), "the recorder", 60.0)
        return daemon

    def _healthy(self, daemon: subprocess.Popen[bytes]) -> bool:
        if daemon.poll() is not None:
            raise RuntimeError(
                f"the recorder ended with {daemon.returncode}: {self.lab.recorder.log('recorder.log')}"
            )
        try:
            with socket_in(self.lab.recorder.namespace, METRICS) as connection:
                connection.settimeout(2)
                connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                return b" 200 " in connection.recv(64)
        except OSError:
            return False

    def calls(self) -> list[dict[str, Any]]:
        """What the index has."""
        listed = subprocess.run(
            [sys.executable, "-m", "bystander", "calls", "--json", "-c", self.config],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return json.loads(listed.stdout) if listed.returncode == 0 else []

    def audio(self, call: dict[str, Any]) -> tuple[Samples, int]:
        """The recording of a call: float64[n, 2], caller first, and its rate."""
        path = self.folder / "recordings" / call["recording"]["path"]
        return soundfile.read(path, dtype="float64", always_2d=True)  # type: ignore[no-any-return]
