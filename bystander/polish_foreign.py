"""What comes into our lines from elsewhere, in Polish (`polish.py`): the system, SQLite, the framework of the
command line, the checks of the configuration, and words that are kept as data.
"""

from __future__ import annotations

import errno
import os
from typing import Final

#: Errors of the system, as ``os.strerror`` names them.
SYSTEM: Final = {
    errno.ENOSPC: "brak miejsca na dysku",
    errno.EDQUOT: "przekroczono limit miejsca na dysku",
    errno.EFBIG: "plik jest za duży",
    errno.EACCES: "brak uprawnień",
    errno.EPERM: "operacja niedozwolona",
    errno.EROFS: "system plików tylko do odczytu",
    errno.ENOENT: "nie ma takiego pliku ani katalogu",
    errno.EEXIST: "plik już istnieje",
    errno.EISDIR: "to jest katalog",
    errno.ENOTDIR: "to nie jest katalog",
    errno.ENOTEMPTY: "katalog nie jest pusty",
    errno.ENAMETOOLONG: "za długa nazwa pliku",
    errno.ELOOP: "za dużo dowiązań symbolicznych",
    errno.EIO: "błąd wejścia/wyjścia",
    errno.EBUSY: "urządzenie lub zasób zajęty",
    errno.EMFILE: "za dużo otwartych plików",
    errno.ENOMEM: "brak pamięci",
    errno.ENODEV: "nie ma takiego urządzenia",
    errno.ENXIO: "nie ma takiego urządzenia ani adresu",
    errno.EINVAL: "niewłaściwy argument",
    errno.ENOEXEC: "to nie jest program",
    errno.EADDRINUSE: "adres jest już zajęty",
    errno.EADDRNOTAVAIL: "ta maszyna nie ma takiego adresu",
    errno.ECONNRESET: "połączenie przerwano",
}
FOREIGN: Final = {
    **{os.strerror(number): polish for number, polish in SYSTEM.items()},
    # SQLite
    "database or disk is full": "brak miejsca na dysku",
    "disk I/O error": "błąd wejścia/wyjścia dysku",
    "database is locked": "plik jest zajęty",
    "attempt to write a readonly database": "plik jest tylko do odczytu",
    "unable to open database file": "nie można otworzyć pliku",
    "file is not a database": "to nie jest baza danych",
    "database disk image is malformed": "plik jest uszkodzony",
    # the command line
    "Missing option {}": "brak opcji {}",
    "Missing argument {}": "brak argumentu {}",
    "Missing command": "brak polecenia",
    "No such option: {}": "nie ma takiej opcji: {}",
    "No such option: {} (Possible options: {})": "nie ma takiej opcji: {} (podobne: {})",
    "No such option: {} Did you mean {}?": "nie ma takiej opcji: {}; czy chodzi o {}?",
    "No such command {}. Did you mean {}?": "nie ma takiego polecenia: {}; czy chodzi o {}?",
    "No such command {}": "nie ma takiego polecenia: {}",
    "Got unexpected extra argument(s) ({})": "zbędne argumenty ({})",
    "Got unexpected extra argument ({})": "zbędny argument ({})",
    "Got unexpected extra arguments ({})": "zbędne argumenty ({})",
    "Option {} requires an argument": "opcja {} wymaga wartości",
    "Option {} does not take a value": "opcja {} nie przyjmuje wartości",
    "Invalid value for {}: {}": "błędna wartość dla {}: {!t}",
    "Invalid value: {}": "błędna wartość: {!t}",
    "{} is not in the range {}": "{} jest poza zakresem {}",
    "{} is not a valid int": "{} to nie jest liczba całkowita",
    "{} is not a valid integer": "{} to nie jest liczba całkowita",
    "{} is not a valid float": "{} to nie jest liczba",
    "{} is not one of {}": "{} nie jest jednym z {}",
    # the configuration
    "Input {}": "{!t}",
    "should be a valid integer": "powinna to być liczba całkowita",
    "should be a valid integer, unable to parse string as an integer": "powinna to być liczba całkowita",
    "should be a valid integer, got a number with a fractional part": "powinna to być liczba całkowita",
    "should be a valid number": "powinna to być liczba",
    "should be a valid number, unable to parse string as a number": "powinna to być liczba",
    "should be a valid string": "powinien to być tekst w cudzysłowie",
    "should be a valid boolean": "powinno to być true albo false",
    "should be a valid boolean, unable to interpret input": "powinno to być true albo false",
    "should be greater than or equal to {}": "powinno być nie mniejsze niż {}",
    "should be less than or equal to {}": "powinno być nie większe niż {}",
    "should be greater than {}": "powinno być większe niż {}",
    "should be less than {}": "powinno być mniejsze niż {}",
    "should be {}": "powinno to być {}",
    # words for a person's state, role and decisions that a line names
    "listener": "odsłuchujący",
    "supervisor": "nadzorujący",
    "revoked": "odwołane",
    "damaged": "uszkodzony",
    "consent": "zgoda",
    "refusal": "odmowa",
    "None": "brak",
    "nothing": "niczego",
    "term": "po upływie terminu",
    "request": "na żądanie",
    "mend": "porządkowe",
}
