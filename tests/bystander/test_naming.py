"""What is written down for ever when somebody's calls are erased has neither their number nor their name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bystander.errors import UserError
from bystander.naming import refuse_naming
from tests.bureau import Bureau
from tests.vaultkit import name_of

CALL = {"caller": "+48600000001", "callee": "101", "caller_name": "Marek Kowalski"}
ERASE = ("--ground", "art. 17 ust. 1 RODO", "--yes")


@pytest.mark.parametrize(
    "text",
    [
        "wniosek z numeru +48600000001", "tel. 600 000 001", "600-000-001 withdrew it", "(48) 600.000.001",
        "0048600000001", "Marek Kowalski asked for it", "wniosek Marka Kowalskiego", "KOWALSKI, MAREK",
        "zgodnie z prośbą p. Kowalskiemu Markowi",
    ],
)  # fmt: skip
def test_r10_r18_a_reason_that_names_a_party_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="name nobody"):
        refuse_naming([{"caller": "999"}, CALL], reason="art. 17", ground=text)


@pytest.mark.parametrize(
    "text",
    [
        "RODO 3/26", "art. 17 ust. 1 lit. b RODO (2016/679)", "cofnięcie zgody, wniosek 101/2026",
        "demand of 24 November 2026", "sprawa II K 600/2026 i 1/2026", "marzec", "Marek", "linia 101",
    ],
)  # fmt: skip
def test_a_reason_that_names_nobody_is_none_of_its_business(text: str) -> None:
    refuse_naming([CALL, {"caller": None, "callee": "anonymous", "caller_name": "Ed"}], reason=text)


@pytest.mark.parametrize("text", ["\udce9", "\x1b[2J", "...", "K\u202e7", "x" * 30_000])
def test_it_is_plain_text(text: str) -> None:
    with pytest.raises(UserError, match=r"^--reason "):
        refuse_naming([], reason=text)


@pytest.mark.parametrize("by", ["id", "number"])
def test_r10_r18_nothing_is_erased_and_nothing_written_down(
    configured: Bureau, refused: Callable[..., str], run: Callable[..., Any], by: str
) -> None:
    what = ("erase", name_of(1)) if by == "id" else ("rights", "erase", "+48600000001")
    said = refused(*what, "--reason", "Marek Mark żąda (600 000 001)", *ERASE)
    assert "--reason names +48600000001, whose calls are to be erased" in said
    assert refused(*what, "--reason", "wniosek \udce9", *ERASE).startswith(
        "--reason holds control characters"
    )
    assert "600" not in configured.kit.journal.path.read_text()
    assert name_of(1) in configured.kit.ids() and not configured.journal("erase-plan")
    assert run(*what, "--reason", "RODO 3/26", *ERASE) == {"erased": [name_of(1)]}
    assert configured.journal("erase-plan")[0]["reason"] == "RODO 3/26"
