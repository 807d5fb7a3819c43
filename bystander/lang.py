"""In which language the program speaks: `--lang`, else the locale's. English, or Polish (polish.py).

Three ways to say something. :func:`t` says it at once, where only a person reads it. :func:`said` makes the
English text that JSON holds, and remembers what it was made of, so that :func:`shown` can say it otherwise.
:func:`told` knows a line of the rooms, which speak English alone, by the words that stand fast in it.
"""

from __future__ import annotations

import functools
import os
import re
import string
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Self

import typer

from bystander.errors import UserError

Lang = Annotated[str | None, typer.Option("--lang", metavar="en|pl", help="The language; else the locale's.")]

_LANGUAGES: Final = ("en", "pl")
#: Where a line says what it is of, before it says what is wrong with it.
_OF: Final = ": "
_MOST_PARTS: Final = 6
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_chosen = "en"
_of_program: str | None = None


class Said(str):
    """A text in English, with what it was made of."""

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, values: Mapping[str, object]) -> Self:
        """Make it; what is filled in may itself be such a text."""
        made = super().__new__(cls, _English().vformat(template, (), values))
        made.template, made.values = template, values
        return made


class _English(string.Formatter):
    """Fills texts in. ``{number:call|calls}`` is the form of a word that goes with a number."""

    def form(self, number: int) -> int:
        """Return which form of a word goes with a number."""
        return 0 if number == 1 else 1

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return one value as it is written."""
        if "|" in format_spec:
            return format_spec.split("|")[self.form(int(value))]
        return str(super().format_field(value, format_spec))


class _Polish(_English):
    """The same for Polish: 1 nagranie, 2 nagrania, 5 nagrań; 1 234,5. ``{!t}`` is told in Polish, too."""

    def form(self, number: int) -> int:
        """Return which form of a word goes with a number."""
        if number == 1:
            return 0
        return 1 if 2 <= number % 10 <= 4 and not 12 <= number % 100 <= 14 else 2

    def convert_field(self, value: Any, conversion: Any) -> Any:
        """Return a value that is a line of its own in Polish."""
        return told(str(value), "pl") if conversion == "t" else super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return one value as it is written."""
        if isinstance(value, Said):
            value = shown(value)
        text = super().format_field(value, format_spec)
        if format_spec[-1:] in (",", "f", "g", "%"):
            return text.translate(str.maketrans(",.", "\u00a0,"))
        return text


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


def t(text: str, *, of: str = "", **values: object) -> str:
    """Return a text in the language chosen, with what it names in braces filled in.

    ``of`` tells apart what is one word in English: what it is a word of.
    """
    return _filled(text, f"{of}: {text}" if of else text, values)


def said(text: str, **values: object) -> Said:
    """Return a text in English, for JSON, that can be shown in the language chosen."""
    return Said(text, values)


def shown(text: str) -> str:
    """Return a text of :func:`said` in the language chosen; any other as it is."""
    return _filled(text.template, text.template, text.values) if isinstance(text, Said) else text


def told(line: str, lang: str | None = None) -> str:
    """Return a line that a room wrote in English in the language chosen, or as it is if it is not known."""
    if isinstance(line, Said):
        return shown(line)
    if (lang or _chosen) != "pl":
        return line
    begin = 0
    for _ in range(_MOST_PARTS):
        if (found := _known(line[begin:])) is not None:
            return line[:begin] + found
        begin = line.find(_OF, begin) + len(_OF)
        if begin < len(_OF):
            break
    return line


def refusal(code: str, line: str) -> str:
    """Return why an act was refused, in the language chosen; ``line`` is that in English."""
    if _chosen != "pl":
        return line
    from bystander.polish import REFUSED

    what, colon, _ = line.partition(_OF)
    why = REFUSED.get(code)
    return line if why is None else why.format(what=what if colon else code)


def _filled(text: str, key: str, values: Mapping[str, object]) -> str:
    if _chosen == "pl":
        from bystander.polish import TEXTS

        text = TEXTS.get(key, text)
        return _Polish().vformat(text, (), values) if values else text
    return _English().vformat(text, (), values) if values else text


def _known(line: str) -> str | None:
    from bystander.polish import LINES

    if line in LINES:
        return LINES[line]
    # What follows a semicolon is rather the line's own end than a part of what is filled in.
    for anything in (r"(?:(?!; ).)*?", r".*?"):
        for pattern, polish in _patterns(anything):
            if match := pattern.fullmatch(line):
                return _Polish().vformat(polish, match.groups(), {})
    return None


@functools.cache
def _patterns(anything: str) -> Sequence[tuple[re.Pattern[str], str]]:
    """Return what the lines look like that name something, those with the most words first."""
    from bystander.polish import LINES

    found = []
    for english, polish in LINES.items():
        parts = list(string.Formatter().parse(english))
        if all(name is None for _, name, _, _ in parts):
            continue
        words = "".join(
            re.escape(literal) + ("" if name is None else f"({anything})") for literal, name, _, _ in parts
        )
        found.append((sum(len(literal) for literal, *_ in parts), re.compile(words, re.DOTALL), polish))
    return [(pattern, polish) for _, pattern, polish in sorted(found, key=lambda one: -one[0])]


def _of_locale() -> str:
    """The language of the messages, as POSIX finds it: the first of these that is set and not empty."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "pl" if value.lower().partition(".")[0].partition("@")[0] in ("pl", "pl_pl") else "en"
    return "en"
