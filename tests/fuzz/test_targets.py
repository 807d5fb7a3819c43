"""The fuzz targets stand for a moment in every test run, and the fuzzer itself notices what it is for."""

from __future__ import annotations

import mmap
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from fuzz import seeds
from fuzz.__main__ import attack
from fuzz.mutations import mutate, splice
from fuzz.targets import TARGETS

CASES = {"frames": 120, "sip": 2000, "files": 250, "spool": 500, "keys": 300}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_stands(name: str) -> None:
    target = TARGETS[name]()
    assert attack(target, seed=20261123, first=0, cases=CASES[name], seconds=0, trace=False)
    # The cases reach beyond the first check, or they would prove nothing.
    assert any(character in "123456789" for character in target.summary())


def test_a_case_that_raises_is_told_with_how_to_repeat_it(capsys: pytest.CaptureFixture[str]) -> None:
    class Falls:
        name = "falls"

        def run(self, rng: random.Random) -> None:
            if rng.random() < 0.2:
                raise IndexError("beyond the end")

        def summary(self) -> str:
            return ""

    assert not attack(Falls(), seed=1, first=0, cases=200, seconds=0, trace=False)
    said = capsys.readouterr().err
    assert "IndexError: beyond the end" in said
    assert "python -m fuzz falls --seed 1 --first" in said


def test_memory_that_goes_on_growing_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    class Hoards:
        name = "hoards"

        def __init__(self) -> None:
            self._kept: list[mmap.mmap] = []

        def run(self, rng: random.Random) -> None:
            # Pages of its own: the allocator may have room left that earlier tests have freed.
            pages = mmap.mmap(-1, 1 << 20)
            pages.write(rng.randbytes(1 << 20))
            self._kept.append(pages)

        def summary(self) -> str:
            return f"{len(self._kept)} kept"

    assert not attack(Hoards(), seed=1, first=0, cases=90, seconds=0, trace=False)
    assert "memory grew" in capsys.readouterr().err


def test_mutations_follow_from_the_seed_and_change_something() -> None:
    data = seeds.messages()[0]
    assert mutate(data, random.Random(1)) == mutate(data, random.Random(1))
    spoiled = [mutate(data, random.Random(number)) for number in range(200)]
    assert sum(case != data for case in spoiled) > 190
    assert max(map(len, spoiled)) <= 65000
    assert len(mutate(b"", random.Random(2))) <= 65000
    assert splice(b"abc", b"", random.Random(3)) in (b"", b"a", b"ab", b"abc")


def test_the_seeds_are_sound_and_of_every_kind() -> None:
    frames = seeds.frames()
    assert len(seeds.messages()) > 20
    kinds = {frame[12:14] for frame in frames}
    assert {b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\x88\xa8"} <= kinds
    assert any(frame[12:14] == b"\x08\x00" and frame[23] == 6 for frame in frames), "SIP over TCP"
    assert any(
        frame[12:14] == b"\x08\x00" and int.from_bytes(frame[20:22], "big") & 0x1FFF for frame in frames
    )
    assert seeds.captures()[-1][:4] == b"\x0a\x0d\x0d\x0a"
