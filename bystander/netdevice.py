"""What the kernel says of a network interface, for the doctor: nothing is changed."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# linux/sockios.h, linux/ethtool.h, linux/if.h
_SIOCETHTOOL: Final = 0x8946
_SIOCGIFADDR: Final = 0x8915
_ETHTOOL_GGRO: Final = 0x2B
_ETHTOOL_GFLAGS: Final = 0x25
_ETH_FLAG_LRO: Final = 1 << 15
_IFF_PROMISC: Final = 0x100


@dataclass(frozen=True, slots=True)
class Device:
    """An interface as it stands. ``speed_mbps`` is None where the driver knows none."""

    name: str
    carrier: bool
    promiscuous: bool
    addresses: tuple[str, ...]
    speed_mbps: int | None
    mtu: int
    merging: tuple[str, ...]
    """Which of GRO and LRO are on: they put packets together before anybody sees them."""


def device(name: str) -> Device | None:
    """Return what is known of an interface; None if there is no such interface."""
    folder = Path("/sys/class/net") / name
    if "/" in name or not folder.is_dir():
        return None
    speed = _number(folder / "speed")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        merging = [label for label, command, mask in _MERGING if (_ethtool(asker, name, command) or 0) & mask]
        addresses = [*_ipv4(asker, name), *_ipv6(name)]
    return Device(
        name=name,
        carrier=_number(folder / "carrier") == 1,
        promiscuous=bool((_number(folder / "flags") or 0) & _IFF_PROMISC),
        addresses=tuple(addresses),
        speed_mbps=speed if speed and speed > 0 else None,
        mtu=_number(folder / "mtu") or 0,
        merging=tuple(merging),
    )


_MERGING: Final = (("GRO", _ETHTOOL_GGRO, 1), ("LRO", _ETHTOOL_GFLAGS, _ETH_FLAG_LRO))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text().strip(), 0)
    except (OSError, ValueError):  # the driver knows none, or the interface is down
        return None


def _ethtool(asker: socket.socket, name: str, command: int) -> int | None:
    """Ask for a value that is one 32-bit number (struct ethtool_value)."""
    value = ctypes.create_string_buffer(struct.pack("II", command, 0))
    try:
        fcntl.ioctl(asker, _SIOCETHTOOL, struct.pack("16sP16x", os.fsencode(name), ctypes.addressof(value)))
    except OSError:
        return None
    return int(struct.unpack("II", value.raw[:8])[1])


def _ipv4(asker: socket.socket, name: str) -> list[str]:
    try:
        answer = fcntl.ioctl(asker, _SIOCGIFADDR, struct.pack("16s24x", os.fsencode(name)))
    except OSError:
        return []
    return [socket.inet_ntoa(answer[20:24])]


def _ipv6(name: str) -> list[str]:
    """Addresses that are not link-local: those every interface has, asked for or not."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    return [
        socket.inet_ntop(socket.AF_INET6, bytes.fromhex(row[0]))
        for row in fields
        if len(row) == 6 and row[5] == name and not row[0].startswith("fe8")
    ]
