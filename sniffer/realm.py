"""Realms: networks that are mirrored together although their address plans overlap.

Where the configuration says so, an address means something only within the VLAN or the virtual network that
it was seen in, and so does a Call-ID. A realm is that place: ``vlan 120``, ``vlan 100/vlan 7`` (QinQ),
``vni 42``; "" is the one realm of everything where nothing is told apart.

In arrays a realm is a small number, kept in the upper bits of the way through tunnels (``SHIFT``), so that
all that takes the way along takes the realm along. In text it is a part of the name itself (:class:`Within`),
so that no table that goes by addresses, endpoints or Call-IDs has to know of realms to keep them apart.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Below are eight layers of tunnels (:mod:`bystander.sniffer.tunnels`) of five bits each, above is the realm.
SHIFT: Final = 40
WAY: Final = (1 << SHIFT) - 1
#: Realms known at one time.
MAX_REALMS: Final = 65_536
#: No name is longer.
_LONGEST: Final = 120
#: Where one block has more realms than may be known, the rest of them are one.
OTHER: Final = "other"

_SALT = np.uint64(0xD6E8FEB86659FD93)
_NONE: Final = np.zeros(0, np.int64)


class Within(str):
    """A name within a realm: it reads and prints as itself, and equals only itself in that realm."""

    __slots__ = ("realm",)
    realm: str

    def __new__(cls, name: str, realm: str) -> Within:
        """Put a name into a realm."""
        made = super().__new__(cls, name)
        made.realm = realm
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Within) and self.realm == other.realm and str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((str.__hash__(self), self.realm))

    def __reduce__(self) -> tuple[type[Within], tuple[str, str]]:
        return Within, (str(self), self.realm)


def within(name: str, realm: str) -> str:
    """Return a name as it is meant in a realm; the plain text where there is but one."""
    return Within(name, realm) if realm else name


def realm_of(name: str) -> str:
    """Return the realm that a name holds within, "" for none."""
    return name.realm if isinstance(name, Within) else ""


class Realms:
    """Realms and their numbers, from 1; 0 is no realm.

    Beyond ``capacity`` those that were seen longest ago are forgotten, a quarter at a time (``forgotten``
    counts them), but none that was seen since the last `turn`: a number is good until then. A realm that
    comes back gets another number and the same name, and calls and streams go by the name.
    """

    def __init__(self, capacity: int = MAX_REALMS) -> None:
        self._capacity = capacity
        self._numbers: dict[str, int] = {}
        self._names = ["", OTHER]
        self._free: list[int] = []
        self._used = np.zeros(capacity + 2, np.int64)
        self._turn = 1
        #: By kind: (realm around << 32 | number of the network, sorted; the realm that it is).
        self._known: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def name(self, number: int) -> str:
        """Return the name of a realm."""
        return self._names[number]

    def turn(self) -> None:
        """Begin another block of frames."""
        self._turn += 1

    def enter(self, around: NDArray[np.int64], kind: str, network: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the realms (int64[n]) of networks of a kind, by their 32-bit numbers, in other realms."""
        key = around << 32 | network
        keys, numbers = self._known.get(kind, (_NONE, _NONE))
        at = np.searchsorted(keys, key)
        if not len(keys) or (keys.take(at, mode="clip") != key).any():
            self._meet(kind, np.setdiff1d(key, keys))
            keys, numbers = self._known[kind]
            at = np.searchsorted(keys, key)
            known = keys.take(at, mode="clip") == key
            found = np.where(known, numbers.take(at, mode="clip"), 1)
        else:
            found = numbers[at]
        self._used[found] = self._turn
        return found

    def _meet(self, kind: str, fresh: NDArray[np.int64]) -> None:
        """Take note of networks that are not known, as far as there is room."""
        self._make_room(len(fresh))
        fresh = fresh[: self._capacity - len(self._numbers)]
        met = np.empty(len(fresh), np.int64)
        for i, key in enumerate(fresh.tolist()):
            around = self._names[key >> 32]
            name = f"{around}/{kind} {key & 0xFFFFFFFF}" if around else f"{kind} {key}"
            if len(name) > _LONGEST:
                name = around  # deeper than anybody builds networks
            number = self._numbers.get(name)
            if number is None:
                number = self._free.pop() if self._free else len(self._names)
                if number == len(self._names):
                    self._names.append(name)
                self._names[number] = name
                self._numbers[name] = number
            met[i] = number
        keys, numbers = self._known.get(kind, (_NONE, _NONE))
        keys = np.concatenate([keys, fresh])
        order = np.argsort(keys)
        self._known[kind] = keys[order], np.concatenate([numbers, met])[order]

    def _make_room(self, wanted: int) -> None:
        if len(self._numbers) + wanted <= self._capacity:
            return
        numbers = np.fromiter(self._numbers.values(), np.int64, len(self._numbers))
        numbers = numbers[self._used[numbers] < self._turn]
        oldest = numbers[np.argsort(self._used[numbers])][: max(wanted, self._capacity // 4)]
        self.forgotten += len(oldest)
        gone = np.zeros(len(self._used), bool)
        gone[oldest] = True
        for number in oldest.tolist():
            del self._numbers[self._names[number]]
            self._free.append(number)
        for kind, (keys, realms) in self._known.items():
            kept = ~(gone[realms] | gone[keys >> 32])
            self._known[kind] = keys[kept], realms[kept]


#: One table for the process: a realm's number means the same wherever its blocks of frames go.
REALMS: Final = Realms()


def apart(flow: NDArray[np.uint64], way: NDArray[np.int64] | None) -> NDArray[np.uint64]:
    """Return flow numbers that tell realms apart (uint64[n]); without any they are what they were."""
    if way is None or int(way.max(initial=0)) <= WAY:
        return flow
    return flow ^ ((way >> SHIFT).astype(np.uint64) * _SALT)


def realm_at(way: int) -> str:
    """Return the name of the realm that a way leads to."""
    return REALMS.name(way >> SHIFT) if way > WAY else ""
