"""The forms as they are printed: every entry is on them, what is missing is dots, and text stays text
(R3, R14, R15).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bystander.custody import printing
from bystander.custody.printing import HandoverForm, ListeningForm, Office, Person, RequestForm
from tests.custody.paper import info, pages, text, words

pytestmark = pytest.mark.skipif(not shutil.which("pdftotext"), reason="poppler-utils is not installed")

OFFICE = Office("Urząd Miasta Źródłów", "ul. Łączna 7, 00-001 Źródłów", "Żaneta Gęśl", "iod@źródłów.example")
ORDINANCE = "zarządzenia nr 259/2019 Prezydenta Miasta z dnia 12 lipca 2019 r."
LISTENING = ListeningForm(
    number=17,
    on="2026-11-25",
    persons=(Person("Anna Żółć", "inspektor"), Person("Jan Ćma", "kierownik działu")),
    call_date="2026-10-05",
    call_time="09:41:07",
    parties="Zofia Łącka i podatnik",
    location="stanowisko 214",
    breach="Ujawnienie danych",
    causes="Pośpiech",
    actions="Pouczono pracownika",
    inquiry="Wszczęto",
    position="Przeszkolić wydział",
    position_on="2026-12-01",
    completed_on="2026-11-26",
    case="OR.1431.17",
    purpose="quality",
    justification="Skarga mieszkańca",
)
REQUEST = RequestForm(
    number=4,
    applicant="Komenda Miejska Policji",
    on="2026-11-20",
    calls=(("2026-11-18", "+48600100200"), ("2026-11-19", "225551214")),
    ground="Postępowanie 2 Ds. 117/26",
    decision="consent",
    decided_by="Żaneta Gęśl",
    decided_on="2026-11-24",
    reason="wniosek uprawnionego organu",
)
SUM = "".join(f"{n:02x}" for n in range(32))
HANDOVER = HandoverForm(
    number=4,
    on="2026-11-25",
    giver="Anna Żółć, inspektor",
    receiver="asp. Grzegorz Brzęk",
    requested_on="2026-11-20",
    rows=(("2026-11-18 10:11:12", "+48600100200", "0:03:41", SUM),),
)
HOSTILE = (
    '#eval("1+1") #import "x.typ" *b* _i_ $x^2$ \\u{41} `r` <end> @ref [#pagebreak()] // c /* d */ ~ "q" \\'
)


def said_in(lines: str) -> list[str]:
    return [line.strip() for line in lines.strip().splitlines()]


EVERY: dict[str, Callable[[Office], bytes]] = {
    "information": printing.information,
    "listening": lambda office: printing.listening(office, LISTENING),
    "listening, empty": lambda office: printing.listening(office, ListeningForm()),
    "request": lambda office: printing.request(office, REQUEST),
    "request, empty": lambda office: printing.request(office, RequestForm()),
    "handover": lambda office: printing.handover(office, HANDOVER),
    "handover, empty": lambda office: printing.handover(office, HandoverForm()),
    "supervision, empty": lambda office: printing.supervision(office, {}),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_form_is_a4_in_polish_letters_of_its_own_fonts(name: str) -> None:
    pdf = EVERY[name](OFFICE)
    assert "(A4)" in info(pdf)["Page size"]
    told = subprocess.run(["pdffonts", "-"], input=pdf, capture_output=True, check=True, timeout=60).stdout
    fonts = [line.split() for line in told.decode().splitlines()[2:]]
    assert fonts and {re.sub(r"^[A-Z]+\+|-.*", "", line[0]) for line in fonts} <= {
        "LibertinusSerif",
        "DejaVuSansMono",
    }
    # Embedded: nothing depends on what is installed where it is read or made.
    assert all(line[-5] == "yes" for line in fonts)
    found = words(pdf)
    assert "Urząd Miasta Źródłów" in found and "ul. Łączna 7, 00-001 Źródłów" in found


@pytest.mark.parametrize("name", EVERY)
def test_without_an_office_there_are_dots_and_no_such_word_as_none(name: str) -> None:
    found = words(EVERY[name](Office()))
    assert found.startswith("....") and not re.search(r"None|none|null|false|true", found)


@pytest.mark.parametrize("name", [name for name in EVERY if "empty" in name and "supervision" not in name])
def test_an_empty_form_fits_its_page(name: str) -> None:
    pdf = EVERY[name](Office())
    assert info(pdf)["Pages"] == ("2" if "handover" in name else "1")
    assert text(pdf).count("....") > 5 and not re.search(r"Nr (protokołu|wniosku): 0", words(pdf))


def test_r3_annex_1_says_all_that_the_clause_must() -> None:
    found = words(printing.information(OFFICE))
    for said in said_in("""
        Załącznik nr 1
        Klauzula informacyjna
        Administratorem Pani/Pana danych osobowych jest Urząd Miasta Źródłów
        Prezydenta Miasta: Żaneta Gęśl
        inspektorem ochrony danych: iod@źródłów.example
        bezpieczeństwa informacji, jakości obsługi
        art. 6 ust. 1 lit. a RODO
        kontynuacja połączenia po wysłuchaniu komunikatu oznacza zgodę
        za zgodą Prezydenta Miasta
        nie są przekazywane do państw trzecich ani organizacji międzynarodowych
        przez 3 miesiące od dnia nagrania
        prawo dostępu do danych, ich sprostowania, usunięcia, ograniczenia przetwarzania, przenoszenia
        wniesienia sprzeciwu oraz cofnięcia zgody
        Prezesa Urzędu Ochrony Danych Osobowych (UODO)
        Podanie danych jest dobrowolne
        nie podlegają zautomatyzowanemu podejmowaniu decyzji ani profilowaniu
    """):
        assert said in found, said
    assert [f"{n}." in found for n in range(1, 11)] == [True] * 10


def test_a_form_says_what_it_is_an_annex_to() -> None:
    office = replace(OFFICE, ordinance=ORDINANCE)
    for number, pdf in enumerate(
        (
            printing.information(office),
            printing.listening(office, LISTENING),
            printing.request(office, REQUEST),
            printing.handover(office, HANDOVER),
        ),
        start=1,
    ):
        assert f"Załącznik nr {number} do {ORDINANCE}" in " ".join(text(pdf, "-raw").split())


@pytest.mark.parametrize(
    ("months", "said"),
    [(1, "1 miesiąc"), (2, "2 miesiące"), (5, "5 miesięcy"), (12, "12 miesięcy"), (24, "24 miesiące")],
)
def test_r10_the_clause_names_the_term_that_is_configured(months: int, said: str) -> None:
    assert f"przez {said} od dnia nagrania" in words(printing.information(OFFICE, months))


def test_r14_annex_2_has_every_entry_under_its_heading() -> None:
    found = words(printing.listening(OFFICE, LISTENING))
    for said in said_in("""
        Załącznik nr 2
        Protokół z odsłuchania rozmowy telefonicznej
        Nr protokołu: 17
        Nr sprawy: OR.1431.17
        Cel: jakość obsługi (skargi i wnioski)
        Uzasadnienie: Skarga mieszkańca
        W dniu 25 listopada 2026 r. odsłuchania dokonały osoby (imię, nazwisko, stanowisko służbowe):
        1) Anna Żółć, inspektor 2) Jan Ćma, kierownik działu
        1. Data rozmowy, godzina rozmowy: 5 października 2026 r., 09:41:07
        2. Osoby prowadzące rozmowę (imię, nazwisko, stanowisko służbowe oraz dane rozmówcy
        lub rodzaj sprawy): Zofia Łącka i podatnik
        3. Lokalizacja zdarzenia (np. nr telefonu): stanowisko 214
        4. Rodzaj naruszenia bezpieczeństwa oraz okoliczności towarzyszące: Ujawnienie danych
        5. Przyczyny wystąpienia zdarzenia: Pośpiech
        6. Podjęte działania: Pouczono pracownika
        7. Postępowanie wyjaśniające: Wszczęto
        Data: 26 listopada 2026 r.
        Stanowisko Prezydenta Miasta co do dalszych czynności w sprawie: Przeszkolić wydział
        Data: 1 grudnia 2026 r.
        podpis Prezydenta Miasta
    """):
        assert said in found, said
    assert found.count("podpis osoby prowadzącej odsłuchanie") == 2


def test_r15_annex_3_has_every_entry_under_its_heading() -> None:
    found = words(printing.request(OFFICE, REQUEST))
    for said in said_in("""
        Załącznik nr 3
        Wniosek o udostępnienie nagrań rozmów telefonicznych
        Nr wniosku: 4
        Dane wnioskodawcy: Komenda Miejska Policji
        Data: 20 listopada 2026 r.
        1) rozmowa z dnia 18 listopada 2026 r., numer telefonu +48600100200
        2) rozmowa z dnia 19 listopada 2026 r., numer telefonu 225551214
        Uzasadnienie: Postępowanie 2 Ds. 117/26
        podpis wnioskodawcy
        Decyzja Prezydenta Miasta:
        wyrażam zgodę nie wyrażam zgody
        Uzasadnienie decyzji: wniosek uprawnionego organu
        Data: 24 listopada 2026 r.
        Żaneta Gęśl podpis Prezydenta Miasta
    """):
        assert said in found, said


def test_r15_the_box_that_is_crossed_is_the_one_decided(tmp_path: Path) -> None:
    """The darkness of the two boxes, as a picture shows it."""
    dark = {}
    for decision in ("", "consent", "refusal"):
        pdf = printing.request(OFFICE, replace(REQUEST, decision=decision))
        boxes = subprocess.run(
            ["pdftotext", "-bbox", "-", "-"], input=pdf, capture_output=True, check=True
        ).stdout.decode()
        found = re.findall(r'xMin="([\d.]+)" yMin="([\d.]+)"[^>]*>(wyrażam|nie)<', boxes)
        dark[decision] = [_ink(pdf, float(x) - 15, float(y), tmp_path) for x, y, _ in found[:2]]
    empty, consent, refusal = dark[""], dark["consent"], dark["refusal"]
    assert consent[0] > 1.5 * empty[0] and consent[1] == empty[1]
    assert refusal[1] > 1.5 * empty[1] and refusal[0] == empty[0]


def _ink(pdf: bytes, x: float, y: float, folder: Path) -> int:
    """How dark a square of 14 points is."""
    scale = 4
    cut = ["-x", round(x * scale), "-y", round(y * scale), "-W", 14 * scale, "-H", 14 * scale]
    (folder / "form.pdf").write_bytes(pdf)
    command = ["pdftoppm", "-gray", "-r", 72 * scale, *cut, folder / "form.pdf"]
    picture = subprocess.run([str(one) for one in command], capture_output=True, check=True).stdout
    pixels = picture.split(b"\n", 3)[3]
    return sum(255 - value for value in pixels)


def test_r15_annex_4_has_the_table_and_the_statement() -> None:
    found = words(printing.handover(OFFICE, HANDOVER))
    for said in said_in(f"""
        Załącznik nr 4
        Protokół przekazania na nośniku elektronicznym rozmów telefonicznych
        sporządzony w dniu 25 listopada 2026 r.
        Przekazujący: Anna Żółć, inspektor
        Przyjmujący: asp. Grzegorz Brzęk
        na podstawie pisemnego wniosku z dnia 20 listopada 2026 r.
        Data Nr telefonu Czas nagrania 1. 18.11.2026, 10:11:12 +48600100200 0:03:41
        1. {SUM}
        2. Przyjmujący oświadcza, że dane zostaną wykorzystane wyłącznie do celów określonych w wniosku.
        w dwóch jednobrzmiących egzemplarzach, po jednym dla każdej ze stron
    """):
        assert found.count(said) == 2, said


@pytest.mark.parametrize("rows", [0, 1, 60, 200])
def test_r15_the_two_copies_are_the_same_page_by_page(rows: int) -> None:
    every = tuple(
        (f"2026-11-{1 + n % 28:02d} 10:{n % 60:02d}:00", f"+4860010{n:04d}", "0:01:00", f"{n:064x}")
        for n in range(rows)
    )
    found = pages(printing.handover(OFFICE, replace(HANDOVER, rows=every)))
    half = len(found) // 2
    assert found[:half] == found[half:] and half == {0: 1, 1: 1, 60: 3, 200: 9}[rows]
    for number, page in enumerate(found[:half], start=1):
        assert page.split()[-4:] == ["strona", str(number), "z", str(half)]
    one = "".join(found[:half])
    for n, row in enumerate(every, start=1):
        assert one.count(row[1]) == one.count(row[3]) == 1
        assert re.search(rf"\b{n}\. {row[3]}", one)
    # The head of the table is on each page that it goes over; who signs, signs on the last.
    assert sum("Czas nagrania" in page for page in found[:half]) >= (2 if rows > 30 else 1)
    assert "Przekazujący" in found[half - 1] and "jednobrzmiących" in found[half - 1]


def test_the_same_entries_make_the_same_file() -> None:
    assert printing.listening(OFFICE, LISTENING) == printing.listening(OFFICE, LISTENING)


@pytest.mark.parametrize("field", [one.name for one in fields(ListeningForm)])
def test_each_field_of_annex_2_is_a_line_of_dots_without_its_entry(field: str) -> None:
    without = replace(LISTENING, **{field: getattr(ListeningForm(), field)})
    counted = [text(printing.listening(OFFICE, form)).count("....") for form in (LISTENING, without)]
    assert counted[1] > counted[0]


def test_text_stays_text() -> None:
    for pdf in (
        printing.listening(
            Office(*[HOSTILE] * 4),
            ListeningForm(17, HOSTILE, (Person(HOSTILE, HOSTILE),), *[HOSTILE] * 14),
        ),
        printing.request(
            Office(*[HOSTILE] * 4), RequestForm(1, HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),), *[HOSTILE] * 5)
        ),
        printing.handover(
            Office(*[HOSTILE] * 4), HandoverForm(1, *[HOSTILE] * 4, ((HOSTILE, HOSTILE, HOSTILE, SUM),))
        ),
        printing.information(Office(*[HOSTILE] * 4)),
    ):
        found = "".join(text(pdf, "-raw").split())
        assert found.count("".join(HOSTILE.split())) >= 3
        assert info(pdf)["Page size"].endswith("(A4)")


def test_what_a_name_may_hold() -> None:
    """Line breaks, other scripts, pictures, marks of direction, half a surrogate, control characters."""
    name = "Ewa\r\nŁoś\x00\x1b[31m \u202eawE\u202c \ud83d 😀 עברית العربية Ωμέγα Зоя 日本"
    found = text(printing.request(OFFICE, replace(REQUEST, applicant=name)))
    # What the fonts have no picture of (emoji, Chinese) is an empty box.
    assert "Ewa\n" in found and "Łoś" in found and "Ωμέγα Зоя" in found and "עברית" in found
    assert not {"\u202e", "\x00", "\x1b"} & set(found)


@settings(max_examples=25, deadline=None)
@given(said=st.text(max_size=60))
def test_no_text_stops_the_printing(said: str) -> None:
    pdf = printing.listening(
        Office(said, said, said, said, said), ListeningForm(1, said, (Person(said, said),), *[said] * 14)
    )
    assert pdf[:5] == b"%PDF-"


def test_a_word_longer_than_the_line_stays_on_the_page() -> None:
    long = "Wojciech" * 60
    pdf = printing.handover(OFFICE, HandoverForm(1, "", long, long, "", ((long, long, long, SUM),)))
    boxes = subprocess.run(["pdftotext", "-bbox", "-", "-"], input=pdf, capture_output=True, check=True)
    right = [float(x) for x in re.findall(r'xMax="([\d.]+)"', boxes.stdout.decode())]
    assert max(right) < 595.3 - 60
    assert long in "".join(text(pdf, "-raw").split())


def test_a_long_text_goes_over_pages() -> None:
    long = "Słowo w tekście i z nim inne. " * 3000
    found = pages(printing.listening(OFFICE, replace(LISTENING, breach=long)))
    assert len(found) > 10 and "podpis Prezydenta Miasta" in found[-1]
    assert "".join(found).count("Słowo") == 3000


def test_a_word_of_one_letter_does_not_end_a_line() -> None:
    said = "Urząd prowadzi sprawę w imieniu mieszkańców i z ich udziałem o każdej porze. "
    for pdf in (
        printing.information(OFFICE),
        printing.listening(OFFICE, replace(LISTENING, breach=said * 20)),
    ):
        lines = text(pdf, "-raw").splitlines()
        assert not [line for line in lines if re.search(r" [aiouwz]$", line)]


def test_the_forms_are_printed_where_there_is_no_network() -> None:
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        pytest.skip("no network namespaces here")
    code = (
        "from bystander.custody import printing as p; import sys;"
        "sys.stdout.buffer.write(p.request(p.Office(), p.RequestForm()))"
    )
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", code], capture_output=True, check=True, timeout=60
    )
    assert done.stdout == printing.request(Office(), RequestForm())


def test_what_typst_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import typst

    def broken(*_: object, **__: object) -> bytes:
        raise RuntimeError("error: no\n  more")

    monkeypatch.setattr(typst, "compile", broken)
    with pytest.raises(printing.PrintProblem, match=r"information: the form cannot be printed: error: no$"):
        printing.information(OFFICE)
