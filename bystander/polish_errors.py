"""Why a command, the configuration or a capture cannot do something, in Polish (`polish.py`)."""

from __future__ import annotations

from typing import Final

ERRORS: Final = {
    # the program
    "internal error: {}; please report it with what BYSTANDER_DEBUG=1 shows": (
        "błąd wewnętrzny: {}; prosimy zgłosić go wraz z tym, co pokazuje BYSTANDER_DEBUG=1"
    ),
    "{}; make room on that disk": "{!t}; zrób miejsce na tym dysku",
    "{}; make room within the quota": "{!t}; zrób miejsce w limicie",
    "{}; use an account that may": "{!t}; użyj konta, które może to zrobić",
    "--lang {}: there is no such language; take {}": "--lang {}: nie ma takiego języka; podaj {}",
    # commands
    "--{} names {}, whose calls are to be erased, and the journal would keep it for ever: give the number "
    "of the case, and name nobody": (
        "--{} wymienia {}, czyje rozmowy mają być usunięte, a dziennik zachowałby to na zawsze: podaj "
        "numer sprawy i nikogo nie wymieniaj"
    ),
    "this cannot be undone, and there is no terminal to ask at; give --yes": (
        "tego nie da się cofnąć, a nie ma terminala, by zapytać; podaj --yes"
    ),
    "not confirmed; nothing was done": "nie potwierdzono; niczego nie zrobiono",
    "--{} is empty; say it in words": "--{}: nic nie podano; napisz słowami",
    "no signalling was kept of this call": "nie zachowano sygnalizacji tej rozmowy",
    "its signalling is sealed; only an authorised person's key opens it": (
        "sygnalizacja jest zapieczętowana; otwiera ją tylko klucz osoby upoważnionej"
    ),
    "there is no such recording; `bystander calls` lists them": (
        "nie ma takiego nagrania; wykaz daje `bystander calls`"
    ),
    "a call is named by number and day: give --number and --date, or ids": (
        "rozmowę wskazuje numer i dzień: podaj --number i --date albo identyfikatory"
    ),
    "give --consent or --refuse, one of them": "podaj --consent albo --refuse, jedno z dwojga",
    "this configuration has no [vault]; nothing is handed over from it": (
        "ta konfiguracja nie ma sekcji [vault]; niczego się z niej nie przekazuje"
    ),
    "--date {}: not a day; write it as 2026-11-23": (
        "--date {}: to nie jest dzień; zapisz go jako 2026-11-23"
    ),
    "name the mirror port with --interface, or capture files": (
        "podaj port lustrzany przez --interface albo pliki z przechwyconym ruchem"
    ),
    "--compare takes capture files, and no interface": (
        "--compare przyjmuje pliki z przechwyconym ruchem, a nie interfejs"
    ),
    "nothing to hold; name recordings, or give --number, --since and the like": (
        "nie ma czego zabezpieczyć; wymień nagrania albo podaj --number, --since i podobne"
    ),
    "no such calls; `bystander calls` lists them": "nie ma takich rozmów; wykaz daje `bystander calls`",
    "keeps what is restricted (R18); see `bystander rights unrestrict`": (
        "chroni to, co ograniczono (R18); zobacz `bystander rights unrestrict`"
    ),
    "{}; protocol {} is open all the same": "{!t}; protokół {} mimo to jest otwarty",
    "give --identity-out or --recipient, not both": "podaj --identity-out albo --recipient, nie oba",
    "a listener needs a key: --identity-out FILE makes one, --recipient AGE1... takes theirs": (
        "odsłuchujący potrzebuje klucza: --identity-out PLIK tworzy go, --recipient AGE1... przyjmuje "
        "własny"
    ),
    "there is such a file already; choose another name for the identity": (
        "taki plik już jest; wybierz inną nazwę dla klucza"
    ),
    "the new passphrase is too short; take {} characters or more": (
        "nowe hasło jest za krótkie; najmniejsza liczba znaków: {}"
    ),
    "this configuration has no [vault]; there is no key to rotate": (
        "ta konfiguracja nie ma sekcji [vault]; nie ma klucza do zmiany"
    ),
    "a person's key is not kept in the vault; choose another folder": (
        "klucza osoby nie przechowuje się w sejfie; wybierz inny katalog"
    ),
    "cannot write the identity: {}": "nie można zapisać klucza: {!t}",
    "unexpected argument {}; capture files follow --read": (
        "zbędny argument {}; pliki podaje się po --read"
    ),
    "--interface and --read exclude each other": "--interface i --read wykluczają się",
    "this configuration has no [vault]; the recordings lie in its folder as they are": (
        "ta konfiguracja nie ma sekcji [vault]; nagrania leżą otwarte w jej katalogu"
    ),
    "no such calls; `bystander rights find` shows what there is": (
        "nie ma takich rozmów; wykaz daje `bystander rights find`"
    ),
    "the telephone number is empty; rights are exercised by number": (
        "nie podano numeru telefonu; prawa wykonuje się według numeru"
    ),
    "{}; tell the person that it must be kept until then": (
        "{!t}; poinformuj tę osobę, że do tego czasu nagranie trzeba zachować"
    ),
    "--from {} --to {}: that ends before it begins": (
        "--from {} --to {}: okres kończy się, zanim się zacznie"
    ),
    "no terminal to ask for the passphrase; give --passphrase-file FILE": (
        "nie ma terminala, by zapytać o hasło; podaj --passphrase-file PLIK"
    ),
    "the two passphrases are not the same; nothing was made": "hasła są różne; niczego nie utworzono",
    "its first line is empty; it should be the passphrase": (
        "pierwszy wiersz jest pusty; powinno w nim być hasło"
    ),
    "cannot read the passphrase: {}": "nie można odczytać hasła: {!t}",
    "not a head of a journal; it looks like 17:2f0c... (`bystander journal verify`)": (
        "to nie jest zakończenie dziennika; wygląda ono tak: 17:2f0c... (`bystander journal verify`)"
    ),
    "this configuration has no [vault]: nothing is sealed, and --identity opens nothing": (
        "ta konfiguracja nie ma sekcji [vault]: nic nie jest zapieczętowane, a --identity niczego nie "
        "otwiera"
    ),
    "this configuration has no [vault], and so no journal; `bystander init` makes one": (
        "ta konfiguracja nie ma sekcji [vault], a więc i dziennika; tworzy go `bystander init`"
    ),
    "there is such a file already; choose another name": "taki plik już jest; wybierz inną nazwę",
    "there is no index yet; `bystander init` makes it": (
        "nie ma jeszcze indeksu; tworzy go `bystander init`"
    ),
    "more passphrase files than identities; give --identity for each": (
        "więcej plików z hasłami niż kluczy; podaj --identity do każdego"
    ),
    "cannot write: {}; choose another name": "nie można zapisać: {!t}; wybierz inną nazwę",
    "there is a vault already; nothing was touched": "sejf już tam jest; niczego nie zmieniono",
    "there is something else here; choose a folder that is new or empty": (
        "jest tu coś innego; wybierz katalog nowy albo pusty"
    ),
    "the passphrase is too short; take {} characters or more": (
        "hasło jest za krótkie; najmniejsza liczba znaków: {}"
    ),
    "cannot make the vault: {}; choose another folder": (
        "nie można utworzyć sejfu: {!t}; wybierz inny katalog"
    ),
    "cannot write the identity: {}; choose another file": (
        "nie można zapisać klucza: {!t}; wybierz inny plik"
    ),
    "cannot make the vault: {}": "nie można utworzyć sejfu: {!t}",
    "not a time; write it as 2026-11-23, '2026-11-23 20:46', yesterday, or 2h (hours ago)": (
        "to nie jest czas; zapisz go jako 2026-11-23, '2026-11-23 20:46', yesterday (wczoraj) albo 2h "
        "(godziny temu)"
    ),
    "several calls fit ({}, in progress); give more of the id": (
        "pasuje kilka rozmów ({}, w toku); podaj więcej znaków identyfikatora"
    ),
    "still in progress; that can be done when the call is over": (
        "rozmowa jeszcze trwa; będzie to można zrobić, gdy się skończy"
    ),
    "this configuration has no [vault]; make one with `bystander init`, or give -c FILE": (
        "ta konfiguracja nie ma sekcji [vault]; utwórz sejf przez `bystander init` albo podaj -c PLIK"
    ),
    "not the public key of {}; one of them was changed: put it back": (
        "to nie jest klucz publiczny {}; jedno z nich zmieniono: przywróć je"
    ),
    "cannot read the vault's public key: {}; put it back": (
        "nie można odczytać klucza publicznego sejfu: {!t}; przywróć go"
    ),
    "cannot be put in its place: {}": "nie można umieścić na miejscu: {!t}",
    "not UTF-8 text": "to nie jest tekst UTF-8",
    # players, TShark, the daemon
    "no player found ({}); install one, or give --player COMMAND": (
        "nie ma żadnego odtwarzacza ({}); zainstaluj jeden z nich albo podaj --player POLECENIE"
    ),
    "the player {}; see --player": "odtwarzacz: {!t}; zobacz --player",
    "cannot start the player: {}": "nie można uruchomić odtwarzacza: {!t}",
    "was ended by {}": "przerwany ({})",
    "ended with status {}": "zakończył się kodem {}",
    "cannot be run": "nie daje się uruchomić",
    "is not there": "nie ma takiego programu",
    "tshark is not installed; `apt install tshark`, or leave --compare out": (
        "brak programu tshark; `apt install tshark` albo pomiń --compare"
    ),
    "tshark is not installed; `apt install tshark`, or open the evidence elsewhere": (
        "brak programu tshark; `apt install tshark` albo otwórz zapis sygnalizacji gdzie indziej"
    ),
    "tshark is not installed, which opens TLS; `apt install tshark`, or leave out the key log": (
        "brak programu tshark, który otwiera TLS; `apt install tshark` albo pomiń plik kluczy"
    ),
    "tshark could not read it: {}": "tshark nie mógł tego odczytać: {}",
    "no key in it; a key log has lines like CLIENT_RANDOM <hex> <hex>": (
        "nie ma w nim klucza; plik kluczy ma wiersze takie jak CLIENT_RANDOM <hex> <hex>"
    ),
    "cannot read the key log: {}": "nie można odczytać pliku kluczy: {!t}",
    "a pipe cannot be read twice, as a key log asks for; write it to a file": (
        "potoku nie da się odczytać dwa razy, a wymaga tego plik kluczy; zapisz ruch do pliku"
    ),
    "tshark could not open TLS with it: {}": "tshark nie mógł otworzyć nim TLS: {}",
    "no interface to record from; give --interface IF, or set [capture] interface": (
        "nie wiadomo, z czego nagrywać; podaj --interface IF albo ustaw [capture] interface"
    ),
    "cannot use the spool: {}; see [recording] spool": (
        "nie można użyć bufora rozmów w toku: {!t}; zobacz [recording] spool"
    ),
    "another recorder is using this spool; stop it first": (
        "tego bufora używa inny rejestrator; najpierw go zatrzymaj"
    ),
    "cannot listen for HEP on {}: {}; set [hep] listen to a free address of this machine": (
        "nie można przyjmować HEP na {}: {!t}; ustaw w [hep] listen wolny adres tej maszyny"
    ),
    "[metrics] listen: cannot serve on {} port {}: {}; choose another address, or set enabled = false": (
        "[metrics] listen: nie można udostępniać na {} port {}: {!t}; wybierz inny adres albo ustaw "
        "enabled = false"
    ),
    "[metrics] enabled is false": "[metrics] enabled = false",
    "no good answer from {}: {}": "brak dobrej odpowiedzi z {}: {!t}",
    "cannot write {}: {}; make room or choose another folder with -o": (
        "nie można zapisać {}: {!t}; zrób miejsce albo wybierz inny katalog przez -o"
    ),
    "cannot write to {}: {}; choose another folder with -o": (
        "nie można zapisać w {}: {!t}; wybierz inny katalog przez -o"
    ),
    "cannot write to {}: {}; make room or choose another folder": (
        "nie można zapisać w {}: {!t}; zrób miejsce albo wybierz inny katalog"
    ),
    # the configuration
    "there is no such configuration file; {}": "nie ma takiego pliku konfiguracji; {!t}",
    "check the name": "sprawdź nazwę",
    "give -c FILE, or set BYSTANDER_CONFIG": "podaj -c PLIK albo ustaw BYSTANDER_CONFIG",
    "not UTF-8 text (byte {}); save it as UTF-8": (
        "to nie jest tekst UTF-8 (bajt {}); zapisz go jako UTF-8"
    ),
    "cannot read the configuration: {}": "nie można odczytać konfiguracji: {!t}",
    "not valid TOML: {}": "to nie jest poprawny TOML: {}",
    "there is no such key": "nie ma takiego klucza",
    "there is no such section": "nie ma takiej sekcji",
    "{}; did you mean {}?": "{!t}; czy chodzi o {}?",
    "{} (it is {})": "{!t} (jest: {})",
    "not the name of a network interface": "to nie jest nazwa interfejsu sieciowego",
    "an empty number would fit every call": "pusty numer pasowałby do każdej rozmowy",
    "VLAN {} is named twice": "VLAN {} podano dwa razy",
    "no such time zone; write it as Europe/Warsaw": (
        "nie ma takiej strefy czasowej; zapisz ją jako Europe/Warsaw"
    ),
    "not a loopback address; set allow_remote = true to serve the network": (
        "to nie jest adres pętli zwrotnej; ustaw allow_remote = true, by udostępniać w sieci"
    ),
    "write none, all, or after 4": "napisz none, all albo after 4",
    "only keys that are masked are silenced; set mask, too": (
        "wycisza się tylko ukrywane cyfry; ustaw też mask"
    ),
    "a tone must be found to be silenced; inband may not be never": (
        "by wyciszyć ton, trzeba go znaleźć; inband nie może być never"
    ),
    "an empty key lets anybody in; leave the line out if that is meant": (
        "pusty klucz wpuszcza każdego; jeśli tak ma być, pomiń ten wiersz"
    ),
    "{} is not an address or a network": "{} to nie jest adres ani sieć",
    "not a time of day; write it as 02:30": "to nie jest godzina; zapisz ją jako 02:30",
    "neither digits nor a regular expression between slashes": (
        "to ani cyfry, ani wyrażenie regularne między ukośnikami"
    ),
    "neither an address nor a network; write it as 203.0.113.5 or 10.0.0.0/8": (
        "to ani adres, ani sieć; zapisz jako 203.0.113.5 albo 10.0.0.0/8"
    ),
    "shorter than floor_months ({})": "krócej niż floor_months ({})",
    "not a regular expression: {}": "to nie jest wyrażenie regularne: {}",
    "shorter than the floor of {} months": "krócej niż najkrótszy termin (miesiące: {})",
    "write it as 127.0.0.1:9464 or [::1]:9464": "zapisz jako 127.0.0.1:9464 albo [::1]:9464",
    "{} is not an IP address": "{} to nie jest adres IP",
    "should be a list in square brackets": "powinna to być lista w nawiasach kwadratowych",
    "should be a path, in quotes": "powinna to być ścieżka w cudzysłowie",
    "should be a section": "powinna to być sekcja",
    # the announcement
    "cannot read the announcement: {}; give a WAV or FLAC": (
        "nie można odczytać komunikatu: {!t}; podaj plik WAV albo FLAC"
    ),
    "cannot be the announcement: {}": "to nie może być komunikat: {!t}",
    "longer than {} s: that is no announcement": "dłuższe niż {} s: to nie komunikat",
    "silent: there is nothing to look for": "cisza: nie ma czego szukać",
    "shorter than a second: it could not be told from other sounds": (
        "krótsze niż sekunda: nie dałoby się tego odróżnić od innych dźwięków"
    ),
    "no such file": "nie ma takiego pliku",
    # captures
    "a capture filter needs libpcap to compile it, and libpcap is not installed: install the Debian "
    "package libpcap0.8": (
        "filtr przechwytywania kompiluje libpcap, a nie jest zainstalowany: zainstaluj pakiet Debiana "
        "libpcap0.8"
    ),
    "the capture filter is too long: {} instructions, the kernel takes {}; name networks instead of "
    "single hosts": (
        "filtr przechwytywania jest za długi: instrukcje {}, jądro przyjmuje {}; zamiast hostów podaj sieci"
    ),
    "libpcap could not be started to compile the capture filter: out of memory": (
        "nie udało się uruchomić libpcap, by skompilować filtr przechwytywania: brak pamięci"
    ),
    "capture filter {} is not valid: {} (see pcap-filter(7))": (
        "filtr przechwytywania {} jest błędny: {} (zobacz pcap-filter(7))"
    ),
    "not a capture file ({} with {}); {}": "to nie jest plik z przechwyconym ruchem ({!t} {}); {!t}",
    "starts": "zaczyna się od",
    "its gzip data starts": "dane gzip zaczynają się od",
    "it is packed with {}, unpack it first": "jest spakowany programem {}, najpierw go rozpakuj",
    "expected pcap or pcapng, plain or gzip": "oczekiwano pcap lub pcapng, bez kompresji albo gzip",
    "it is empty (0 bytes)": "jest pusty (0 bajtów)",
    "it is empty (gzip of nothing)": "jest pusty (gzip bez treści)",
    "cannot read {}: {}": "nie można odczytać {}: {!t}",
    "it is a directory; name the capture files in it": "to katalog; podaj pliki, które w nim są",
    "permission denied; its owner or root can read it": (
        "brak uprawnień; może go czytać właściciel albo root"
    ),
    "office number {}: {}": "numer urzędu {}: {}",
    "cut in its header ({} bytes)": "ucięty w nagłówku (bajty: {})",
    "pcap version {}.{} is not known; expected 2.4": "nieznana wersja pcap {}.{}; oczekiwano 2.4",
    "{}; what came before is used": "{!t}; wykorzystano to, co było wcześniej",
    "cannot be read any further ({})": "dalej nie można czytać ({!t})",
    "damaged at byte {}: {}": "uszkodzony w bajcie {}: {!t}",
    "cut in the middle of a record at byte {}": "ucięty w środku rekordu w bajcie {}",
    "cut in the middle of a block": "ucięty w środku bloku",
    "a record there claims {} bytes, more than any frame has": (
        "rekord podaje w tym miejscu {} bajtów, więcej, niż ma jakakolwiek ramka"
    ),
    "a section there has no known byte order ({})": (
        "sekcja ma w tym miejscu nieznaną kolejność bajtów ({})"
    ),
    "pcapng version {}.{} is not known; expected 1.0": "nieznana wersja pcapng {}.{}; oczekiwano 1.0",
    "a block there of type {} claims {} bytes": "blok typu {} podaje w tym miejscu {} bajtów",
    "more than {} interfaces": "za dużo interfejsów (najwyżej {})",
    "its gzip data is damaged ({})": "dane gzip są uszkodzone ({})",
    "its gzip data ends too early": "dane gzip kończą się za wcześnie",
    "{} malformed packet blocks left out": "pominięto błędne bloki pakietów: {}",
    "interface {} carries neither Ethernet nor plain IP (its kind is ARPHRD {}): capture on the port the "
    "mirror is connected to": (
        "interfejs {} nie przenosi ani Ethernetu, ani samego IP (rodzaj ARPHRD {}): przechwytuj na porcie, "
        "do którego podłączono port lustrzany"
    ),
    "live capture needs Linux (AF_PACKET); capture files can be read on any system": (
        "przechwytywanie na żywo wymaga Linuksa (AF_PACKET); pliki można czytać w każdym systemie"
    ),
    "no permission to capture on {}: run as root or give the program CAP_NET_RAW": (
        "brak uprawnień do przechwytywania na {}: uruchom jako root albo nadaj programowi CAP_NET_RAW"
    ),
    "cannot open a packet socket for {}: {}": "nie można otworzyć gniazda pakietów dla {}: {!t}",
    "interface {} is down: bring it up with: ip link set {} up": (
        "interfejs {} jest wyłączony: włącz go przez: ip link set {} up"
    ),
    "no such interface: {} (there are: {})": "nie ma takiego interfejsu: {} (są: {})",
    "cannot capture on {}: the kernel refuses the filter or the ring ({}); Linux 4.20 or later is needed": (
        "nie można przechwytywać na {}: jądro odrzuca filtr albo bufor pierścieniowy ({!t}); potrzebny "
        "Linux 4.20 lub nowszy"
    ),
    "cannot get a capture ring of {} MiB for {} ({}): make the ring smaller or free memory": (
        "nie można uzyskać bufora pierścieniowego {} MiB dla {} ({!t}): zmniejsz bufor albo zwolnij pamięć"
    ),
    "cannot capture on {}: {}": "nie można przechwytywać na {}: {!t}",
}  # fmt: skip
