"""An open-addressed hash table that answers a whole array of look-ups at once.

Operations: ``find`` (array of keys -> array of values), ``add`` and ``remove`` (one at a time, from Python,
as streams come and go). Goal: some 10 ns a look-up with tens of thousands of entries. Plan: linear probing
over a power-of-two table kept at most a quarter full, so that nearly all look-ups end at the first probe,
which is one gather for the whole array; the few others are probed again as an ever smaller array. Removed
entries leave a tombstone until the table is rebuilt. Keys are already well mixed 64-bit hashes, and their
upper bits choose the slot.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ABSENT = -1
_EMPTY = 0
_GONE = 1


class FlowTable:
    """Maps uint64 keys to int32 values; keys 0 and 1 are never stored (they mark empty and removed slots)."""

    def __init__(self, capacity: int) -> None:
        bits = max(8, (capacity * 4 - 1).bit_length())
        self._size = 1 << bits
        self._mask = self._size - 1
        self._shift = np.uint64(64 - bits)
        self._keys = np.zeros(self._size, np.uint64)
        self._values = np.full(self._size, ABSENT, np.int32)
        self._live: dict[int, int] = {}
        self._tombstones = 0

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, key: int) -> bool:
        return key in self._live

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the value of every key, ``ABSENT`` where there is none: int32[n]."""
        slots = (keys >> self._shift).astype(np.int64)
        found = self._keys[slots]
        values = self._values[slots]
        missed = found != keys
        if not missed.any():
            return values
        at = np.flatnonzero(missed)
        values[at] = ABSENT
        at = at[found[at] != _EMPTY]
        slots = slots[at]
        while len(at):
            slots = (slots + 1) & self._mask
            found = self._keys[slots]
            hit = found == keys[at]
            if hit.any():
                values[at[hit]] = self._values[slots[hit]]
            on = ~hit & (found != _EMPTY)
            at, slots = at[on], slots[on]
        return values

    def add(self, key: int, value: int) -> None:
        """Store a key that is not in the table."""
        if key in (_EMPTY, _GONE):
            return
        self._live[key] = value
        self._place(key, value)

    def remove(self, key: int) -> None:
        """Forget a key; absent keys are ignored."""
        if self._live.pop(key, None) is None:
            return
        slot = self._slot(key)
        while int(self._keys[slot]) != key:
            slot = (slot + 1) & self._mask
        self._keys[slot] = _GONE
        self._values[slot] = ABSENT
        self._tombstones += 1
        if self._tombstones > self._size >> 2:
            self._rebuild()

    def _slot(self, key: int) -> int:
        return key >> int(self._shift)

    def _place(self, key: int, value: int) -> None:
        slot = self._slot(key)
        while int(self._keys[slot]) not in (_EMPTY, _GONE):
            slot = (slot + 1) & self._mask
        if int(self._keys[slot]) == _GONE:
            self._tombstones -= 1
        self._keys[slot] = key
        self._values[slot] = value

    def _rebuild(self) -> None:
        self._keys[:] = _EMPTY
        self._values[:] = ABSENT
        self._tombstones = 0
        for key, value in self._live.items():
            self._place(key, value)
