"""The supervisor's report: what there was, counted by hand, and the same on paper (R4, R5, R16)."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bystander.custody import disclosure, listening, persons, printing, protocols, rights, supervision
from bystander.custody.desk import Desk, Refused, Rules
from bystander.custody.disclosure import Request
from bystander.custody.listening import Ask
from bystander.custody.printing import Office
from bystander.retention import holds
from bystander.retention.erasure import Cause
from bystander.storage.entry import time_ns
from bystander.storage.index import Entry, Index
from tests.bureau import DAY_NS, NOW_NS, Bureau
from tests.custody.paper import pages, text, words
from tests.vaultkit import name_of

pdf = pytest.mark.skipif(not shutil.which("pdftotext"), reason="poppler-utils is not installed")
SINCE_NS, UNTIL_NS = time_ns("2026-08-31T22:00:00Z"), time_ns("2026-09-30T22:00:00Z")  # September, in Warsaw
OFFICE = Office("Urząd Miasta Próbnego")


def report(
    bureau: Bureau, since_ns: int = SINCE_NS, until_ns: int = UNTIL_NS, **changes: Any
) -> dict[str, Any]:
    return bureau.at(lambda desk: supervision.report(desk, since_ns, until_ns, ["x: gone"], **changes))


def call(number: int, at: str, **facts: Any) -> Entry:
    name = f"{datetime.fromisoformat(at):%Y%m%d-%H%M%S}-x{number:05d}"
    described = {
        "call_id": f"c{number}@x", "linked_call_ids": [], "direction": "incoming", "caller": "+48600000001",
        "callee": "101", "caller_name": None, "state": "answered", "verdict": "recorded", "started_at": at,
        "answered_at": at, "ended_at": at, "duration_s": 1.0, "streams": [], "recording": {"path": "x.wav"},
        **facts,
    }  # fmt: skip
    wav = f"{name}.wav" if described["recording"] else None
    return Entry(name, described, wav, f"{name}.pcap", 1, "2027-01-31T22:59:59.999Z")


def put(bureau: Bureau, *entries: Entry) -> None:
    bureau.kit.using(lambda index: index.add(*entries))


@pytest.fixture
def september(bureau: Bureau) -> Bureau:
    """The end of September: calls of every kind, some of them outside it."""
    heard, cut, missing = ({"announcement": {"state": state}} for state in ("heard", "cut", "missing"))
    put(
        bureau,
        call(1, "2026-08-31T21:59:59.999Z"),  # in Warsaw the last of August
        call(2, "2026-08-31T22:00:00.000Z", **heard),
        call(3, "2026-09-10T08:00:00.000Z", **missing),
        call(4, "2026-09-10T09:00:00.000Z", **cut),
        call(5, "2026-09-10T10:00:00.000Z"),
        call(6, "2026-09-11T10:00:00.000Z", state="unanswered", verdict=None, recording=None),
        *(
            call(
                n,
                f"2026-09-{n}T10:00:00.000Z",
                direction="outgoing",
                verdict="partial" if n == 20 else "recorded",
            )
            for n in range(15, 23)
        ),
        call(23, "2026-09-23T10:00:00.000Z", direction="outgoing", verdict="no-media", recording=None),
        call(24, "2026-09-30T22:00:00.000Z"),  # October
    )
    bureau.now_ns = time_ns("2026-10-05T10:00:00Z")
    return bureau


def test_r16_calls_are_counted_by_direction_verdict_and_day(september: Bureau) -> None:
    calls = report(september)["calls"]
    assert calls["total"] == 14
    assert calls["by_direction"] == {"incoming": 5, "outgoing": 9}
    assert calls["by_verdict"] == {"no-media": 1, "partial": 1, "recorded": 11, "unanswered": 1}
    days = calls["by_day"]
    assert list(days) == [f"2026-09-{n:02d}" for n in range(1, 31)]
    assert (days["2026-09-01"], days["2026-09-02"], days["2026-09-10"], days["2026-09-30"]) == (1, 0, 3, 0)
    assert sum(days.values()) == 14


def test_r3_incoming_calls_without_announcement_are_named(september: Bureau) -> None:
    found = report(september)["announcements"]
    assert {key: found[key] for key in ("heard", "missing", "cut", "unchecked")} == {
        "heard": 1, "missing": 1, "cut": 1, "unchecked": 1,
    }  # fmt: skip
    assert found["without"] == ["20260910-080000-x00003", "20260910-090000-x00004"]


def test_r4_the_spot_checks_are_drawn_again_by_their_seed(september: Bureau) -> None:
    first = report(september)["spot_checks"]
    assert len(first["recordings"]) == 5
    # Only what can be listened to, and only outgoing.
    assert all("20260915" <= name[:8] <= "20260922" for name in first["recordings"])
    assert report(september, seed=first["seed"])["spot_checks"] == first
    assert september.journal("supervised")[-1] == {
        "since": "2026-09-01",
        "until": "2026-09-30",
        "seed": first["seed"],
    }
    assert len({tuple(report(september)["spot_checks"]["recordings"]) for _ in range(12)}) > 1
    assert len(report(september, sample=100)["spot_checks"]["recordings"]) == 8
    assert report(september, sample=0)["spot_checks"]["recordings"] == []


def test_r5_gaps_with_their_causes(september: Bureau) -> None:
    async def ran(index: Index) -> None:
        async with index.transaction() as connection:
            await connection.executemany(
                "INSERT INTO coverage (from_ns, to_ns, cause, dropped) VALUES (?, ?, ?, ?)",
                [
                    (SINCE_NS - DAY_NS, SINCE_NS + 10 * DAY_NS, "stopped", 0),
                    (SINCE_NS + 11 * DAY_NS, SINCE_NS + 12 * DAY_NS, "drops", 7),
                    (SINCE_NS + 12 * DAY_NS + 5 * 10**9, UNTIL_NS + DAY_NS, "killed", 0),
                ],
            )

    september.kit.using(ran)
    found = report(september)["coverage"]
    assert [(gap["cause"], gap["seconds"], gap["dropped"]) for gap in found["gaps"]] == [
        ("stopped", 86_400.0, 0),
        ("drops", 5.0, 7),
    ]
    assert found["by_cause"] == {"drops": 5.0, "stopped": 86_400.0}
    assert (found["missing_s"], found["period_s"]) == (86_405.0, 30 * 86_400.0)
    assert found["share"] == pytest.approx(1 - 86_405 / (30 * 86_400), abs=1e-6)


def test_the_time_that_has_not_come_is_no_gap(bureau: Bureau) -> None:
    bureau.now_ns = SINCE_NS + DAY_NS
    found = report(bureau)["coverage"]
    assert (found["period_s"], found["missing_s"], found["gaps"][0]["cause"]) == (
        86_400.0,
        86_400.0,
        "not-started",
    )
    bureau.now_ns = SINCE_NS - DAY_NS
    made = report(bureau)
    assert made["coverage"] == {"gaps": [], "by_cause": {}, "period_s": 0.0, "missing_s": 0.0, "share": None}
    assert made["calls"]["by_day"] == {}


def ask(bureau: Bureau, recording: str) -> Ask:
    return Ask(recording, "K 7/26", "quality", "complaint", [bureau.unlock("Anna")])


def test_r16_listenings_protocols_and_what_is_overdue(bureau: Bureau) -> None:
    bureau.rules = Rules(protocol_days=7)
    bureau.now_ns = SINCE_NS - DAY_NS
    bureau.at(lambda desk: listening.begin(desk, ask(bureau, name_of(1))))  # of August, and never finished
    bureau.now_ns = SINCE_NS + DAY_NS
    hearing = bureau.at(lambda desk: listening.begin(desk, ask(bureau, name_of(2))))
    bureau.at(lambda desk: listening.end(desk, hearing, 0.2, bureau.now_ns))
    bureau.at(lambda desk: protocols.fill(desk, 2, dict.fromkeys(protocols.REQUIRED, "said")))
    bureau.at(lambda desk: listening.begin(desk, ask(bureau, name_of(3))))
    bureau.now_ns = SINCE_NS + 7 * DAY_NS
    made = report(bureau)
    assert [(one["protocol"], one["state"], one["to_s"]) for one in made["listenings"]] == [
        (2, "complete", 0.2),
        (3, "open", None),
    ]
    first = made["listenings"][0]
    assert (first["person"], first["purpose"], first["case"]) == ("Anna", "quality", "K 7/26")
    assert made["open_protocols"] == 2
    assert made["overdue"] == {"recordings": 0, "protocols": [1]}


def test_r10_recordings_beyond_their_term_are_overdue_unless_held(bureau: Bureau) -> None:
    bureau.now_ns = time_ns("2026-12-05T10:00:00Z")
    assert report(bureau)["overdue"]["recordings"] == 3
    bureau.at(
        lambda desk: holds.add(
            desk.index, [(name_of(1), "call-0001@office.example")], "K 1", "r", "w", desk.now_ns
        )
    )
    assert report(bureau)["overdue"]["recordings"] == 2


def test_r15_disclosures_are_in_the_report_of_each_thing_that_befell_them(bureau: Bureau) -> None:
    def requested(at_ns: int) -> int:
        bureau.now_ns = at_ns
        asked = Request("Sąd", "2026-08-20", "II K", "7", "security", [name_of(1)])
        return bureau.at(lambda desk: disclosure.request(desk, asked)).number

    before = SINCE_NS - 5 * DAY_NS
    waiting, decided, settled = requested(before), requested(before), requested(before)
    bureau.at(lambda desk: disclosure.decide(desk, settled, "refusal", "Jan"))
    bureau.now_ns = SINCE_NS + DAY_NS
    bureau.at(lambda desk: disclosure.decide(desk, decided, "consent", "Jan"))
    later = requested(UNTIL_NS + DAY_NS)
    found = {one["disclosure"]: one["state"] for one in report(bureau)["disclosures"]}
    assert found == {waiting: "requested", decided: "consented"} and later not in found


def test_r11_r18_holds_and_their_age_and_what_is_restricted(bureau: Bureau) -> None:
    bureau.at(
        lambda desk: holds.add(
            desk.index, [(name_of(1), "call-0001@office.example")], "II K 12/26", "r", "w", desk.now_ns
        )
    )
    bureau.at(lambda desk: rights.restrict(desk, [name_of(2)], "restriction", "asked"))
    bureau.now_ns += 9 * DAY_NS
    made = report(bureau)
    assert {(one["case"], one["days"], one["recordings"]) for one in made["holds"]} == {
        ("II K 12/26", 9, 1),
        ("ograniczenie przetwarzania (art. 18 RODO)", 9, 1),
    }
    assert made["restricted"] == 1


def test_r10_what_was_erased_is_counted_where_it_is_missing(bureau: Bureau) -> None:
    at_ns = time_ns("2026-12-24T12:00:00Z")
    bureau.kit.erasing(lambda eraser: eraser.erase([name_of(1)], Cause("request", "t", "r", "g"), at_ns))
    august = (time_ns("2026-07-31T22:00:00Z"), SINCE_NS)
    bureau.now_ns = time_ns("2099-01-01T00:00:00Z")
    made = report(bureau, *august)
    assert (made["calls"]["total"], made["calls"]["erased_since"]) == (2, 1)
    # The erasure itself belongs to the time in which it was done: by the machine's clock, now.
    now = datetime.now(UTC)
    today = [time_ns(f"{now + timedelta(days=n):%Y-%m-%dT00:00:00Z}") for n in (-1, 2)]
    assert made["erasures"] == {"term": 0, "request": 0, "mend": 0}
    made = report(bureau, today[0], today[1])
    assert made["erasures"]["request"] == 1 and made["calls"]["erased_since"] == 0


def test_r16_every_copy_that_left_the_vault_is_told(bureau: Bureau) -> None:
    """Also the second export of a request, and what was copied for a person: neither has a protocol."""
    now_ns = time.time_ns()

    async def work(desk: Desk) -> None:
        desk.note("rights-copy", persons=[1, 2], case="RODO 3/26", recordings=[name_of(1), name_of(2)])
        for _ in range(2):
            desk.note("export", disclosure=4, persons=[1], recordings=[name_of(1)])

    bureau.at(work)
    told = report(bureau, now_ns - DAY_NS, now_ns + 2 * DAY_NS)["copies"]
    assert [(one["person"], one["disclosure"], one["case"], one["recordings"]) for one in told] == [
        ("Anna, Ewa", None, "RODO 3/26", 2), ("Anna", 4, None, 1), ("Anna", 4, None, 1),
    ]  # fmt: skip
    assert report(bureau)["copies"] == []


def test_r12_refusals_by_reason(bureau: Bureau) -> None:
    for changes in ({"case": ""}, {"case": ""}, {"purpose": "fun"}):
        with pytest.raises(Refused):
            bureau.at(
                lambda desk, changes=changes: listening.begin(
                    desk, replace(ask(bureau, name_of(1)), **changes)
                )
            )
    now_ns = time_ns(f"{datetime.now(UTC):%Y-%m-%dT00:00:00Z}")
    assert report(bureau, now_ns - DAY_NS, now_ns + 2 * DAY_NS)["refusals"] == {
        "no-case": 2,
        "wrong-purpose": 1,
    }
    assert report(bureau)["refusals"] == {}


def test_r13_persons_with_their_state_and_without_their_keys(bureau: Bureau) -> None:
    bureau.add("Ola", role="supervisor", valid_until="2026-09-15")
    bureau.at(lambda desk: persons.revoke(desk, 2, "left"))
    bureau.now_ns = time_ns("2026-10-01T10:00:00Z")
    found = report(bureau)["persons"]
    assert [(one["name"], one["role"], one["state"]) for one in found] == [
        ("Anna", "listener", "valid"),
        ("Ewa", "listener", "revoked"),
        ("Ola", "supervisor", "lapsed"),
    ]
    assert not any("recipient" in one for one in found)


def test_it_says_nothing_of_who_called_whom(september: Bureau) -> None:
    assert "48600" not in str(report(september)) and "101'" not in str(report(september))


# -- on paper -----------------------------------------------------------------------------------------------


def year(days: int, calls: int) -> dict[str, Any]:
    """A report over many days, made up."""
    every = [date(2026, 1, 1) + timedelta(days=n) for n in range(days)]
    by_day = {f"{day}": calls if day.weekday() < 5 else 0 for day in every}
    gap = {
        "from": "2026-01-05T10:00:00.000Z", "to": "2026-01-05T10:01:30.000Z", "cause": "drops",
        "seconds": 90.0, "dropped": 1,
    }  # fmt: skip
    names = [f"20260110-{n:06d}-abcdef" for n in range(days * 2)]
    listened = {
        "recording": names[0], "purpose": "quality", "case": "K 7/26", "person": "Zoë Żak",
        "at": "2026-01-11T09:00:00.000Z", "state": "open",
    }  # fmt: skip
    disclosed = {
        "disclosure": 1, "applicant": "Sąd", "applied_on": "2026-01-09", "state": "handed over", "calls": 2,
    }  # fmt: skip
    person = {
        "number": 1, "name": "Zoë Żak", "post": "inspektor", "role": "listener", "authorisation": "7/26",
        "valid_from": "2026-01-01", "valid_until": None, "state": "valid",
    }  # fmt: skip
    return {
        "from": "2026-01-01", "to": f"{every[-1]}", "made_at": "2027-01-02T10:00:00.000Z",
        "calls": {"total": sum(by_day.values()), "by_direction": {"incoming": 5},
                  "by_verdict": {"recorded": 5}, "by_day": by_day, "erased_since": 22},
        "coverage": {"gaps": [gap] * (days // 4), "by_cause": {"drops": 90.0}, "missing_s": 90.0,
                     "period_s": days * 86400.0, "share": 0.999999},
        "announcements": {"heard": 1, "missing": 2, "cut": 3, "unchecked": 4, "without": names},
        "spot_checks": {"seed": 77, "recordings": names[:5]},
        "listenings": [{"protocol": n} | listened for n in range(days // 10)],
        "open_protocols": 3, "restricted": 4, "disclosures": [disclosed],
        "copies": [
            {"at": "2026-01-12T09:00:00.000Z", "person": "Zoë Żak", "disclosure": None, "case": "RODO 3/26",
             "recordings": 17},
            {"at": "2026-01-13T09:00:00.000Z", "person": "Zoë Żak", "disclosure": 1, "case": None,
             "recordings": 2},
        ],
        "holds": [{"hold": 1, "case": "II K 12/26", "days": 44, "recordings": 2}],
        "erasures": {"term": 10, "request": 2, "mend": 0}, "overdue": {"recordings": 6, "protocols": [3, 4]},
        "refusals": {"no-case": 2, "something-new": 1}, "persons": [person],
        "verify": {"faults": [f"{n}: not there" for n in range(60)]},
    }  # fmt: skip


@pdf
def test_r16_every_item_is_on_the_paper() -> None:
    made = printing.supervision(OFFICE, year(31, 90), ZoneInfo("Europe/Warsaw"))
    found = " ".join(text(made, "-layout").split())
    for said in """
        za okres od 1 stycznia 2026 r. do 31 stycznia 2026 r.
        sporządzony 02.01.2027, 11:00:00
        99,99 %
        1. Rozmowy
        Rozmowy w kolejnych dniach:
        nie ma 22 nagrań z tego okresu
        2. Ciągłość nagrywania Nie nagrywano łącznie przez 1 min (7 przerw)
        utrata pakietów: 1 min
        05.01.2026, 11:00:00 05.01.2026, 11:01:30 1 min utrata pakietów (1 pakiet)
        3. Komunikat w rozmowach przychodzących
        Rozmowy bez pełnego komunikatu:
        Wylosowano (ziarno losowania 77):
        5. Odsłuchania
        11.01.2026, 10:00:00 20260110-000000-abcdef Zoë Żak K 7/26, jakość obsługi otwarty
        Protokoły nieukończone, także z wcześniejszych okresów: 3
        1 09.01.2026 Sąd 2 zgoda, przekazano
        12.01.2026, 10:00:00 Zoë Żak RODO 3/26 17
        13.01.2026, 10:00:00 Zoë Żak wniosek 1 2
        1 II K 12/26 44 2
        których przetwarzanie ograniczono: 4
        Nagrania po terminie, jeszcze nieusunięte: 6
        ukończyć: 2 (nr 3, 4)
        brak numeru sprawy
        something-new
        1 Zoë Żak inspektor odsłuchujący 7/26 01.01.2026 – … ważne
        Stwierdzono nieprawidłowości: 60
        i 10 dalszych
        Sekretarz Miasta
    """.strip().splitlines():
        assert said.strip() in found, said.strip()


@pdf
@pytest.mark.parametrize(
    ("days", "unit", "columns"),
    [(31, "dniach", 31), (35, "dniach", 35), (91, "tygodniach (od dnia)", 13),
     (182, "tygodniach (od dnia)", 26), (365, "miesiącach", 12), (1461, "latach", 4)],
)  # fmt: skip
def test_the_columns_of_the_chart_are_few_and_as_high_as_they_count(
    days: int, unit: str, columns: int
) -> None:
    made = printing.supervision(OFFICE, year(days, 90))
    assert f"Rozmowy w kolejnych {unit}:" in words(made)
    found = blue(made)
    # Days without calls have no column.
    working = sum(day.weekday() < 5 for day in (date(2026, 1, 1) + timedelta(days=n) for n in range(days)))
    assert len(found) == (working if unit == "dniach" else columns)
    # Each working day had as many calls; months and years differ in their length.
    uneven = unit in ("miesiącach", "latach") and max(found) < 1.3 * min(found)
    assert max(found) - min(found) <= 2 or uneven
    assert max(found) > 3 / 2.54 * 100 * 0.5


def blue(made: bytes) -> list[int]:
    """The heights of the columns of the chart, in hundredths of an inch: what is blue below its heading."""
    import numpy as np

    shown = subprocess.run(
        ["pdftoppm", "-r", "100", "-f", "1", "-l", "1", "-"], input=made, capture_output=True, check=True
    )
    head = shown.stdout.split(b"\n", 3)
    wide, high = (int(n) for n in head[1].split())
    pixels = np.frombuffer(head[3], np.uint8).reshape(high, wide, 3).astype(int)
    is_blue = (abs(pixels - (0x3F, 0x61, 0x84)).sum(axis=2)) < 30
    boxes = subprocess.run(
        ["pdftotext", "-bbox", "-f", "1", "-l", "1", "-", "-"], input=made, capture_output=True, check=True
    )
    top = next(float(y) for y in re.findall(r'yMax="([\d.]+)">kolejnych<', boxes.stdout.decode()))
    first = int(top * 100 / 72)
    chart = is_blue[first : first + 150]
    bottom = int(np.flatnonzero(chart.any(axis=1))[-1])
    row = chart[bottom - 3]
    begins = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(int), [0]))) == 1)
    return [int(chart[:, x + 1].sum()) for x in begins]


@pdf
def test_an_empty_period_is_short_and_nobody_signs_an_empty_page(bureau: Bureau) -> None:
    bureau.now_ns = NOW_NS
    made = printing.supervision(OFFICE, report(bureau, NOW_NS - 900 * DAY_NS, NOW_NS - 870 * DAY_NS))
    found = pages(made)
    assert len(found) <= 2 and "x: gone" in found[-1] and "Sekretarz" in found[-1]
    assert "Nic nie usunięto." in words(made)
    assert "Nie stwierdzono nieprawidłowości." in words(printing.supervision(OFFICE, {}))


@pdf
def test_a_year_of_trouble_stays_readable(september: Bureau) -> None:
    found = pages(printing.supervision(OFFICE, year(365, 900)))
    assert 4 <= len(found) <= 12 and found[-1].split()[-4:] == [
        "strona",
        str(len(found)),
        "z",
        str(len(found)),
    ]
    said = "".join(found)
    assert "i 31 dalszych" in said and "i 610 dalszych" in said  # gaps; calls without announcement
    made = printing.supervision(OFFICE, report(september), ZoneInfo("Europe/Warsaw"))
    assert "Rozmowy w kolejnych dniach" in words(made)
