"""The array hash table against a dict."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.sniffer.flowtable import ABSENT, FlowTable

# Keys whose upper bits agree fall into one slot and must be probed apart.
KEYS = st.one_of(st.integers(2, 2**64 - 1), st.integers(2, 60), st.integers(2**63, 2**63 + 60))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), KEYS), max_size=300))
def test_it_answers_as_a_dict_does(steps: list[tuple[bool, int]]) -> None:
    table, wanted = FlowTable(64), dict[int, int]()
    for number, (add, key) in enumerate(steps):
        if add and key not in wanted and len(wanted) < 64:
            table.add(key, number)
            wanted[key] = number
        elif not add:
            table.remove(key)
            wanted.pop(key, None)
    keys = sorted({key for _, key in steps} | {3, 2**63 + 5})
    found = table.find(np.array(keys, np.uint64)).tolist()
    assert found == [wanted.get(key, ABSENT) for key in keys]
    assert len(table) == len(wanted)
    assert all((key in table) == (key in wanted) for key in keys)


def test_it_survives_many_comings_and_goings() -> None:
    table = FlowTable(64)
    rng = np.random.default_rng(1)
    keys = rng.integers(2, 2**64, 20_000, dtype=np.uint64).tolist()
    for start in range(0, len(keys), 50):
        part = keys[start : start + 50]
        for value, key in enumerate(part):
            table.add(key, value)
        assert table.find(np.array(part, np.uint64)).tolist() == list(range(50))
        for key in part:
            table.remove(key)
    assert len(table) == 0
    assert (table.find(np.array(keys, np.uint64)) == ABSENT).all()
