"""What the commands of custody say, in Polish: by the English text, or by the code of a refusal.

What stands in braces is filled in, and stands in both.
"""

from __future__ import annotations

from typing import Final

TEXTS: Final = {
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
    "End the authorisation of person {number}?": "Odwołać upoważnienie osoby {number}?",
    "Make a new key for the vault?": "Utworzyć nowy klucz sejfu?",
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
    "holds": "zabezpieczenia",
    "erasures": "usunięcia",
    "term": "po upływie terminu",
    "mend": "porządkowe",
    "overdue": "zaległości",
    "refusals": "odmowy dostępu",
    "persons": "osoby upoważnione",
    "faults": "nieprawidłowości",
}

#: Refusals by their code (custody/desk.py). ``{what}`` is the recording or person that the English line names
#: first.
REFUSED: Final = {
    "no-case": "brak numeru sprawy; podaj --case (R12)",
    "no-purpose": "brak celu; podaj --purpose: security, quality lub data-protection (R2)",
    "wrong-purpose": "{what}: cel spoza zarządzenia; dozwolone są security, quality i data-protection (R2)",
    "no-justification": "brak uzasadnienia; podaj --justification (R12)",
    "no-identity": "brak klucza; podaj --identity, plik z kluczem osoby upoważnionej (R13)",
    "identity": "{what}: tego klucza nie można otworzyć; sprawdź plik i hasło",
    "stranger": "tego klucza nie ma nikt z rejestru osób upoważnionych (R13)",
    "revoked": "{what}: upoważnienie zostało odwołane (R13)",
    "lapsed": "{what}: upoważnienie wygasło; trzeba je najpierw przedłużyć (R13)",
    "not-yet-valid": "{what}: upoważnienie jeszcze nie obowiązuje (R13)",
    "role": "{what}: ta rola nie uprawnia do odsłuchu ani do otwierania nagrań (R13)",
    "no-copy": "{what}: ta osoba nie ma dostępu do klucza sejfu; ktoś, kto go ma, musi go nadać (R13)",
    "last-copy": "{what}: ma jedyną kopię klucza sejfu; najpierw upoważnij inną osobę",
    "one-person": "muszą to zrobić razem dwie osoby; podaj --identity dwa razy",
    "unfinished-protocol": "{what}: wcześniejszy protokół odsłuchania nie jest ukończony; uzupełnij go (R14)",
    "unreadable": "{what}: nagrania nie można otworzyć; zobacz `bystander verify`",
    "restricted": "{what}: przetwarzanie ograniczono; nagrania nie wolno odsłuchać ani udostępnić (R18)",
    "erased": "{what}: nagranie usunięto; nic z niego nie zostało",
    "unknown": "{what}: nie ma takiego nagrania; wykaz daje `bystander calls`",
    "no-consent": "bez zgody Prezydenta Miasta niczego się nie udostępnia (R15)",
    "not-consented": "{what}: zgoda nie obejmuje tej rozmowy (R15)",
}
