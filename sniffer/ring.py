"""The live capture: a memory-mapped AF_PACKET ring (TPACKET_V3) on the mirror port's interface.

A ring's life: a packet socket with protocol 0, which receives nothing; the filter, the ring and its mapping
are set up; binding it to the interface starts the capture, so that no unfiltered frame ever gets in; the
interface is promiscuous from then until close (C25: a capture without it sees only broadcast). The kernel
fills one block after the other and hands each over when it is full, or within HANDED_OVER_S, so that low
traffic does not wait: who stops asks for the :meth:`Ring.last`, or those frames are lost. The block goes back
when its frames have been taken.

Nothing is ever sent: there is no code here that could, and outgoing frames are not captured either.

An interface that goes down while the ring is open is no error: the kernel resumes by itself when it is back
up, and a removed interface that comes back under its name is bound again (:meth:`Ring.ready` looks for it).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.bpf import ADMIT_ALL, Program, kernel_filter, pack
from bystander.sniffer.errors import CaptureError
from bystander.sniffer.frames import LINKTYPE_ETHERNET, LINKTYPE_RAW, PAD, Frames

# linux/if_packet.h, linux/if_ether.h, asm-generic/socket.h
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP, PACKET_DROP_MEMBERSHIP = 1, 2
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 5, 6, 10
PACKET_IGNORE_OUTGOING = 23
PACKET_MR_PROMISC = 1
TPACKET_V3 = 2
ETH_P_ALL = 3
SO_ATTACH_FILTER, SO_LOCK_FILTER = 26, 44
TP_STATUS_KERNEL, TP_STATUS_USER = 0, 1

# linux/sockios.h, linux/if.h
SIOCGIFFLAGS, SIOCGIFINDEX = 0x8913, 0x8933
IFF_UP, IFF_RUNNING = 0x1, 0x40

# linux/if_arp.h: what the interface's frames begin with.
_ARPHRD_ETHERNET = (1, 772)  # loopback has an Ethernet header, too
_ARPHRD_RAW_IP = (519, 768, 769, 776, 0xFFFE)  # raw IP, IPIP, IP6IP6, SIT, no header at all (tun)

BLOCK_BYTES = 1 << 20
RETIRE_MS = 20
#: After so long the kernel has usually handed over what it had taken: its timer, of up to two ticks more than
#: RETIRE_MS, notes a new block when it first finds it and closes it when it finds it again.
HANDED_OVER_S = 0.1
#: A kernel that owes frames is asked so often for them.
_MOMENTS = 500
DEFAULT_RING_BYTES = 64 << 20
_FRAME_BYTES = 2048  # of no meaning in TPACKET_V3, but checked for alignment

# struct tpacket_block_desc, in 32-bit words
_WORDS_PER_BLOCK = BLOCK_BYTES // 4
_STATUS, _COUNT, _FIRST, _FILLED = 2, 3, 4, 5
# struct tpacket3_hdr, in 32-bit words
_NEXT, _SECONDS, _NANOSECONDS, _SNAPLEN, _LENGTH, _OF_FRAME, _MAC, _TCI = 0, 1, 2, 3, 4, 5, 6, 8
_VLAN_VALID = 1 << 4

#: Records so few that following their chain costs less than looking for anything cleverer.
_FEW = 32


@dataclass(frozen=True, slots=True)
class RingStatistics:
    """Totals since the ring was opened, as the kernel counts them.

    ``packets`` passed the filter, including those dropped; ``drops`` of them found no room in the ring;
    ``freezes`` times the ring was full.
    """

    packets: int
    drops: int
    freezes: int


class Ring:
    """A live capture of one interface; a CaptureSource.

    It captures from construction to :meth:`close` (or the end of its ``with`` block). Poll :meth:`fileno`
    for reading, and call :meth:`ready` when it is readable and about once a second besides: that is when a
    removed interface is looked for. ``link_losses`` counts how often the interface went down or away.
    """

    def __init__(
        self,
        interface: str,
        *,
        ring_bytes: int = DEFAULT_RING_BYTES,
        user_filter: str | None = None,
        everything: bool = False,
        vlans: bool = False,
    ) -> None:
        """Open the ring on ``interface``, with ``ring_bytes`` of kernel memory (rounded up to whole blocks).

        ``user_filter`` is in tcpdump's language; see :mod:`bystander.sniffer.bpf` for what is admitted in
        spite of it. ``everything`` admits what is not IP, too, and as ``vlans`` does, fills ``Frames.vlan``:
        the kernel takes the outer tag off. Raises CaptureError: no such interface, not up, not one that
        carries IP; no permission; the filter is not valid; no memory for the ring; not Linux.
        """
        self.interface = interface
        self.link_losses = 0
        self._vlans = everything or vlans
        self._blocks = max(2, -(-ring_bytes // BLOCK_BYTES))
        self._next = 0
        self._packets = self._drops = self._freezes = 0
        self._given = 0
        self._map: mmap.mmap | None = None
        self._socket = _open_socket(interface)
        try:
            self._index = self._find_interface()
            if self._index is None:
                raise CaptureError(_no_such_interface(interface))
            if not self._flags() & IFF_UP:
                raise CaptureError(
                    f"interface {interface} is down: bring it up with: ip link set {interface} up"
                )
            self.linktype = self._find_linktype()
            self._set_up_ring(ADMIT_ALL if everything else kernel_filter(self.linktype, user_filter))
            try:
                self._start()
            except OSError as error:
                raise CaptureError(f"cannot capture on {interface}: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """The socket, readable when a block is ready (or the interface went down)."""
        return self._socket.fileno()

    @property
    def link_up(self) -> bool:
        """Whether the interface exists, is up, and has a carrier."""
        wanted = IFF_UP | IFF_RUNNING
        return self._flags() & wanted == wanted

    def blocks(self) -> Iterator[Frames]:
        """The frames that are ready now; the same as :meth:`ready`."""
        return self.ready()

    def ready(self) -> Iterator[Frames]:
        """Yield the blocks that are ready now, at most one round of the ring; never waits, never raises.

        A block goes back to the kernel when the next one is asked for or the iterator is closed; its
        ``data`` is the ring itself and must not be used after that.
        """
        if self._map is None:
            return
        self._notice_link_loss()
        words = self._words
        for _ in range(self._blocks):
            base = self._next * _WORDS_PER_BLOCK
            # The status is read once, before the rest. x86 keeps that order; elsewhere the thousands of
            # instructions the interpreter runs in between do.
            if self._map is None or not words[base + _STATUS] & TP_STATUS_USER:
                return
            self._next = (self._next + 1) % self._blocks
            self._given += words[base + _COUNT]
            try:
                if words[base + _COUNT]:
                    yield self._frames(base)
            finally:
                if self._map is not None:
                    words[base + _STATUS] = TP_STATUS_KERNEL

    def last(self) -> Iterator[Frames | None]:
        """Yield, at the end, every frame that the kernel has taken by now; None means: wait 10 ms.

        The kernel hands a block over when it is full or some time has passed, which is longer on a machine
        that is busy. It counts what it takes, so that nothing has to be guessed. Begin HANDED_OVER_S after
        the moment that matters: what then came may still be on its way into the ring.
        """
        counted = self.statistics()
        wanted = counted.packets - counted.drops
        yield from self.ready()
        for _ in range(_MOMENTS):
            if self._given >= wanted or self._map is None:
                return
            yield None
            yield from self.ready()

    def statistics(self) -> RingStatistics:
        """The totals up to now (after close: up to the close)."""
        if self._map is not None:
            # Reading resets the kernel's counters.
            fresh = struct.unpack("3I", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12))
            self._packets += fresh[0]
            self._drops += fresh[1]
            self._freezes += fresh[2]
        return RingStatistics(self._packets, self._drops, self._freezes)

    def close(self) -> None:
        """Stop capturing and leave promiscuous mode; may be called twice.

        Frames still held by a caller keep the ring's memory until they are gone.
        """
        if self._map is not None:
            self.statistics()
            try:
                self._membership(PACKET_DROP_MEMBERSHIP)
            except OSError:
                pass  # the interface is gone, and its promiscuous mode with it
            ring, self._map = self._map, None
            del self._words, self._ring
            try:
                ring.close()
            except BufferError:
                pass  # unmapped with the last array that refers to it
        self._socket.close()

    def __enter__(self) -> Ring:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frames(self, base: int) -> Frames:
        """The frames of the block whose words begin at ``base``."""
        start = 4 * base
        data = self._ring[start : start + BLOCK_BYTES + PAD]
        block = self._ring[start : start + (self._words[base + _FILLED] & ~7)].view(np.uint32)
        at = record_words(block, self._words[base + _FIRST] // 4, self._words[base + _COUNT])
        offset = 4 * at + (block[at + _MAC] & 0xFFFF)
        if len(data) < BLOCK_BYTES + PAD and offset[-1] + PAD > len(data):
            # Only the ring's last block has no other behind it to read on in.
            data = np.concatenate([data, np.zeros(PAD, np.uint8)])
        return Frames(
            data=data,
            offset=offset,
            captured=block[at + _SNAPLEN].astype(np.int64),
            length=block[at + _LENGTH].astype(np.int64),
            time_ns=block[at + _SECONDS] * np.int64(1_000_000_000) + block[at + _NANOSECONDS],
            linktype=self.linktype,
            vlan=_vlans(block, at) if self._vlans else None,
        )

    def _set_up_ring(self, program: Program) -> None:
        sock = self._socket
        try:
            sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
            sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            instructions = ctypes.create_string_buffer(pack(program))
            fprog = struct.pack("@HP", len(program), ctypes.addressof(instructions))
            sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
            sock.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)
        except OSError as error:
            raise CaptureError(
                f"cannot capture on {self.interface}: the kernel refuses the filter or the ring "
                f"({error.strerror}); Linux 4.20 or later is needed"
            ) from error
        size = self._blocks * BLOCK_BYTES
        frames = size // _FRAME_BYTES
        try:
            request = struct.pack("7I", BLOCK_BYTES, self._blocks, _FRAME_BYTES, frames, RETIRE_MS, 0, 0)
            sock.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
            self._map = mmap.mmap(sock.fileno(), size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        except (OSError, OverflowError, struct.error) as error:
            reason = error.strerror if isinstance(error, OSError) else "too large"
            raise CaptureError(
                f"cannot get a capture ring of {size >> 20} MiB for {self.interface} ({reason}): "
                "make the ring smaller or free memory"
            ) from error
        self._ring: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)
        self._words = memoryview(self._map).cast("I")

    def _start(self) -> None:
        self._socket.bind((self.interface, ETH_P_ALL))
        self._membership(PACKET_ADD_MEMBERSHIP)
        # An interface that is still down at this moment is no loss.
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def _membership(self, change: int) -> None:
        request = struct.pack("iHH8x", self._index or 0, PACKET_MR_PROMISC, 0)
        self._socket.setsockopt(SOL_PACKET, change, request)

    def _notice_link_loss(self) -> None:
        """Take a pending error off the socket (it would stay readable); bind a lost interface again."""
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ENETDOWN:
            self.link_losses += 1
        index = self._find_interface()
        if index == self._index:
            return
        self._index = index
        if index is not None:
            try:
                self._start()
            except OSError:
                self._index = None  # gone again: the next call tries anew

    def _find_linktype(self) -> int:
        # Bound with protocol 0, the socket names the interface's kind and still receives nothing.
        self._socket.bind((self.interface, 0))
        kind = self._socket.getsockname()[3]
        if kind in _ARPHRD_ETHERNET:
            return LINKTYPE_ETHERNET
        if kind in _ARPHRD_RAW_IP:
            return LINKTYPE_RAW
        raise CaptureError(
            f"interface {self.interface} carries neither Ethernet nor plain IP (its kind is ARPHRD {kind}): "
            "capture on the port the mirror is connected to"
        )

    def _find_interface(self) -> int | None:
        found = self._ask(SIOCGIFINDEX)
        return struct.unpack_from("i", found, 16)[0] if found else None

    def _flags(self) -> int:
        found = self._ask(SIOCGIFFLAGS)
        return struct.unpack_from("H", found, 16)[0] if found else 0

    def _ask(self, request: int) -> bytes | None:
        """An ioctl about the interface by name, through the socket: it stays in its network namespace."""
        try:
            return fcntl.ioctl(self._socket, request, struct.pack("16s24x", os.fsencode(self.interface)))
        except (OSError, ValueError):  # the second: the ring is closed
            return None


def _vlans(block: NDArray[np.uint32], at: NDArray[np.int64]) -> NDArray[np.int64]:
    tagged = (block[at + _OF_FRAME] & _VLAN_VALID) != 0
    return np.where(tagged, (block[at + _TCI] & 0x0FFF).astype(np.int64), -1)


def record_words(words: NDArray[np.uint32], first: int, count: int) -> NDArray[np.int64]:
    """Where the records of a block lie: int64[count], in 32-bit words from the block's start.

    ``words`` is the filled part of the block, ``first`` the word of the first record; word 0 of a record is
    the distance to the next in bytes, a multiple of 8 (0 in the last). Three ways, each tried when the
    faster one before it does not hold: equal sizes, recognised headers, the chain itself.
    """
    if count > _FEW:
        found = _equal_records(words, first, count)
        if found is None:
            found = _recognised_records(words, first, count)
        if found is not None:
            return found
    found = np.empty(count, np.int64)
    chain = memoryview(words)  # type: ignore[arg-type]
    for i in range(count):
        found[i] = first
        first += chain[first] >> 2
    return found


def _equal_records(words: NDArray[np.uint32], first: int, count: int) -> NDArray[np.int64] | None:
    """Records of one size, verified by one strided comparison: 1 ns a record."""
    distance = words[first]
    step = int(distance) >> 2
    heads = words[first::step][: count - 1]
    if len(heads) < count - 1 or not (heads[:_FEW] == distance).all() or not (heads == distance).all():
        return None
    return np.arange(first, first + count * step, step, dtype=np.int64)


def _recognised_records(words: NDArray[np.uint32], first: int, count: int) -> NDArray[np.int64] | None:
    """Records of any size, found by what their headers have in common, then verified as the chain they are.

    Every header holds the same two offsets in the same word. The few other places that do are headers left
    over from the ring's last round, in gaps the kernel has not written to; they are older than the block.
    Following the chain instead waits for memory at each record, since nothing can be fetched ahead.
    """
    at = first + 2 * np.flatnonzero(words[first + _MAC :: 2] == words[first + _MAC])
    if len(at) > count:
        time_ns = words[at + _SECONDS] * np.int64(1_000_000_000) + words[at + _NANOSECONDS]
        at = at[time_ns >= time_ns[0]]
    if len(at) != count or (at[:-1] + (words[at[:-1]] >> 2) != at[1:]).any():
        return None
    return at


def _open_socket(interface: str) -> socket.socket:
    if not sys.platform.startswith("linux"):
        raise CaptureError("live capture needs Linux (AF_PACKET); capture files can be read on any system")
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError as error:
        raise CaptureError(
            f"no permission to capture on {interface}: run as root or give the program CAP_NET_RAW"
        ) from error
    except OSError as error:
        raise CaptureError(f"cannot open a packet socket for {interface}: {error.strerror}") from error


def _no_such_interface(interface: str) -> str:
    names = ", ".join(name for _, name in socket.if_nameindex())
    return f"no such interface: {interface} (there are: {names})"
