"""The printed forms of the ordinance (annexes 1 to 4) and the supervisor's report, as PDF by typst, in
Polish.

What people have written reaches the templates as data, never as source: a name may hold any character.
Nothing of the system is needed but typst itself, which has the fonts in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, tzinfo
from importlib import resources
from typing import Any, Final

_PURPOSES: Final = {
    "security": "bezpieczeństwo informacji",
    "quality": "jakość obsługi (skargi i wnioski)",
    "data-protection": "ochrona danych osobowych rozmówców",
}
# What is no character to print, and the marks that turn the direction of the text around: with them a name
# could stand on paper as another.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
# A word of one letter does not stand at the end of a line of Polish.
_SINGLE: Final = re.compile(r"\b([aiouwz]) (?=\S)", re.IGNORECASE)


class PrintProblem(Exception):  # noqa: N818  (what a person is told)
    """A form cannot be printed. The message is one clear line."""


@dataclass(frozen=True, slots=True)
class Office:
    """The office as the forms name it; what is empty is a dotted line. ``dpo``: how to reach that officer;
    ``ordinance``: what the forms are annexes to, in the genitive, or nothing.
    """

    name: str = ""
    address: str = ""
    president: str = ""
    dpo: str = ""
    ordinance: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Who signs."""

    name: str
    post: str


@dataclass(frozen=True, slots=True)
class ListeningForm:
    """Annex 2; what is empty is a dotted line. Dates are YYYY-MM-DD, times HH:MM:SS."""

    number: int = 0
    on: str = ""
    persons: tuple[Person, ...] = ()
    call_date: str = ""
    call_time: str = ""
    parties: str = ""
    location: str = ""
    breach: str = ""
    causes: str = ""
    actions: str = ""
    inquiry: str = ""
    position: str = ""
    position_on: str = ""
    completed_on: str = ""
    case: str = ""
    purpose: str = ""
    justification: str = ""


@dataclass(frozen=True, slots=True)
class RequestForm:
    """Annex 3. ``calls`` are (date, number); ``decision`` is "consent", "refusal", or empty."""

    number: int = 0
    applicant: str = ""
    on: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    ground: str = ""
    decision: str = ""
    decided_by: str = ""
    decided_on: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HandoverForm:
    """Annex 4. ``rows`` are (date and time, number, length, SHA-256 of the file in hex)."""

    number: int = 0
    on: str = ""
    giver: str = ""
    receiver: str = ""
    requested_on: str = ""
    rows: tuple[tuple[str, str, str, str], ...] = ()


def information(office: Office, months: int = 3) -> bytes:
    """Return annex 1, the information clause; ``months`` is how long recordings are kept. Raises
    PrintProblem.
    """
    return _pdf("information", office, {"months": months})


def listening(office: Office, form: ListeningForm) -> bytes:
    """Return annex 2, the protocol of a listening. Raises PrintProblem."""
    return _pdf("listening", office, asdict(form) | {"purpose": _PURPOSES.get(form.purpose, form.purpose)})


def request(office: Office, form: RequestForm) -> bytes:
    """Return annex 3, a request and the decision on it. Raises PrintProblem."""
    return _pdf("request", office, asdict(form))


def handover(office: Office, form: HandoverForm) -> bytes:
    """Return annex 4, the protocol of handing over, in two identical copies. Raises PrintProblem."""
    return _pdf("handover", office, asdict(form))


def supervision(office: Office, report: Mapping[str, Any], zone: tzinfo | None = None) -> bytes:
    """Return the supervisor's report (custody/supervision.py) with charts, its times in ``zone``. Raises
    PrintProblem.
    """
    return _pdf("supervision", office, _local(dict(report), zone))


def _pdf(template: str, office: Office, form: Mapping[str, Any]) -> bytes:
    try:
        import typst
    except ImportError:
        raise PrintProblem(
            "typst is missing, which prints the forms; install Bystander's dependencies"
        ) from None
    data = json.dumps(_printable({"office": asdict(office), "form": form}), ensure_ascii=False)
    folder = resources.files("bystander.custody") / "forms"
    with resources.as_file(folder) as root:
        try:
            made = typst.compile(
                str(root / f"{template}.typ"),
                root=str(root),
                ignore_system_fonts=True,
                sys_inputs={"data": data},
            )
        except (RuntimeError, OSError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise PrintProblem(f"{template}: the form cannot be printed: {why}") from None
    assert isinstance(made, bytes)
    return made


def _local(value: Any, zone: tzinfo | None) -> Any:
    """Return a value with its times, RFC 3339 in UTC, as times of a zone."""
    if isinstance(value, str):
        if not _TIME.fullmatch(value):
            return value
        return f"{datetime.fromisoformat(value).astimezone(zone):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, Mapping):
        return {key: _local(one, zone) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_local(one, zone) for one in value]
    return value


def _printable(value: Any) -> Any:
    """Return a value with its texts fit to be printed, at any depth."""
    if isinstance(value, str):
        lines = value.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
        return _SINGLE.sub("\\1\u00a0", _UNPRINTABLE.sub("\ufffd", lines))
    if isinstance(value, Mapping):
        return {key: _printable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(one) for one in value]
    return value
