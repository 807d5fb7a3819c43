"""What the commands say that act on the vault and its recordings, in Polish (`polish.py`)."""

from __future__ import annotations

from typing import Final

ACTS: Final = {
    "[y/N]": "[t/N]",
    "see `{command} --help`": "zobacz `{command} --help`",
    # init
    "record": "nagrywanie",
    "identity": "klucz",
    "Give the identity to its person, to be kept apart from this machine, and a copy into a safe. It is "
    "the only one so far: without it and its passphrase nobody can ever listen to a recording.": (
        "Przekaż plik z kluczem tej osobie, by przechowywała go z dala od tej maszyny, a kopię włóż do "
        "sejfu. Na razie to jedyny klucz: bez niego i bez jego hasła nikt nigdy nie odsłucha żadnego "
        "nagrania."
    ),
    # extract
    "{calls} {calls:call|calls}, {recordings} {recordings:recording|recordings} in {out}": (
        "{calls} {calls:rozmowa|rozmowy|rozmów}, {recordings} {recordings:nagranie|nagrania|nagrań} w {out}"
    ),
    "; {streams} {streams:stream|streams} belonged to no call seen": (
        "; {streams} {streams:strumień nie należał|strumienie nie należały|strumieni nie należało} do "
        "żadnej widzianej rozmowy"
    ),
    "{count} TLS {count:connection|connections} to {many:port|ports} {ports} {count:was|were} not read; "
    "{advice}": (
        "{count} {count:połączenie TLS|połączenia TLS|połączeń TLS} do {many:portu|portów|portów} {ports} "
        "{count:pozostało nieodczytane|pozostały nieodczytane|pozostało nieodczytanych}; {advice}"
    ),
    "give a key log with --tls-keylog": "podaj plik kluczy przez --tls-keylog",
    "their keys are not in the key log": "ich kluczy nie ma w pliku kluczy",
    "set [capture] tls_keylog to their key log": "ustaw w [capture] tls_keylog ich plik kluczy",
    # holds
    "hold {hold} for {case}: {number} {number:recording|recordings}": (
        "zabezpieczenie {hold} do sprawy {case}: {number} {number:nagranie|nagrania|nagrań}"
    ),
    ", {number} of them of the same case: {names}": ", w tym z tej samej sprawy: {number} ({names})",
    "{number} {number:recording|recordings} released; what is beyond its term goes at the next sweep": (
        "zwolniono {number} {number:nagranie|nagrania|nagrań}; to, czego termin minął, zniknie przy "
        "następnym usuwaniu"
    ),
    # erasing
    "erasing": "usuwanie",
    "Erase {number} {number:recording|recordings} for good?": (
        "Usunąć trwale {number} {number:nagranie|nagrania|nagrań}?"
    ),
    "Erase {number} {number:recording|recordings} for good ({names})?": (
        "Usunąć trwale {number} {number:nagranie|nagrania|nagrań} ({names})?"
    ),
    "{number} {number:recording|recordings} erased": (
        "usunięto {number} {number:nagranie|nagrania|nagrań}"
    ),
    "{number} {number:recording|recordings} erased, {held} held back, {left} left": (
        "usunięto {number} {number:nagranie|nagrania|nagrań}, zatrzymane: {held}, pozostałe: {left}"
    ),
    # amounts
    "{count} {count:byte|bytes}": "{count} {count:bajt|bajty|bajtów}",
    "{count:.1f} {unit}": "{count:.1f} {unit}",
    "{percent:g} %": "{percent:g}%",
    "active_calls": "rozmowy w toku",
    "kernel_drops": "odrzucone przez jądro",
    "why": "powód",
    # the clock
    "Is it {day}, {time}?": "Czy jest {day}, {time}?",
    "the clock is taken to be right: {time}": "zegar uznano za dobry: {time}",
    # putting right
    "(held: not touched)": "(zabezpieczone: bez zmian)",
    "Destroy stray files and keys, and note lost recordings: {number} in all?": (
        "Zniszczyć bezpańskie pliki i klucze i odnotować utracone nagrania: razem {number}?"
    ),
    "{number} put right": "naprawiono: {number}",
    "nothing to put right": "nie ma czego naprawiać",
    ", {number} left to people": ", wymaga człowieka: {number}",
    # the journal and verify
    "verifying": "sprawdzanie",
    "whole; head {head}": "wszystko w porządku; ostatni wpis {head}",
    "{number} {number:entry|entries} in {file}": "{number} {number:wpis|wpisy|wpisów} w {file}",
    "{days} {days:day|days}": "{days} {days:dzień|dni|dni}",
}  # fmt: skip
