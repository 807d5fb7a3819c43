"""Two network namespaces and a cable between them: a mirror port, and the recorder that listens to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from types import TracebackType


class Cable:
    """A veth pair between two new namespaces; both are removed on leaving. Needs root.

    ``mirror`` is the interface in the namespace ``switch``, ``tap`` the one in the namespace ``recorder``.
    """

    mirror, tap = "mirror0", "tap0"

    def __init__(self) -> None:
        self.switch = f"bystander-switch-{os.getpid()}"
        self.recorder = f"bystander-recorder-{os.getpid()}"

    def __enter__(self) -> Cable:
        try:
            for namespace in (self.switch, self.recorder):
                _ip("netns", "add", namespace)
                _ip("-n", namespace, "link", "set", "lo", "up")
            peer = ("peer", "name", self.tap, "netns", self.recorder)
            _ip("-n", self.switch, "link", "add", self.mirror, "type", "veth", *peer)
            for namespace, interface in ((self.switch, self.mirror), (self.recorder, self.tap)):
                self._quiet(namespace, interface)
                _ip("-n", namespace, "link", "set", interface, "up")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _quiet(self, namespace: str, interface: str) -> None:
        """No IPv6 on the cable: the kernel's own announcements are no part of the traffic."""
        knob = f"echo 1 > /proc/sys/net/ipv6/conf/{interface}/disable_ipv6"
        subprocess.run(
            ["ip", "netns", "exec", namespace, "sh", "-c", knob], check=False, stderr=subprocess.DEVNULL
        )

    def _remove(self) -> None:
        for namespace in (self.switch, self.recorder):
            subprocess.run(["ip", "netns", "del", namespace], check=False, stderr=subprocess.DEVNULL)

    def inside(self, namespace: str, command: Sequence[str], *, core: int) -> list[str]:
        """The command, run in a namespace on one core; the process that results is the command itself."""
        return ["ip", "netns", "exec", namespace, "taskset", "-c", str(core), *command]

    def transmitted(self) -> int:
        """Frames that the recorder's side has sent: a passive recorder sends none."""
        counter = f"/sys/class/net/{self.tap}/statistics/tx_packets"
        done = subprocess.run(
            ["ip", "netns", "exec", self.recorder, "cat", counter], check=True, capture_output=True, text=True
        )
        return int(done.stdout)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
