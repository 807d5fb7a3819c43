"""Which realm frames are in, by their VLAN tags and by the numbers in the headers of tunnels, by the array.

A tunnel's number stands for itself: what a VNI carries is in that network, whatever VLANs and routers the
tunnel's own packets went through; tags inside it count. VLAN 0 is no VLAN, but a priority (IEEE 802.1Q).

Labels of MPLS and tunnel endpoints of GTP-U (TEIDs) are each for one direction only: by them the two sides of
a call would be told apart, so they are no realms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bystander.sniffer.encapsulations import Bytes, Ints, Kind, head
from bystander.sniffer.frames import LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, Frames
from bystander.sniffer.realm import REALMS, SHIFT, WAY

#: What may be told apart, as the configuration calls it.
KINDS: Final = ("vlan", "vni", "gre", "erspan")
#: Where the network header begins without a tag. The tags stand before it.
_LINK_BYTES: Final = {LINKTYPE_ETHERNET: 14, LINKTYPE_LINUX_SLL: 16, LINKTYPE_LINUX_SLL2: 20}
#: Of a GRE header by its first byte: checksum (and offset), key, sequence are four bytes each.
_CHECKSUM, _KEY, _SEQUENCE = 0x80, 0x20, 0x10


def _vni(data: Bytes, at: Ints) -> Ints:
    """The network in a header of VXLAN or GENEVE (RFC 7348 §5, RFC 8926 §3.4)."""
    return head(data, at, 8).view(">u4")[:, 1].astype(np.int64) >> 8


def _gre(data: Bytes, at: Ints) -> Ints:
    """The key of a GRE header (RFC 2890), -1 where it has none."""
    row = head(data, at, 12)
    flags = row[:, 0]
    words = row.view(">u4").astype(np.int64)
    key = np.where(flags & _CHECKSUM, words[:, 2], words[:, 1])
    return np.where((flags & _KEY != 0) & (row[:, 1] & 7 == 0), key, -1)


def _erspan(data: Bytes, at: Ints) -> Ints:
    """The session of ERSPAN type II or III behind a GRE header with a sequence number, -1 for all else."""
    row = head(data, at, 4)
    flags, kind = row[:, 0], row.view(">u2")[:, 1]
    options = ((flags & _CHECKSUM) >> 7) + ((flags & _KEY) >> 5) + ((flags & _SEQUENCE) >> 4)
    session = head(data, at + 4 + 4 * options.astype(np.int64), 4).view(">u2")[:, 1].astype(np.int64) & 0x3FF
    sessions = (flags & _SEQUENCE != 0) & ((kind == 0x88BE) | (kind == 0x22EB))
    return np.where(sessions, session, -1)


_NUMBERS: Final[tuple[tuple[str, tuple[Kind, ...], Callable[[Bytes, Ints], Ints]], ...]] = (
    ("vni", (Kind.VXLAN, Kind.VXLAN_GPE, Kind.GENEVE), _vni),
    ("gre", (Kind.GRE,), _gre),
    ("erspan", (Kind.GRE,), _erspan),
)


class Separation:
    """What is told apart: some of ``KINDS``. The VLANs of one group are one network, named by the first."""

    def __init__(self, kinds: Iterable[str], vlan_groups: Iterable[Sequence[int]] = ()) -> None:
        wanted = frozenset(kinds)
        self._leader = np.arange(1 << 12, dtype=np.int64)
        for group in vlan_groups:
            self._leader[list(group)] = group[0]
        self._vlans = "vlan" in wanted
        self._tunnels = [row for row in _NUMBERS if row[0] in wanted]

    def turn(self) -> None:
        """Begin another block of frames."""
        REALMS.turn()

    def tagged(self, frames: Frames, l3: Ints) -> Frames:
        """Return frames with the realms that their VLAN tags put them into; ``l3`` is behind the tags."""
        if not self._vlans:
            return frames
        way = np.zeros(len(frames), np.int64) if frames.tunnel is None else frames.tunnel
        realm = way >> SHIFT
        if frames.vlan is not None:
            realm = self._enter_vlans(realm, np.arange(len(frames)), frames.vlan)
        link = _LINK_BYTES.get(frames.linktype)
        if link is not None:
            tags, first = (l3 - frames.offset - link) >> 2, frames.offset + link
            for number in range(int(tags.max(initial=0))):
                at = np.flatnonzero(tags > number)
                tag = head(frames.data, first[at] + 4 * number, 2).view(">u2")[:, 0].astype(np.int64)
                realm = self._enter_vlans(realm, at, tag & 0x0FFF)
        return replace(frames, tunnel=way & WAY | realm << SHIFT) if realm.any() else frames

    def inside(self, data: Bytes, kind: Bytes, at: Ints, realm: Ints) -> Ints:
        """Return the realms (int64[n]) of what tunnels of some kinds carry, by where their headers begin."""
        for name, kinds, number_at in self._tunnels:
            which = np.flatnonzero(np.isin(kind, kinds))
            if not len(which):
                continue
            number = number_at(data, at[which])
            which, number = which[number >= 0], number[number >= 0]
            if len(which):
                realm = realm.copy()
                realm[which] = REALMS.enter(np.zeros(len(which), np.int64), name, number)
        return realm

    def _enter_vlans(self, realm: Ints, at: NDArray[np.int64], tag: Ints) -> Ints:
        real = np.flatnonzero(tag > 0)
        if len(real):
            realm = realm.copy()
            realm[at[real]] = REALMS.enter(realm[at[real]], "vlan", self._leader[tag[real]])
        return realm
