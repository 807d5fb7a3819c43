"""What the commands of custody say, and how calls and recordings are, in Polish (`polish.py`)."""

from __future__ import annotations

from typing import Final

CUSTODY: Final = {
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
        "tylko jedna osoba może odsłuchiwać: jeśli zgubi klucz lub hasło, żadnego nagrania nikt już nie "
        "otworzy"
    ),
    "nobody can listen today: renew the authorisation of somebody who has the key": (
        "nikt nie może dziś odsłuchiwać: trzeba przedłużyć upoważnienie komuś, kto ma klucz"
    ),
    "a new key for the vault; recordings sealed to it": (
        "nowy klucz sejfu; nagrania do niego zapieczętowane"
    ),
    "End the authorisation of person {number}?": "Odwołać upoważnienie osoby {number}?",
    "Make a new key for the vault?": "Utworzyć nowy klucz sejfu?",
    "the journal is not whole; see `bystander journal verify`": (
        "dziennik jest naruszony; zobacz `bystander journal verify`"
    ),
    "{number} {number:call|calls} more of numbers that end in {ending}: they may be the same person's, with "
    'or without a prefix; `bystander rights find "*{ending}"` shows them': (
        "{number} {number:rozmowa więcej|rozmowy więcej|rozmów więcej} z numerów kończących się na {ending}: "
        "może chodzić o tę samą osobę, z prefiksem lub bez; pokaże je `bystander rights find "
        '"*{ending}"`'
    ),
    # keys
    "Passphrase: ": "Hasło: ",
    "Passphrase of {name}: ": "Hasło do {name}: ",
    "The same again: ": "Jeszcze raz to samo: ",
    # protocols
    "protocol": "protokół",
    "protocols": "protokoły",
    "open": "otwarty",
    "complete": "ukończony",
    "missing": "brakuje",
    "nothing": "niczego",
    "no protocols": "brak protokołów",
    "listened": "odsłuchano",
    "fill it with": "uzupełnij przez",
    "written to": "zapisano w",
    "parties": "osoby prowadzące rozmowę",
    "location": "lokalizacja zdarzenia",
    "breach": "rodzaj naruszenia",
    "causes": "przyczyny",
    "actions": "podjęte działania",
    "inquiry": "postępowanie wyjaśniające",
    "position": "stanowisko Prezydenta",
    "position_on": "data stanowiska",
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
    "the signature was checked with the key in the folder; give --key HEX, which the office tells you": (
        "podpis sprawdzono kluczem z tego samego folderu; podaj --key HEX, który zna urząd"
    ),
    # rights
    "restricted": "ograniczono",
    "objection noted": "odnotowano sprzeciw",
    "no longer restricted": "zniesiono ograniczenie",
    "copied": "skopiowano",
    "erased": "usunięto",
    "no such calls": "brak takich rozmów",
    "Erase for good: {number}?": "Usunąć trwale: {number}?",
    # calls
    "incoming": "przychodzące",
    "outgoing": "wychodzące",
    "internal": "wewnętrzne",
    "unknown": "nieustalone",
    "recorded": "nagrane",
    "partial": "nagrane częściowo",
    "one-way": "jedna strona",
    "no-media": "bez dźwięku",
    "encrypted": "szyfrowane",
    "unsupported-codec": "nieobsługiwany kodek",
    "excluded": "wyłączone z nagrywania",
    "answered": "odebrane",
    "cancelled": "przerwane",
    "busy": "zajęte",
    "failed": "nieudane",
    "unanswered": "nieodebrane",
    "incomplete": "niepełne",
    # lists
    "Monday": "poniedziałek",
    "Tuesday": "wtorek",
    "Wednesday": "środa",
    "Thursday": "czwartek",
    "Friday": "piątek",
    "Saturday": "sobota",
    "Sunday": "niedziela",
    "sealed": "zapieczętowane",
    "held": "zabezpieczone",
    "waveform": "przebieg",
    "caller above": "dzwoniący u góry",
    "callee below": "odbierający u dołu",
    "the newest {number}; there are more: --limit N, or --since and --until": (
        "najnowsze: {number}; jest ich więcej: --limit N albo --since i --until"
    ),
    # holds and terms
    "{active} of {number}": "{active} z {number}",
    "released": "zwolnione",
    "since {day} ({days} days)": "od {day} (dni: {days})",
    "nothing is held": "nic nie jest zabezpieczone",
    "of {began}, kept until {end}": "z {began}, przechowywane do {end}",
    "held for": "zabezpieczone do sprawy",
    "{number} {number:recording|recordings} to be erased": (
        "do usunięcia: {number} {number:nagranie|nagrania|nagrań}"
    ),
    "{number} held back": "zatrzymane: {number}",
    "{number} under way, the next sweep finishes them": (
        "w toku: {number}, dokończy je następne usuwanie"
    ),
    # verify
    "whole": "wszystko w porządku",
    "{number} {number:fault|faults}": "nieprawidłowości: {number}",
    "{count} {count:call|calls}": "{count} {count:rozmowa|rozmowy|rozmów}",
    "{count} {count:permission|permissions}": "{count} {count:uprawnienie|uprawnienia|uprawnień}",
    "{count} {count:key|keys}": "{count} {count:klucz|klucze|kluczy}",
    "{count} {count:file|files}": "{count} {count:plik|pliki|plików}",
    "{count} {count:entry|entries}": "{count} {count:wpis|wpisy|wpisów} dziennika",
    # status
    "recorder": "rejestrator",
    "recording": "nagrywa",
    "not recording": "nie nagrywa",
    "not running": "nie działa",
    "audio": "dźwięk",
    "newest": "najnowsza",
    "disk": "dysk",
    "{free} free of {total}": "wolne {free} z {total}",
    "vault": "sejf",
    "not sealed: there is no [vault]": "niezapieczętowane: brak sekcji [vault]",
    "unfinished erasures": "niedokończone usunięcia",
    "coverage": "ciągłość",
    "nothing has been recorded yet": "jeszcze niczego nie nagrano",
    "no gap since {time}": "bez przerwy od {time}",
    "not covered": "nie nagrywano",
    "{begin} to {end}": "od {begin} do {end}",
    "{number} packets": "pakiety: {number}",
    # supervision
    "calls": "rozmowy",
    "erased since": "usunięte od tego czasu",
    "recorded of the time": "czas objęty nagrywaniem",
    "not recorded for": "nie nagrywano przez",
    "stopped": "zatrzymanie",
    "killed": "awaria",
    "drops": "utrata pakietów",
    "not-started": "przed uruchomieniem",
    "no-space": "brak miejsca na dysku",
    "without the announcement": "bez komunikatu",
    "to be checked": "do kontroli",
    "seed": "ziarno losowania",
    "listenings": "odsłuchania",
    "unfinished protocols": "nieukończone protokoły",
    "disclosures": "udostępnienia",
    "copies made": "sporządzone kopie",
    "holds": "zabezpieczenia",
    "erasures": "usunięcia",
    "term": "po upływie terminu",
    "mend": "porządkowe",
    "overdue": "zaległości",
    "refusals": "odmowy dostępu",
    "persons": "osoby upoważnione",
    "faults": "nieprawidłowości",
}  # fmt: skip
