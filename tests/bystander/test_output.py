"""What is printed cannot act on the terminal."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from bystander.output import json_text, one_line, plain


def test_letters_stay_and_controls_go() -> None:
    assert plain("Łucja µ-law →") == "Łucja µ-law →"
    assert plain("a\x1b[31m\x9b\r\nb\u202e") == "a�[31m���b�"


@given(st.text())
def test_an_error_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1 or not set(one_line(text)) & set(
        "\r\n\x0b\x0c\x1c\x1d\x1e\x85"
    )


@given(st.dictionaries(st.text(), st.text()))
def test_json_is_the_same_when_read_and_holds_no_controls(value: dict[str, str]) -> None:
    text = json_text(value)
    assert json.loads(text) == value
    assert not any((ord(letter) < 32 and letter != "\n") or 0x7F <= ord(letter) < 0xA0 for letter in text)
