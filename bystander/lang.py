"""What the commands of custody say, in English and Polish: `--lang`, else the locale."""

from __future__ import annotations

import os
from typing import Annotated, Final

import typer

from bystander.errors import UserError

Lang = Annotated[str | None, typer.Option("--lang", metavar="en|pl", help="The language; else the locale's.")]

_POLISH: Final = {
    # roles and states of persons
    "listener": "odsłuchujący",
    "supervisor": "nadzorujący",
    "administrator": "administrator",
    "valid": "ważne",
    "not yet valid": "jeszcze nieważne",
    "lapsed": "wygasło",
    "revoked": "odwołane",
    "has the key": "ma klucz",
    "only one person can listen: if that key or passphrase is lost, no recording can ever be opened": (
        "tylko jedna osoba może odsłuchiwać: jeśli zgubi klucz lub hasło, żadnego nagrania nikt już "
        "nie otworzy"
    ),
    "nobody can listen today: renew the authorisation of somebody who has the key": (
        "nikt nie może dziś odsłuchiwać: trzeba przedłużyć upoważnienie komuś, kto ma klucz"
    ),
    "a new key for the vault; recordings sealed to it": "nowy klucz sejfu; nagrania do niego zapieczętowane",
    # protocols
    "protocol": "protokół",
    "open": "otwarty",
    "complete": "ukończony",
    "missing": "brakuje",
    "nothing": "niczego",
    "no protocols": "brak protokołów",
    "recording": "nagranie",
    "listened": "odsłuchano",
    "fill it with": "uzupełnij przez",
    "written to": "zapisano w",
    # purposes
    "security": "bezpieczeństwo informacji",
    "quality": "jakość obsługi",
    "data-protection": "ochrona danych osobowych",
    # disclosure
    "request": "wniosek",
    "requested": "złożony",
    "consented": "zgoda",
    "refused": "odmowa",
    "handed over": "przekazano",
    "no requests": "brak wniosków",
    "recordings": "nagrania",
    "everything is as it was handed over": "wszystko jest takie, jak przekazano",
    # rights
    "restricted": "ograniczono",
    "objection noted": "odnotowano sprzeciw",
    "no longer restricted": "zniesiono ograniczenie",
    "copied": "skopiowano",
    "erased": "usunięto",
    "no such calls": "brak takich rozmów",
    # supervision
    "calls": "rozmowy",
    "not recorded for": "nie nagrywano przez",
    "without the announcement": "bez komunikatu",
    "listenings": "odsłuchania",
    "disclosures": "udostępnienia",
    "holds": "zabezpieczenia",
    "erasures": "usunięcia",
    "overdue": "po terminie",
    "refusals": "odmowy dostępu",
    "persons": "osoby upoważnione",
    "faults": "usterki",
    "to be checked": "do kontroli",
}
_LANGUAGES: Final = ("en", "pl")
_chosen = "en"


def use(lang: str | None) -> None:
    """Choose the language of what follows. Raises UserError for one that there is not."""
    global _chosen
    if lang is not None and lang not in _LANGUAGES:
        raise UserError(f"--lang {lang}: there is no such language; take {' or '.join(_LANGUAGES)}")
    _chosen = lang or _of_locale()


def t(text: str) -> str:
    """Return a text in the language chosen."""
    return _POLISH.get(text, text) if _chosen == "pl" else text


def _of_locale() -> str:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "pl" if value.lower().startswith("pl") else "en"
    return "en"
