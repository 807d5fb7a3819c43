"""The section [hep]: off by default, and its faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bystander.config import load
from bystander.config_hep import Hep
from bystander.errors import UserError


def test_off_by_default(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text("")
    assert load(tmp_path / "b.toml").hep.listen is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('listen = "everywhere"', "write it as"),
        ('listen = "name.example:9060"', "is not an IP address"),
        ('senders = ["10.0.0.1/8"]', "is not an address or a network"),
        ('key = "x"', "there is no such key"),
    ],
)
def test_faults(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "b.toml").write_text(f"[hep]\n{text}\n")
    with pytest.raises(UserError, match=said):
        load(tmp_path / "b.toml")


def test_who_may_send() -> None:
    assert Hep().admits("192.0.2.1")
    some = Hep(senders=("10.0.0.0/8", "2001:db8::/32"))
    assert some.admits("10.1.2.3")
    assert some.admits("::ffff:10.1.2.3")
    assert some.admits("2001:db8::1%eth0")
    assert not some.admits("192.0.2.1")
