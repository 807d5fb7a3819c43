"""Why an act of custody is refused, in Polish (`polish.py`)."""

from __future__ import annotations

from typing import Final

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
    "disagreement": "{what}: dziennik nie zna takiego upoważnienia; zobacz `bystander verify`",
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
