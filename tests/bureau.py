"""A small real vault with persons who may listen, a desk to act at, and the command line in front of it.

A passphrase takes a second on purpose, so keys and identity files are made once and used in every vault.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest

from bystander.cli import main
from bystander.custody import persons
from bystander.custody.desk import Desk, Rules
from bystander.custody.journal import Journal, JournalProblem
from bystander.custody.persons import NewPerson
from bystander.retention import clock
from bystander.storage.identity import new_identity, recipient_text, write_identity
from bystander.storage.index import Index
from tests.vaultkit import CONFIG, Kit, make

_T = TypeVar("_T")
NOW_NS = 1_788_264_000_000_000_000  # 2026-09-01T12:00:00Z
DAY_NS = 86_400 * 1_000_000_000
OFFICE = """
[office]
timezone = "Europe/Warsaw"
name = "Urząd Miasta Próbnego"
"""

_KEYS: dict[str, Any] = {}
_SEALED: dict[str, bytes] = {}


def key_of(name: str) -> Any:
    """Return somebody's key, the same in every vault."""
    if name not in _KEYS:
        _KEYS[name] = new_identity()
    return _KEYS[name]


def write_keys(*names: str, protected: bool = False) -> None:
    """Write `NAME.txt`, as age-keygen does, and with ``protected`` `NAME.key`, which takes the passphrase in
    the file `right`.
    """
    for name in names:
        Path(f"{name}.txt").write_text(f"{key_of(name)}\n")
        if protected and name not in _SEALED:
            path = Path(f".{name}.made")
            write_identity(path, key_of(name), "correct horse")
            _SEALED[name] = path.read_bytes()
            path.unlink()
        if protected:
            Path(f"{name}.key").write_bytes(_SEALED[name])


@dataclass
class Bureau:
    """A vault, its persons' keys, and acts in it at a time of one's choice."""

    kit: Kit
    keys: dict[str, Any] = field(default_factory=dict)
    now_ns: int = NOW_NS
    rules: Rules = field(default_factory=Rules)
    clock: Callable[[], int] | None = None

    def at(self, work: Callable[[Desk], Awaitable[_T]]) -> _T:
        """Do an act at the desk."""

        async def go() -> _T:
            async with await Index.open(self.kit.index_path) as index:
                desk = Desk(
                    index, self.kit.keyring, self.kit.journal, self.kit.root, ZoneInfo("Europe/Warsaw"),
                    "user:test", self.now_ns, self.rules, None, self.clock,
                )  # fmt: skip
                return await work(desk)

        return asyncio.run(go())

    def unlock(self, name: str) -> Callable[[], Any]:
        """Return what gives a person's key."""
        return lambda: self.keys[name]

    def add(self, name: str, **changes: Any) -> int:
        """Enter a person; listeners get a copy of the vault's key from the first."""
        self.keys[name] = key_of(name)
        new = NewPerson(name, "inspektor", f"{len(self.keys)}/2026", **changes)

        async def work(desk: Desk) -> int:
            vault = [self.kit.vault_identity]
            recipient = recipient_text(self.keys[name])
            return (await persons.add(desk, new, recipient, vault)).number

        return self.at(work)

    def journal(self, act: str) -> list[dict[str, Any]]:
        """Return the facts of the entries of an act."""
        return [entry.facts for entry in self.kit.journal.entries() if entry.act == act]

    def refusals(self) -> list[str]:
        """Return why acts were refused, in order."""
        return [facts["why"] for facts in self.journal("refused")]


@contextmanager
def full_journal() -> Iterator[None]:
    """The disk takes no more of any journal."""

    def full(*_: Any) -> int:
        raise JournalProblem("No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "append", full)
        yield


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[Bureau]:
    """Recordings 1 to 3, and Anna and Ewa, who may listen."""
    kit = make(tmp_path / "vault")
    kit.add(1, 2, 3)
    made = Bureau(kit)
    made.add("Anna")
    # The key that the kit gave away belongs to nobody of the register.
    kit.keyring.drop_copy(recipient_text(kit.person))
    made.add("Ewa")
    yield made
    kit.keyring.close()


@pytest.fixture
def configured(tmp_path: Path, bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> Bureau:
    """The same, for commands that need nobody's key."""
    kit = bureau.kit
    monkeypatch.delenv("BYSTANDER_DEBUG", raising=False)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("COLUMNS", "200")
    (kit.folder / "keys/vault.pub").write_text(recipient_text(kit.vault_identity) + "\n")
    (kit.folder / "bystander.toml").write_text(OFFICE + CONFIG)
    monkeypatch.setenv("BYSTANDER_CONFIG", str(kit.folder / "bystander.toml"))
    monkeypatch.chdir(tmp_path)
    kit.using(lambda index: clock.confirm(index, clock.Reading.now()))
    return bureau


@pytest.fixture
def office(configured: Bureau) -> Bureau:
    """And with identity files (`write_keys`), and passphrases."""
    Path("right").write_text("correct horse\n")
    Path("wrong").write_text("battery staple\n")
    write_keys("Anna", protected=True)
    write_keys("Ewa")
    return configured


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command that must succeed; return what it prints as JSON."""

    def go(*arguments: object) -> Any:
        capsys.readouterr()
        assert main([*(str(argument) for argument in arguments), "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return go


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail with one line on stderr and nothing on stdout; return the line."""

    def go(*arguments: object) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 1
        told = capsys.readouterr()
        assert (told.out, told.err.count("\n")) == ("", 1)
        return told.err.removeprefix("bystander: ").rstrip("\n")

    return go
