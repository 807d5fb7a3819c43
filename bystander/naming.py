"""What the journal keeps for ever names nobody: the reasons for which calls are erased (R10, R18)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

import typer

from bystander.errors import UserError

LastingReason = Annotated[
    str,
    typer.Option(metavar="REASON", help="Why, as a case number; the journal keeps it for ever: name nobody."),
]
LastingGround = Annotated[
    str, typer.Option(metavar="GROUND", help='The legal ground, as "art. 17 ust. 1 RODO".')
]

_PARTIES: Final = ("caller", "callee", "caller_name")
_BETWEEN: Final = re.compile(r"(?<=\d)[\s().\-/]+(?=\d)")
_WORD: Final = re.compile(r"[^\W\d_]{3,}")
#: Digits of a number by which somebody is known; shorter ones are articles of a law, and extensions.
_LEAST_DIGITS: Final = 7
#: So many of its last digits are a number without its country.
_NATIONAL_DIGITS: Final = 9


def refuse_naming(calls: Iterable[Mapping[str, Any]], **texts: str) -> None:
    """Refuse texts, by their option, that are no plain text, or that name a party of a call: by number, or by
    the whole of a name, also with other endings. Raises UserError.
    """
    from bystander.custody.desk import CustodyProblem, worded

    parties = {str(call.get(key) or "") for call in calls for key in _PARTIES}
    for option, text in texts.items():
        try:
            worded(text, f"--{option}")
        except CustodyProblem as problem:
            raise UserError(str(problem)) from None
        for party in _named(text, parties):
            raise UserError(
                f"--{option} names {party}, whose calls are to be erased, and the journal would keep it for "
                "ever: give the number of the case, and name nobody"
            )


def _named(text: str, parties: Iterable[str]) -> Iterator[str]:
    digits = _BETWEEN.sub("", text)
    words = [word.casefold() for word in _WORD.findall(text)]
    for party in sorted(parties):
        number = _BETWEEN.sub("", party).lstrip("+")
        if number.isdecimal():
            if len(number) >= _LEAST_DIGITS and number[-_NATIONAL_DIGITS:] in digits:
                yield party
            continue
        # Polish declines names: "Marek Kowalski" is of "Marka Kowalskiego".
        stems = [word.casefold()[: max(3, len(word) - 2)] for word in _WORD.findall(party)]
        if len(stems) > 1 and all(any(word.startswith(stem) for word in words) for stem in stems):
            yield party
