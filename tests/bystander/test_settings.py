"""What the configuration says reaches the call table."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from bystander.config import settings
from bystander.settings import call_settings, excluded_by


def test_the_call_table_is_told() -> None:
    config = settings(recording={"linger_s": 7.0, "media_timeout_s": 70.0, "unclaimed_s": 33.0})
    told = call_settings(config)
    assert (told.linger_s, told.media_timeout_s, told.unclaimed_s) == (7.0, 70.0, 33.0)
    assert told.office == config.office.office()


def test_a_file_waits_for_its_end_before_streams_are_given_up() -> None:
    assert call_settings(settings(), patient=True).unclaimed_s > 1e8


def test_either_party_may_be_excluded() -> None:
    config = settings(recording={"exclude": ["101"]})

    def call(caller: str, callee: str) -> Any:
        return SimpleNamespace(caller=caller, callee=callee)

    assert excluded_by(config, call("101", "102")) == "configuration"
    assert excluded_by(config, call("102", "101")) == "configuration"
    assert not excluded_by(config, call("102", "2101"))
