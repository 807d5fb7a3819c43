"""What `verify`, `verify-export`, `retention` and `inspect` find, in Polish (`polish.py`)."""

from __future__ import annotations

from typing import Final

FINDINGS: Final = {
    # persons, requests and protocols against the journal
    "person {} is missing in the register, and was entered by the journal": (
        "osoby {} nie ma w rejestrze, a według dziennika ją wpisano"
    ),
    "person {} is in the register, and the journal knows of no such entry": (
        "osoba {} jest w rejestrze, a dziennik nie zna takiego wpisu"
    ),
    "person {} is {} in the register, {} by the journal": (
        "osoba {}: w rejestrze {!t}, według dziennika {!t}"
    ),
    "person {} is valid until {} in the register, {} by the journal": (
        "osoba {}: ważność w rejestrze {!t}, według dziennika {!t}"
    ),
    "person {} is revoked in the register, and not by the journal": (
        "osoba {} jest odwołana w rejestrze, a według dziennika nie"
    ),
    "person {} is revoked by the journal, and not in the register": (
        "osoba {} jest odwołana według dziennika, a w rejestrze nie"
    ),
    "request {}: index and journal disagree which recordings it is for": (
        "wniosek {}: indeks i dziennik podają różne nagrania"
    ),
    "request {}: the decision is {} in the index, {} by the journal": (
        "wniosek {}: decyzja w indeksie: {!t}, według dziennika: {!t}"
    ),
    "request {}: index and journal disagree whether it was handed over": (
        "wniosek {}: indeks i dziennik podają różnie, czy go zrealizowano"
    ),
    "protocol {} is missing, and was opened by the journal": (
        "protokołu {} nie ma, a według dziennika go otwarto"
    ),
    "protocol {}: the journal has no such listening to {}": (
        "protokół {}: w dzienniku nie ma takiego odsłuchania {}"
    ),
    "protocol {}: index and journal disagree whether it is complete": (
        "protokół {}: indeks i dziennik podają różnie, czy jest ukończony"
    ),
    "is restricted in the index, and not by the journal": (
        "ograniczone w indeksie, a według dziennika nie"
    ),
    "is not restricted in the index, and is by the journal": (
        "nieograniczone w indeksie, a według dziennika tak"
    ),
    # what was handed over
    "not the key that you gave": "to nie jest podany klucz",
    "not that key's signature of {}": "to nie jest podpis tym kluczem pod {}",
    "does not belong here; {} does not name it": "nie należy tutaj; nie wymienia go {}",
    "{}:{}: not a line of checksums": "{}:{}: to nie jest wiersz sum kontrolnych",
    "was changed (SHA-256)": "zmieniono (SHA-256)",
    "is missing": "brak pliku",
    # the journal
    "entry {} was changed": "wpis {} zmieniono",
    "entry {} follows entry {}": "wpis {} następuje po wpisie {}",
    "entry {} is not signed by this recorder": "wpisu {} nie podpisał ten rejestrator",
    "entry {} does not follow from the one before it": "wpis {} nie wynika z poprzedniego",
    "its signed head": "jego podpisane zakończenie",
    "the head known from elsewhere": "zakończenie znane skądinąd",
    "{} entries beyond its signed head": "wpisy za podpisanym zakończeniem: {}",
    "not signed by this recorder": "nie podpisał tego ten rejestrator",
    "not an entry": "to nie jest wpis",
    "a torn last line": "urwany ostatni wiersz",
    "before entry {} entries were cut off, up to {}": "przed wpisem {} obcięto wpisy, aż do {}",
    "before entry {} the signed head was missing or changed": (
        "przed wpisem {} brakowało podpisanego zakończenia albo je zmieniono"
    ),
    "ends at entry {}, {} says {}: cut off": "kończy się na wpisie {}, a {!t} podaje {}: obcięto",
    "entry {} is not the one that {} names": "wpis {} to nie ten, który podaje {!t}",
    # the vault
    "erasure {} ({}) is not finished; the next sweep goes on with it": (
        "usuwanie {} ({!t}) nie jest dokończone; dokończy je następne usuwanie"
    ),
    "others may reach it (mode {}); chmod go= it": (
        "mają do tego dostęp inni (tryb {}); odbierz go przez chmod go="
    ),
    "its tables are not as they were made": "tabele są inne, niż utworzono",
    "the row {} of {} is not as it was written": "wiersz {} tabeli {} jest inny, niż zapisano",
    "the row {} is not as it was written": "wiersz {} jest inny, niż zapisano",
    "byte {}: {} is not as SQLite and the scrub leave it": (
        "bajt {}: {} – inaczej, niż zostawia SQLite i czyszczenie"
    ),
    "the key of {} is not the one that it was sealed with": (
        "klucz nagrania {} nie jest tym, którym je zapieczętowano"
    ),
    "somebody who is not in the register has a copy of the vault's key": (
        "kopię klucza sejfu ma ktoś spoza rejestru"
    ),
    "person {} is {}, and has a copy of the vault's key": "osoba {} ({!t}) ma kopię klucza sejfu",
    "cannot be read: {}": "nie można odczytać: {!t}",
    "is not as it was written (SHA-256)": "jest inne, niż zapisano (SHA-256)",
    "is not a file": "to nie jest plik",
    "has {} bytes, not {}": "liczba bajtów: {} zamiast {}",
    "what is sealed in it is not what was recorded (SHA-256)": (
        "zapieczętowano w nim coś innego, niż nagrano (SHA-256)"
    ),
    "not the key that the journal begins with": "to nie jest klucz, od którego zaczyna się dziennik",
    "not as the recorder last read it; if it was changed on purpose, start the recorder anew": (
        "inne, niż ostatnio odczytał rejestrator; jeśli to celowa zmiana, uruchom rejestrator ponownie"
    ),
    "recorder.key and recorder.pub are not two halves of one key": (
        "recorder.key i recorder.pub nie są dwiema połowami jednego klucza"
    ),
    "not the public key of the keyring": "to nie jest klucz publiczny pęku kluczy",
    # files, rows and keys against each other
    "no call in the index has this file": "żadna rozmowa w indeksie nie ma tego pliku",
    "its file is missing: {}": "brak pliku: {}",
    "a key without a call in the index": "klucz bez rozmowy w indeksie",
    "its key is missing: nobody can open the recording": "brak klucza: nikt nie otworzy tego nagrania",
    "held, but there is no such call in the index, nor in progress": (
        "zabezpieczone, ale takiej rozmowy nie ma ani w indeksie, ani w toku"
    ),
    "half written, by a recorder that was killed": (
        "zapisane w połowie przez rejestrator, którego pracę przerwano"
    ),
    "not named as the recorder names its files; whoever put it there knows": (
        "rejestrator tak nie nazywa plików; wie o nim ten, kto go tu umieścił"
    ),
    # the clock
    "set back": "cofnięty",
    "set forward": "przestawiony naprzód",
    "ahead, or the recorder was long off": "spieszy albo rejestrator długo nie działał",
    "if the clock is right, run `bystander retention confirm-clock`": (
        "jeśli zegar jest dobry, wykonaj `bystander retention confirm-clock`"
    ),
    "the clock says {}, the vault's last known time is {} ({}): nothing is erased; {}": (
        "zegar wskazuje {}, ostatni znany czas sejfu to {} ({!t}): niczego nie usunięto; {!t}"
    ),
    # TShark
    "one packet that looks like RTP and no second: TShark was told to guess": (
        "jeden pakiet podobny do RTP i żadnego drugiego: TShark miał zgadywać"
    ),
    "TShark takes RTP for another protocol here, or does not open what it is in": (
        "TShark bierze tu RTP za inny protokół albo nie otwiera tego, w czym ono jest"
    ),
    "packets of this name before or after the stream, or with broken headers": (
        "pakiety o tej nazwie przed strumieniem lub po nim albo z uszkodzonymi nagłówkami"
    ),
    "TShark found no INVITE, nor an answer to one, under this Call-ID": (
        "TShark nie znalazł INVITE ani odpowiedzi na nie z tym Call-ID"
    ),
    "{}, media on port {}": "{}, media na porcie {}",
    "not seen by TShark": "TShark tego nie widzi",
    "not seen by Bystander": "Bystander tego nie widzi",
}  # fmt: skip
