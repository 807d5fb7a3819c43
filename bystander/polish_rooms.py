"""Why the rooms (custody, retention, storage) cannot do something, in Polish (`polish.py`)."""

from __future__ import annotations

from typing import Final

ROOMS: Final = {
    # custody
    "this call has no audio ({})": "ta rozmowa nie ma dźwięku ({!t})",
    "not what was recorded (SHA-256); see `bystander verify`": (
        "to nie to, co nagrano (SHA-256); zobacz `bystander verify`"
    ),
    "cannot read the recording: {}": "nie można odczytać nagrania: {!t}",
    "holds no audio that can be read": "nie zawiera dźwięku, który dałoby się odczytać",
    "somebody else is changing the register; try again when that is done": (
        "ktoś inny zmienia właśnie rejestr; spróbuj, gdy skończy"
    ),
    "{} has {} characters; it may have {}": "{} ma za dużo znaków: {}; wolno {}",
    "{} has several lines; write it in one": "{} ma kilka wierszy; zapisz w jednym",
    "{} holds control characters; write it as plain text": (
        "{} zawiera znaki sterujące; zapisz zwykłym tekstem"
    ),
    "{} is empty; say it in words": "{}: nic nie podano; napisz słowami",
    "{} {}: not a date; write it as 2026-11-23": "{} {}: to nie jest data; zapisz ją jako 2026-11-23",
    "no such request; `bystander disclose list` shows them": (
        "nie ma takiego wniosku; wykaz daje `bystander disclose list`"
    ),
    "there are no such recordings; `bystander calls` lists what there is": (
        "nie ma takich nagrań; wykaz daje `bystander calls`"
    ),
    "date of the request {}: that day is yet to come": (
        "data wniosku {}: ten dzień jeszcze nie nadszedł"
    ),
    "no decision; it is {}": "to nie jest decyzja; podaj {}",
    "date of the decision {}: it lies between that of the request, {}, and today": (
        "data decyzji {}: musi być między datą wniosku {} a dniem dzisiejszym"
    ),
    "this call has no audio that could be handed over": (
        "ta rozmowa nie ma dźwięku, który można by udostępnić"
    ),
    "request {}: decided already ({} on {})": "wniosek {}: już rozstrzygnięty ({!t}, {})",
    "there is something in it; choose a folder that is new or empty": (
        "coś w nim jest; wybierz katalog nowy albo pusty"
    ),
    "--key: not a recorder's public key; it is 64 hexadecimal digits": (
        "--key: to nie jest klucz publiczny rejestratora; ma on 64 cyfry szesnastkowe"
    ),
    "cannot write there: {}; choose another folder": (
        "nie można tam zapisać: {!t}; wybierz inny katalog"
    ),
    "not a file": "to nie jest plik",
    "cannot read: {}; is this the folder that was handed over?": (
        "nie można odczytać: {!t}; czy to katalog, który przekazano?"
    ),
    "cannot write the copies: {}": "nie można zapisać kopii: {!t}",
    "{}; name a new folder on a medium with room": (
        "{!t}; podaj nowy katalog na nośniku, na którym jest miejsce"
    ),
    "lies in the vault; nothing lies open there: choose another": (
        "leży w sejfie, a tam nic nie leży otwarte; wybierz inny katalog"
    ),
    "the journal's last line is damaged: nothing can be written until it is put right": (
        "ostatni wiersz dziennika jest uszkodzony: dopóki nie zostanie naprawiony, niczego nie można "
        "zapisać"
    ),
    "the journal is missing; put it back, or make a new vault": (
        "brak dziennika; przywróć go albo utwórz nowy sejf"
    ),
    "the recorder's key is needed to write into the journal": (
        "do zapisu w dzienniku potrzebny jest klucz rejestratora"
    ),
    "the recorder's key is needed to tell who wrote the journal": (
        "potrzebny jest klucz rejestratora, by stwierdzić, kto pisał dziennik"
    ),
    "an entry of {} bytes is too long; do it in parts": (
        "wpis o {} bajtach jest za długi; zrób to w częściach"
    ),
    "not as the recorder wrote it": "inne, niż zapisał rejestrator",
    "cannot use the journal: {}": "nie można użyć dziennika: {!t}",
    "not the head of a journal": "to nie jest zakończenie dziennika",
    "lasts {} s; nothing lies from {} s to {} s": "trwa {} s; od {} s do {} s nic nie ma",
    "no such person; `bystander persons list` shows them": (
        "nie ma takiej osoby; wykaz daje `bystander persons list`"
    ),
    "two persons at most sign a protocol; give one identity or two": (
        "protokół podpisują najwyżej dwie osoby; podaj jeden klucz albo dwa"
    ),
    "valid until {}: that day is over": "ważne do {}: ten dzień minął",
    "the vault's key was rotated meanwhile; nothing was done: try again": (
        "w tym czasie zmieniono klucz sejfu; niczego nie zrobiono: spróbuj ponownie"
    ),
    "no such role; take {}": "nie ma takiej roli; podaj {}",
    "valid from {} until {}: that ends before it begins": (
        "ważne od {} do {}: kończy się, zanim się zacznie"
    ),
    "a listener needs a key, and somebody who can listen already to give the vault's to it": (
        "odsłuchujący potrzebuje klucza, a klucz sejfu musi mu nadać ktoś, kto już może odsłuchiwać"
    ),
    "this key is {}'s already; each person has a key of their own": (
        "ten klucz ma już {}; każdy ma własny klucz"
    ),
    "revoked already": "już odwołane",
    "revoked; enter them again with `bystander persons add`": (
        "odwołane; wpisz tę osobę ponownie przez `bystander persons add`"
    ),
    "the copy of the vault's key was destroyed; give --identity of somebody who can listen": (
        "kopię klucza sejfu zniszczono; podaj --identity kogoś, kto może odsłuchiwać"
    ),
    "typst is missing, which prints the forms; install Bystander's dependencies": (
        "brak programu typst, który drukuje formularze; zainstaluj zależności Bystandera"
    ),
    "the form cannot be printed: {}": "formularza nie można wydrukować: {!t}",
    "no such protocol; `bystander protocol list` shows them": (
        "nie ma takiego protokołu; wykaz daje `bystander protocol list`"
    ),
    "the form has no such field; it has {}": "formularz nie ma takiego pola; ma {}",
    "nothing to fill; missing: {}": "nie ma czego uzupełniać; brakuje: {!t}",
    "protocol {} is complete; only the position can still be added": (
        "protokół {} jest ukończony; można jeszcze dodać tylko stanowisko"
    ),
    "none of them is restricted; nothing was changed": (
        "żadne z nich nie jest ograniczone; niczego nie zmieniono"
    ),
    # retention
    "held for {}; nothing was erased": "zabezpieczone do sprawy {}; niczego nie usunięto",
    "sealed, but this configuration names no keyring to erase its key from; put the section [vault] back": (
        "zapieczętowane, ale ta konfiguracja nie podaje pęku kluczy, z którego usunąć klucz; przywróć "
        "sekcję [vault]"
    ),
    "another erasure is under way; try again when it is done": (
        "trwa inne usuwanie; spróbuj, gdy się skończy"
    ),
    "being erased already; it can no longer be held": "jest już usuwane; nie można go zabezpieczyć",
    "no such recording any more; it was erased": "tego nagrania już nie ma; zostało usunięte",
    "no active hold; `bystander hold list` shows them": (
        "nie ma takiego zabezpieczenia; wykaz daje `bystander hold list`"
    ),
    "not held for {}; nothing was released": "niezabezpieczone do sprawy {}; niczego nie zwolniono",
    "{}{}; put that right, the next sweep goes on with it": (
        "{!t}{!t}; napraw to, a dokończy następne usuwanie"
    ),
    "cannot be removed: {}": "nie można usunąć: {!t}",
    "cannot be emptied: {}": "nie można opróżnić: {!t}",
    "{} (and {} more)": "{!t} (i jeszcze {})",
    "{} and {} more": "{} i jeszcze {}",
    # storage
    "not an age recipient; it begins with age1": (
        "to nie jest klucz publiczny age; zaczyna się on od age1"
    ),
    "not an age identity; its line begins with AGE-SECRET-KEY-1": (
        "to nie jest klucz age; jego wiersz zaczyna się od AGE-SECRET-KEY-1"
    ),
    "damaged or cut short: it does not open": "uszkodzone lub ucięte: nie daje się otworzyć",
    "sealed to another key than this one": "zapieczętowane innym kluczem niż ten",
    "holds no identity (no line begins with {})": (
        "nie zawiera klucza (żaden wiersz nie zaczyna się od {})"
    ),
    "not an identity file; it is the one that --identity-out named": (
        "to nie jest plik z kluczem; jest nim ten, który podano w --identity-out"
    ),
    "cannot read the identity: {}; give --identity FILE": (
        "nie można odczytać klucza: {!t}; podaj --identity PLIK"
    ),
    "the passphrase is wrong, or the file is damaged; try again": (
        "hasło jest błędne albo plik jest uszkodzony; spróbuj ponownie"
    ),
    "protected by more work than this machine can do now; try again, or elsewhere": (
        "ochrona wymaga więcej pracy, niż ta maszyna może teraz wykonać; spróbuj ponownie albo gdzie "
        "indziej"
    ),
    "not an identity protected by a passphrase": "to nie jest klucz chroniony hasłem",
    "there is no index yet; `bystander run` makes it": (
        "nie ma jeszcze indeksu; tworzy go `bystander run`"
    ),
    "the index is busy; what was erased is still in its log": (
        "indeks jest zajęty; to, co usunięto, jest jeszcze w jego dzienniku zmian"
    ),
    "cannot use the index: {}": "nie można użyć indeksu: {!t}",
    "several recordings fit ({}); give more of the id": (
        "pasuje kilka nagrań ({}); podaj więcej znaków identyfikatora"
    ),
    "the keyring is missing; without it no recording can be opened: put it back": (
        "brak pęku kluczy; bez niego nie da się otworzyć żadnego nagrania: przywróć go"
    ),
    "not a keyring that this program knows (schema {}, wanted {})": (
        "tego pęku kluczy program nie zna (schemat {}, potrzebny {})"
    ),
    "holds no vault key; put it back from a copy": "nie zawiera klucza sejfu; przywróć go z kopii",
    "cannot use the keyring: {}": "nie można użyć pęku kluczy: {!t}",
    "the vault's key was rotated meanwhile; {} is sealed again": (
        "w tym czasie zmieniono klucz sejfu; {} jest zapieczętowane na nowo"
    ),
    "the vault's key was rotated meanwhile; try again": (
        "w tym czasie zmieniono klucz sejfu; spróbuj ponownie"
    ),
    "busy; the keys that were deleted are still in its log": (
        "zajęty; usunięte klucze są jeszcze w jego dzienniku zmian"
    ),
    "this identity has no copy of the vault's key: its person is not authorised to listen": (
        "dla tego klucza nie ma kopii klucza sejfu: ta osoba nie jest upoważniona do odsłuchu"
    ),
    "its key is destroyed: the recording was erased": "klucz zniszczono: nagranie usunięto",
    "no key of the vault was given": "nie podano klucza sejfu",
    "cannot read the sealed file: {}": "nie można odczytać zapieczętowanego pliku: {!t}",
    "the index has the older schema {}; `bystander run` brings it up to date": (
        "indeks ma starszy schemat {}; aktualizuje go `bystander run`"
    ),
    "the index has schema {}, this program knows up to {}; use the newer Bystander that wrote it": (
        "indeks ma schemat {}, a ten program zna najwyżej {}; użyj nowszego Bystandera, który go zapisał"
    ),
    "a database, but not a Bystander index; name another file as the index": (
        "to baza danych, ale nie indeks Bystandera; podaj inny plik indeksu"
    ),
    "could not be scrubbed": "nie udało się wyczyścić",
    "could not be scrubbed of what was erased: {}": "nie udało się wyczyścić z tego, co usunięto: {!t}",
    "damaged; run `bystander verify`": "uszkodzone; wykonaj `bystander verify`",
    "busy; what was erased is still in its unused space": (
        "zajęte; to, co usunięto, jest jeszcze w niewykorzystanym miejscu"
    ),
    "{} is damaged; put it back from a copy": "{!t}: uszkodzony; przywróć go z kopii",
    "cannot read {}: {}; put it back from a copy": (
        "nie można odczytać – {!t}: {!t}; przywróć go z kopii"
    ),
    "the recorder's public key": "klucz publiczny rejestratora",
    "the recorder's key": "klucz rejestratora",
}  # fmt: skip
