"""In which language the commands of custody speak: `--lang`, else the locale's. English, or Polish
(polish.py).
"""

from __future__ import annotations

import os
from typing import Annotated, Final

import typer

from bystander.errors import UserError

Lang = Annotated[str | None, typer.Option("--lang", metavar="en|pl", help="The language; else the locale's.")]

_LANGUAGES: Final = ("en", "pl")
_chosen = "en"
_of_program: str | None = None


def use(lang: str | None) -> None:
    """Choose the language of what follows. Raises UserError for one that there is not."""
    global _chosen
    if lang is not None and lang not in _LANGUAGES:
        raise UserError(f"--lang {lang}: there is no such language; take {' or '.join(_LANGUAGES)}")
    _chosen = lang or _of_program or _of_locale()


def prefer(lang: str | None) -> None:
    """Choose the language for whatever command follows, unless it has its own. Raises UserError."""
    global _of_program
    _of_program = None
    use(lang)
    _of_program = lang


def t(text: str, **values: object) -> str:
    """Return a text in the language chosen, with what it names in braces filled in."""
    if _chosen == "pl":
        from bystander.polish import TEXTS

        text = TEXTS.get(text, text)
    return text.format(**values) if values else text


def refusal(code: str, line: str) -> str:
    """Return why an act was refused, in the language chosen; ``line`` is that in English."""
    if _chosen != "pl":
        return line
    from bystander.polish import REFUSED

    what, colon, _ = line.partition(": ")
    said = REFUSED.get(code)
    return line if said is None else said.format(what=what if colon else code)


def _of_locale() -> str:
    """The language of the messages, as POSIX finds it: the first of these that is set and not empty."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "pl" if value.lower().partition(".")[0].partition("@")[0] in ("pl", "pl_pl") else "en"
    return "en"
