"""The sections [vault], [retention] and [space]: faults that name the key, and rules with a floor."""

from __future__ import annotations

from pathlib import Path

import pytest

from bystander.config import Config, load
from bystander.errors import UserError
from bystander.storage.entry import time_ns

DAY_NS = time_ns("2026-01-15T12:00:00Z")


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "bystander.toml"
    path.write_text('[office]\ntimezone = "UTC"\n' + text)
    return load(path)


def test_without_a_vault_recordings_have_a_term_all_the_same(tmp_path: Path) -> None:
    config = read(tmp_path, "")
    assert config.vault is None
    assert config.terms().end(DAY_NS, "incoming", ["1"], []).delete_after == "2026-04-15T23:59:59.999Z"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    vault = read(tmp_path, '[vault]\nkeyring = "k.sqlite"\njournal = "/var/j.jsonl"\n').vault
    assert vault is not None
    assert (vault.keyring, vault.journal) == (tmp_path / "k.sqlite", Path("/var/j.jsonl"))
    assert vault.keys == Path("/var/lib/bystander/keys")


def test_rules_in_their_order(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        '[retention]\nmonths = 3\n[[retention.rule]]\nname = "emergency"\nnumber = "112"\nmonths = 12\n'
        '[[retention.rule]]\ndirection = "incoming"\ntrunk = "203.0.113.0/24"\nmonths = 4\ndays = 3\n',
    )
    terms = config.terms()
    assert terms.end(DAY_NS, "outgoing", ["101", "112"], []).rule == "emergency"
    found = terms.end(DAY_NS, "incoming", ["1"], ["203.0.113.5"])
    assert (found.rule, found.delete_after[:10]) == ("incoming 203.0.113.0/24", "2026-05-18")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[vault]\ncontainer = "mp3"', "[vault] container: should be 'wav', 'flac' or 'g711'"),
        ('[vault]\nkeyrin = "x"', "[vault] keyrin: there is no such key; did you mean keyring?"),
        ("[retention]\nmonths = -1", "[retention] months: should be greater than or equal to 0"),
        ("[retention]\nmonths = 2\nfloor_months = 3", "[retention] months: shorter than floor_months (3)"),
        ('[retention]\nsweep_at = "25:00"', "[retention] sweep_at: not a time of day; write it as 02:30"),
        ("[retention]\nclock_bound_hours = 0", "[retention] clock_bound_hours: should be greater than 0"),
        (
            '[[retention.rule]]\nname = "spam"\nnumber = "800"\nmonths = 1',
            "[retention] rule: spam: shorter than the floor of 3 months",
        ),
        ('[[retention.rule]]\nmonths = 6\nnumber = "x"', "neither digits nor a regular expression"),
        ('[[retention.rule]]\nmonths = 6\nnumber = "/(/"', "not a regular expression"),
        ('[[retention.rule]]\nmonths = 6\ntrunk = "nowhere"', "neither an address nor a network"),
        ('[[retention.rule]]\nmonths = 6\ndirection = "up"', "should be 'incoming', 'outgoing'"),
        ("[space]\nreserve_mb = -5", "[space] reserve_mb: should be greater than or equal to 0"),
    ],
)
def test_faults_name_the_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as raised:
        read(tmp_path, text)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
