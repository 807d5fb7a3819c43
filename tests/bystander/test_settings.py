"""What the configuration says reaches the call table."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

from bystander.config import Config, settings
from bystander.readingsettings import ReadingSettings
from bystander.settings import call_settings, excluded_by, reading_settings


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


def test_without_a_configuration_files_are_read_as_by_an_empty_one() -> None:
    """`extract` then loads none: what is in force is written down once."""
    plain, configured = ReadingSettings(), reading_settings(Config())
    for name in ("calls", "digits", "keep_unclaimed", "tls_ports", "tls_keylog"):
        assert getattr(plain, name) == getattr(configured, name), name


def test_extract_does_not_load_what_it_does_not_need() -> None:
    """Each of these takes longer to load than a small capture takes to read."""
    code = "import sys, bystander.cli, bystander.extract; print([m for m in UNUSED if m in sys.modules])"
    unused = [
        "bystander.config",
        "bystander.codecs.decoded",
        "bystander.otheraudio",
        "bystander.undecoded",
        "asyncio",
        "aiosqlite",
        "rich",
        "av",
        "scapy",
        "pyshark",
        "typst",
        "prometheus_client",
    ]
    ran = subprocess.run(
        [sys.executable, "-c", code.replace("UNUSED", repr(unused))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "[]"
