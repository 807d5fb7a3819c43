"""Every input that a guided fuzzer kept, through its reader again: what was mended stays mended."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from fuzz import corpus
from fuzz.entries import ENTRIES, joined, pieces


@pytest.mark.parametrize("name", ENTRIES)
def test_the_kept_corpus_is_read(name: str) -> None:
    inputs = corpus.read(name)
    assert len(inputs) >= 9, "python -m fuzz.guided --keep makes it"
    for data in inputs:
        ENTRIES[name](data)


@pytest.mark.parametrize("name", ENTRIES)
def test_seeds_are_laid_out_for_the_fuzzer(name: str, tmp_path: Path) -> None:
    corpus.unpack(name, tmp_path)
    found = list(tmp_path.iterdir())
    assert all(path.stat().st_size <= corpus.MOST_BYTES for path in found)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_pieces_are_found_again(some: list[bytes]) -> None:
    assert list(pieces(joined(some))) == some


def test_a_corpus_is_the_same_file_for_the_same_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    first = corpus.write("sip", [b"a", b"b"]).read_bytes()
    assert corpus.write("sip", [b"b", b"a", b"a"]).read_bytes() == first
    assert set(corpus.read("sip")) == {b"a", b"b"}
