"""A small telephone network on one machine: hosts in network namespaces, a switch, and a mirror session.

Every host is a namespace with one interface ``eth0``, wired by a veth pair to a bridge in the *switch*
namespace. ``Lab.mirror`` copies what enters and leaves a host's switch port to the tap, as a SPAN session
does (``tc`` with ``u32`` and ``mirred``), and the far end of the tap is ``TAP`` in the *recorder*
namespace. Nothing of it touches the machine's own network, and leaving the ``with`` block ends every
process and deletes every namespace that it made.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

TAP = "tap1"
PROGRAMS = ("ip", "tc", "ethtool", "tcpdump", "baresip", "setpriv")
OFFLOADS = ("rx", "tx", "sg", "tso", "gso", "gro")

_serial = itertools.count(1)


def missing(programs: Sequence[str] = PROGRAMS) -> str:
    """Why the lab cannot run here, or "" when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    absent = [program for program in programs if shutil.which(program) is None]
    return f"not installed: {' '.join(absent)}" if absent else ""


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    """Poll ``condition``; raise TimeoutError naming ``what`` when it stays false."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.02)


class Host:
    """A namespace with processes in it. ``ip`` and ``ip6`` are its addresses, "" where it has none."""

    def __init__(self, lab: Lab, name: str, ip: str = "", ip6: str = "") -> None:
        self.lab = lab
        self.name = name
        self.ip = ip
        self.ip6 = ip6
        self.namespace = f"{lab.prefix}-{name}"
        self.directory = lab.directory / name
        self.directory.mkdir(parents=True, exist_ok=True)

    @property
    def address(self) -> str:
        """The host part of a SIP URI: the IPv4 address, or the bracketed IPv6 one."""
        return self.ip or f"[{self.ip6}]"

    def command(self, *arguments: object) -> list[str]:
        """The argument vector that runs ``arguments`` in this namespace, and dies with this process."""
        inside = ["ip", "netns", "exec", self.namespace]
        return [*inside, "setpriv", "--pdeathsig", "KILL", "--", *map(str, arguments)]

    def run(self, *arguments: object) -> str:
        """Run to the end and return standard output; raise with standard error's text when it fails."""
        return run(*self.command(*arguments))

    def start(self, *arguments: object, log: str = "") -> subprocess.Popen[bytes]:
        """Start in the background, output into ``log`` in the host's directory; ended with the lab at the
        latest."""
        with (self.directory / (log or f"{Path(str(arguments[0])).name}.log")).open("ab") as output:
            process = subprocess.Popen(
                self.command(*arguments), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                cwd=self.directory, start_new_session=True,
            )  # fmt: skip
        self.lab.processes.append(process)
        return process

    def log(self, name: str) -> str:
        path = self.directory / name
        return path.read_text(errors="replace") if path.exists() else ""

    def counter(self, interface: str, name: str) -> int:
        """An interface counter of the kernel, such as ``tx_packets``."""
        return int(self.run("cat", f"/sys/class/net/{interface}/statistics/{name}"))


class Lab:
    """The network; use it as a context manager. ``directory`` keeps configurations, logs and dumps of the
    hosts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.prefix = f"bystander-{os.getpid()}-{next(_serial)}"
        self.hosts: dict[str, Host] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self._mirrored: set[str] = set()

    def __enter__(self) -> Lab:
        try:
            self.switch = self._namespace("switch")
            self.recorder = self._namespace("recorder")
            self.switch.run("ip", "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0")
            self.switch.run("ip", "link", "set", "bridge", "up")
            self._veth(self.switch, "tap0", self.recorder, TAP)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for process in self.processes:
            stop(process, signal.SIGKILL)
        for host in self.hosts.values():
            subprocess.run(["ip", "netns", "del", host.namespace], check=False, stderr=subprocess.DEVNULL)

    def host(self, name: str, ip: str = "", ip6: str = "", through: Sequence[object] = ()) -> Host:
        """A host on the switch. ``through`` is a program put into its cable, run in a namespace of its own
        with the two interface names (the host's side, the switch's side) appended; it must print a line
        when it is ready."""
        host = self._namespace(name, ip, ip6)
        port = f"p-{name}"[:15]
        if through:
            cable = self._namespace(f"{name}-cable")
            self._veth(host, "eth0", cable, "near")
            self._veth(cable, "far", self.switch, port)
            cable.start(*through, "near", "far", log="cable.log")
            wait_until(lambda: "\n" in cable.log("cable.log"), f"the program in the cable of {name}")
        else:
            self._veth(host, "eth0", self.switch, port)
        self.switch.run("ip", "link", "set", port, "master", "bridge")
        for address in (f"{ip}/24" if ip else "", f"{ip6}/64" if ip6 else ""):
            if address:
                host.run(
                    "ip", "address", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else [])
                )
        return host

    def join(self, host: Host, ip: str) -> None:
        """Give a host that is not on the switch, such as the recorder, an interface ``lan0`` there."""
        self._veth(host, "lan0", self.switch, f"l-{host.name}"[:15])
        self.switch.run("ip", "link", "set", f"l-{host.name}"[:15], "master", "bridge")
        host.run("ip", "address", "add", f"{ip}/24", "dev", "lan0")
        host.ip = ip
        if host is self.recorder:
            # Its kernel would answer mirrored ARP requests for that address on the tap.
            host.run("sysctl", "-qw", f"net.ipv4.conf.{TAP}.arp_ignore=8")

    def mirror(self, *hosts: Host, tap: str = "tap0") -> None:
        """Copy both directions of the switch ports of ``hosts`` to the tap. Two ports that talk with each
        other give every frame twice (C13)."""
        for host in hosts:
            port = f"p-{host.name}"[:15]
            if port in self._mirrored:
                continue
            self._mirrored.add(port)
            self.switch.run("tc", "qdisc", "add", "dev", port, "clsact")
            for direction in ("ingress", "egress"):
                self.switch.run(
                    "tc", "filter", "add", "dev", port, direction, "protocol", "all", "u32",
                    "match", "u32", 0, 0, "action", "mirred", "egress", "mirror", "dev", tap,
                )  # fmt: skip

    def second_tap(self, number: int = 0) -> tuple[str, str]:
        """A veth pair inside the switch for a program that rewrites mirrored frames: (mirror to, read
        from)."""
        ends = f"raw{2 * number}", f"raw{2 * number + 1}"
        self._veth(self.switch, ends[0], self.switch, ends[1])
        return ends

    def tunnel(self, *options: object) -> str:
        """An interface of the kernel that packs mirrored frames for the recorder, as a remote mirror does:
        what ``ip link add type`` is told is ``options``. Raises RuntimeError where the kernel lacks it."""
        address, far = "10.99.0.1", "10.99.0.2"
        self.switch.run("ip", "address", "add", f"{address}/24", "dev", "tap0")
        for host, name in ((self.switch, "tap0"), (self.recorder, TAP)):
            host.run("ip", "link", "set", name, "mtu", 1700)
        mac = self.recorder.run("cat", f"/sys/class/net/{TAP}/address").strip()
        # The recorder answers nothing, not even ARP.
        self.switch.run("ip", "neigh", "add", far, "lladdr", mac, "dev", "tap0")
        self.switch.run(
            "ip", "link", "add", "tunnel", "type", *options, "local", address, "remote", far, "dev", "tap0"
        )
        self.switch.run("ip", "link", "set", "tunnel", "mtu", 1600, "up")
        return "tunnel"

    @contextlib.contextmanager
    def capture(self, path: Path) -> Iterator[None]:
        """Record the tap into ``path`` (pcap, nanoseconds) while the block runs; losing a frame is an
        error."""
        log = f"tcpdump-{path.name}.log"
        process = self.recorder.start(
            "tcpdump", "-i", TAP, "-U", "-n", "-Z", "root", "-B", 16384,
            "--time-stamp-precision=nano", "-w", path.resolve(), log=log,
        )  # fmt: skip
        wait_until(lambda: "listening on" in self.recorder.log(log), "tcpdump on the tap")
        try:
            yield
        finally:
            # The ring hands a block over when it is full or its timer fires; SIGINT alone would lose the
            # last one.
            time.sleep(1.2)
            stop(process, signal.SIGINT)
        if "\n0 packets dropped by kernel" not in self.recorder.log(log):
            raise RuntimeError(f"{path.name}: tcpdump lost frames: {self.recorder.log(log)}")

    def _namespace(self, name: str, ip: str = "", ip6: str = "") -> Host:
        host = Host(self, name, ip, ip6)
        self.hosts[name] = host
        run("ip", "netns", "add", host.namespace)
        if not ip6:
            # Without an address of its own an interface still sends router solicitations; a tap must be
            # silent.
            for scope in ("all", "default"):
                run(
                    "ip",
                    "netns",
                    "exec",
                    host.namespace,
                    "sysctl",
                    "-qw",
                    f"net.ipv6.conf.{scope}.disable_ipv6=1",
                )
        host.run("ip", "link", "set", "lo", "up")
        return host

    def _veth(self, a: Host, name_a: str, b: Host, name_b: str) -> None:
        run("ip", "-n", a.namespace, "link", "add", name_a, "type", "veth", "peer", "name", name_b, "netns", b.namespace)  # fmt: skip  # noqa: E501
        for host, name in ((a, name_a), (b, name_b)):
            # With checksums left to "hardware" the frames on the tap would carry wrong ones.
            host.run("ethtool", "-K", name, *itertools.chain.from_iterable((o, "off") for o in OFFLOADS))
            host.run("ip", "link", "set", name, "up")


def run(*arguments: object) -> str:
    result = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(
            f"{' '.join(map(str, arguments))}: {result.stderr.strip() or result.stdout.strip()}"
        )
    return result.stdout


def stop(
    process: subprocess.Popen[bytes], signal_number: int = signal.SIGTERM, timeout_s: float = 30.0
) -> int:
    """Signal a process started by ``Host.start`` and wait; killed when it does not end. Returns its exit
    status."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return process.returncode
