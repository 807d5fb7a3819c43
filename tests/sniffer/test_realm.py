"""Names that hold within a realm, and the numbers of realms."""

from __future__ import annotations

import ipaddress
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bystander.sniffer.realm import OTHER, WAY, Realms, Within, apart, realm_of, within

HERE = within("10.0.0.1", "vlan 120")


def numbers(*each: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(each, np.int64)


def test_a_name_within_a_realm_equals_only_itself() -> None:
    assert within("10.0.0.1", "vlan 120") == HERE
    assert hash(HERE) == hash(within("10.0.0.1", "vlan 120"))
    others = ["10.0.0.1", within("10.0.0.1", "vlan 121"), within("10.0.0.2", "vlan 120")]
    for other in others:
        assert not HERE == other  # noqa: SIM201, SIM300  (both operators are ours)
        assert not other == HERE  # noqa: SIM201
        assert HERE != other  # noqa: SIM300
        assert other != HERE
        assert other not in {HERE: 1}
        assert HERE not in {other: 1}
    assert len({(name, 5060) for name in [HERE, *others]}) == 4


def test_it_reads_and_prints_as_itself() -> None:
    assert f"{HERE}:5060" == "10.0.0.1:5060"
    assert json.dumps({"src": HERE}) == '{"src": "10.0.0.1"}'
    assert ipaddress.ip_address(HERE) == ipaddress.ip_address("10.0.0.1")
    assert type(str(HERE)) is str
    assert str(HERE) == "10.0.0.1"


def test_it_is_the_same_in_another_process() -> None:
    again = pickle.loads(pickle.dumps((HERE, 5060)))
    assert again == (HERE, 5060)
    assert realm_of(again[0]) == "vlan 120"


def test_without_realms_a_name_is_plain_text() -> None:
    name = "10.0.0.1"
    assert within(name, "") is name
    assert realm_of(name) == ""


def test_realms_are_named_by_all_that_is_around_them() -> None:
    realms = Realms()
    outer = realms.enter(numbers(0, 0, 0), "vlan", numbers(100, 200, 100))
    inner = realms.enter(outer[:2], "vlan", numbers(7, 7))
    mixed = realms.enter(numbers(0, int(inner[0])), "vni", numbers(42, 42))
    assert [realms.name(number) for number in (*outer, *inner, *mixed)] == [
        "vlan 100",
        "vlan 200",
        "vlan 100",
        "vlan 100/vlan 7",
        "vlan 200/vlan 7",
        "vni 42",
        "vlan 100/vlan 7/vni 42",
    ]
    assert outer[0] == outer[2]
    assert (realms.enter(numbers(0), "vlan", numbers(100)) == outer[0]).all()


def test_a_name_does_not_grow_without_end() -> None:
    realms, number = Realms(), numbers(0)
    for _ in range(40):
        number = realms.enter(number, "vlan", numbers(4000))
    assert len(realms.name(int(number[0]))) <= 120


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=12), max_size=150))
def test_the_table_is_bounded_and_what_a_number_means_is_true_while_it_is_used(
    blocks: list[list[int]],
) -> None:
    realms = Realms(16)
    for block in blocks:
        realms.turn()
        found = realms.enter(np.zeros(len(block), np.int64), "vlan", np.array(block, np.int64))
        inside = realms.enter(found, "vni", np.array(block, np.int64))
        for network, number, deeper in zip(block, found.tolist(), inside.tolist(), strict=True):
            assert realms.name(number) in (f"vlan {network}", OTHER)
            assert realms.name(deeper) in (f"{realms.name(number)}/vni {network}", OTHER)
        assert len(realms) <= 16


def test_a_flood_of_networks_forgets_none_that_is_in_use() -> None:
    realms = Realms(1000)
    steady = realms.enter(numbers(0), "vlan", numbers(7))
    for start in range(0, 100_000, 100):
        realms.turn()
        flood = np.arange(start, start + 100, dtype=np.int64)
        names = [realms.name(n) for n in realms.enter(np.zeros(100, np.int64), "vni", flood).tolist()]
        assert names == [f"vni {number}" for number in flood.tolist()]
        assert realms.enter(numbers(0), "vlan", numbers(7)) == steady
    assert len(realms) <= 1000
    assert realms.forgotten >= 99_000


@given(st.lists(st.integers(0, WAY), min_size=1), st.integers(0, 2**64 - 1))
def test_without_realms_a_flow_is_what_it_was(ways: list[int], flow: int) -> None:
    flows = np.full(len(ways), flow, np.uint64)
    assert apart(flows, None) is flows
    assert apart(flows, np.array(ways, np.int64)) is flows


@pytest.mark.parametrize("name", ["vlan 1", "vni 16777215"])
def test_a_realm_is_of_the_name_itself(name: str) -> None:
    assert isinstance(within("call@host", name), Within)
    assert realm_of(within("call@host", name)) == name
