"""What `calls`, `show`, `inspect` and `extract` say, in Polish (`polish.py`)."""

from __future__ import annotations

from typing import Final

CALLS: Final = {
    # labels of one call
    "show: id": "id",
    "show: direction": "kierunek",
    "show: name": "nazwa",
    "show: started": "rozpoczęte",
    "show: answered": "odebrane",
    "show: ended": "zakończone",
    "show: duration": "trwało",
    "show: quality": "jakość",
    "show: transport": "transport",
    "show: media": "media",
    "show: not decoded": "bez dekodera",
    "show: Call-ID": "Call-ID",
    "show: network": "sieć",
    "show: transfer": "przekazanie",
    "show: hold": "zawieszenie",
    "show: digits": "cyfry",
    "show: announced": "komunikat",
    "show: recording": "nagranie",
    "show: sha256": "sha256",
    "show: evidence": "sygnalizacja",
    "show: kept until": "termin",
    "show: held by": "sprawa",
    # other calls of the case
    "show: transferred to": "przekazane do",
    "show: transferred from": "przekazane z",
    "show: consulted in": "konsultacja",
    "show: consultation for": "konsultacja dla",
    "show: replaced by": "zastąpione przez",
    "show: replaces": "zastępuje",
    "show: picked up by": "przejęte przez",
    "show: picks up": "przejmuje",
    "show: joined by": "dołączyło",
    "show: joins": "dołącza do",
    "show: redirected to": "przekierowane do",
    "show: redirected from": "przekierowane z",
    "show: other leg": "drugi odcinek",
    # one call
    "caller": "dzwoniący",
    "callee": "odbierający",
    "timeout": "brak pakietów",
    "capture-end": "koniec przechwytywania",
    "blind": "bez konsultacji",
    "attended": "z konsultacją",
    "{time} by {party}": "{time} ({party})",
    "{seconds:.3f} s": "{seconds:.3f} s",
    "{codec} by {party}: {packets} {packets:packet|packets}": (
        "{codec}, {party}: {packets} {packets:pakiet|pakiety|pakietów}"
    ),
    ", {kept} of them in the evidence": ", z tego w zapisie sygnalizacji: {kept}",
    "the end": "końca",
    "by {party}, {begin} to {end}": "{party}, od {begin} do {end}",
    "{digits}  by {party} ({methods})": "{digits}  {party} ({methods})",
    "{kind}, by {by} to {to}": "{kind}, {by} do {to}",
    "not heard": "nie słychać",
    "whole, from {time}": "w całości, od {time}",
    "cut after {seconds:.1f} s, from {time}": "przerwany po {seconds:.1f} s, od {time}",
    "; * pressed at {time}": "; naciśnięto * o {time}",
    "{seconds:.3f} s, {channels} {channels:channel|channels}, {rate} Hz": (
        "{seconds:.3f} s, {channels} {channels:kanał|kanały|kanałów}, {rate} Hz"
    ),
    "MOS {mos:.1f}": "MOS {mos:.1f}",
    "loss {percent:.1f} %": "straty {percent:.1f}%",
    "jitter {ms:.1f} ms": "jitter {ms:.1f} ms",
    "{lost} {lost:packet|packets} lost by the capture": (
        "{lost} {lost:pakiet utracony|pakiety utracone|pakietów utraconych} przy przechwytywaniu"
    ),
    "(listening, at the capture point)": "(jakość odsłuchu w punkcie przechwytywania)",
    "sealed: only an authorised person's key opens the audio and the signalling": (
        "zapieczętowane: dźwięk i sygnalizację otwiera tylko klucz osoby upoważnionej"
    ),
    "the recording's file is not there, or cannot be read here": (
        "pliku nagrania nie ma albo nie można go tu odczytać"
    ),
    "(no file)": "(brak pliku)",
    # streams
    "streams: by": "strona",
    "streams: from": "od",
    "streams: to": "do",
    "streams: ssrc": "ssrc",
    "streams: codec": "kodek",
    "streams: packets": "pakiety",
    "streams: lost": "strac.",
    "streams: dup": "powt.",
    "streams: reord": "przest.",
    "streams: jitter ms": "jitter ms",
    # TShark
    "{messages} {messages:message|messages}": "{messages} {messages:wiadomość|wiadomości|wiadomości}",
    "(nothing)": "(nic)",
    "TShark agrees": "TShark widzi to samo",
    "TShark sees it differently, see above": "TShark widzi to inaczej, patrz wyżej",
}  # fmt: skip
