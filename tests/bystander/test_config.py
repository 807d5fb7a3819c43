"""The configuration: checked whole, its faults named by file, line and key."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bystander import config
from bystander.config import Config, load, settings
from bystander.config_vault import Vault
from bystander.errors import UserError

EXAMPLE = Path(__file__).parents[2] / "deploy" / "bystander.toml"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "bystander.toml"


def fault(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        load(path)
    said = str(raised.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    return said.removeprefix(str(path))


def test_the_example_shows_the_defaults() -> None:
    assert load(EXAMPLE) == Config()


def test_every_key_is_explained_in_the_example_and_its_examples_are_valid(written: Path) -> None:
    text = EXAMPLE.read_text()
    written.write_text(re.sub(r"^#(?=\w+ = |\[)", "", text, flags=re.MULTILINE))
    everything = load(written)
    for section in Config.model_fields:
        for key in type(getattr(everything, section)).model_fields:
            explained = rf"^#?({key} = |\[\[{section}\.{key}\]\])"
            assert re.search(explained, text, re.MULTILINE), f"[{section}] {key}"
            assert getattr(everything, section).__pydantic_fields_set__ >= {key}
    assert everything.capture.interface == "enp3s0"
    assert everything.office.office().has("+48 22 555 10 20", "") is True


def test_the_example_has_the_order_of_the_code() -> None:
    text = EXAMPLE.read_text()
    sections = re.findall(r"^#?\[(\w+)\]", text, re.MULTILINE)
    assert sections == list(Config.model_fields)
    everything = Config(vault=Vault())
    for section, body in zip(sections, re.split(r"^#?\[\w+\]\n", text, flags=re.MULTILINE)[1:], strict=True):
        scalars, _, rules = body.partition("\n#[[")
        keys = re.findall(r"^#?(\w+) = ", scalars, re.MULTILINE)
        keys += ["rule"] if rules and section == "retention" else []
        assert keys == list(type(getattr(everything, section)).model_fields), section


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[capture]\n\nring_mb = "x"', ":3: [capture] ring_mb: should be a valid integer"),
        ("[capture]\nring_mb = 0", ":2: [capture] ring_mb: should be greater than or equal to 1 (it is 0)"),
        (
            '[capture]\ninterfce = "a"',
            ":2: [capture] interfce: there is no such key; did you mean interface?",
        ),
        ('[captur]\ninterface = "a"', ":1: [captur]: there is no such section; did you mean capture?"),
        ("capture = 3", ":1: [capture]: should be a section (it is 3)"),
        ("[capture]\ntls_ports = 5061", ":2: [capture] tls_ports: should be a list in square brackets"),
        ("[capture]\ntls_keylog = 3", ":2: [capture] tls_keylog: should be a path, in quotes (it is 3)"),
        ('[hep]\nauth_key = ""', ":2: [hep] auth_key: an empty key lets anybody in"),
        ('[capture]\ninterface = "a name too long"', ":2: [capture] interface: not the name of a network"),
        ('[office]\nnumbers = ["/(/"]', ":2: [office] numbers: office number /(/: missing )"),
        ('[office]\nnumbers = [""]', ":2: [office] numbers: an empty number would fit every call"),
        ('[office]\nnetworks = ["10.0.0.0/33"]', ":2: [office] networks: '10.0.0.0/33' does not appear"),
        ('[office]\ntimezone = "Poland/Krakow"', ":2: [office] timezone: no such time zone"),
        ('[office]\ntimezone = "../etc/passwd"', ":2: [office] timezone: no such time zone"),
        ("[recording]\nlinger_s = -1", ":2: [recording] linger_s: should be greater than 0 (it is -1)"),
        ("[recording]\nlinger_s = inf", ":2: [recording] linger_s: should be a finite number"),
        (
            '[metrics]\nlisten = "0.0.0.0:9464"',
            ":2: [metrics] listen: not a loopback address; set allow_remote",
        ),
        ('[metrics]\nlisten = "9464"', ":2: [metrics] listen: write it as 127.0.0.1:9464"),
        ('[metrics]\nlisten = "127.0.0.1:70000"', ":2: [metrics] listen: write it as"),
        (
            '[metrics]\nlisten = "office.example:9464"',
            ":2: [metrics] listen: office.example is not an IP address",
        ),
        (
            '[capture]\nseparate = ["vlans"]',
            ":2: [capture] separate: should be 'vlan', 'vni', 'gre' or 'erspan'",
        ),
        (
            "[capture]\nvlan_groups = [[10, 11], [12, 10]]",
            ":2: [capture] vlan_groups: VLAN 10 is named twice",
        ),
        ("[metrics]\nlisten = 1\nenabled = 9", "(and 1 more)"),
        ("[capture\n", ": not valid TOML: Expected ']'"),
    ],
)
def test_a_fault_is_one_line_with_its_place(written: Path, text: str, said: str) -> None:
    assert said in fault(written, text)


def test_a_secret_is_not_repeated(written: Path) -> None:
    assert "123456" not in fault(written, "[hep]\nauth_key = 123456")


def test_a_file_that_is_not_text_is_named(written: Path) -> None:
    written.write_bytes(b"[capture]\n\xff")
    with pytest.raises(UserError, match=r"not UTF-8 text \(byte 10\)"):
        load(written)


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the configuration: Is a directory"):
        load(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(written: Path) -> None:
    written.touch(mode=0)
    with pytest.raises(UserError, match="cannot read the configuration: Permission denied"):
        load(written)


def test_paths_are_relative_to_the_file(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.write_text('[recording]\nspool = "work/spool"\ndirectory = "/srv/calls"\n')
    monkeypatch.chdir(tmp_path.parent)
    found = load(Path(tmp_path.name) / written.name)
    assert found.recording.spool == tmp_path / "work" / "spool"
    assert found.recording.directory == Path("/srv/calls")


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, named, usual = (tmp_path / name for name in ("given", "named", "usual"))
    for seconds, path in enumerate((given, named, usual), 1):
        path.write_text(f"[recording]\nlinger_s = {seconds}")
    monkeypatch.setattr(config, "DEFAULT_PATH", usual)
    monkeypatch.setenv("BYSTANDER_CONFIG", str(named))
    assert load(given).recording.linger_s == 1
    assert load(None).recording.linger_s == 2
    monkeypatch.delenv("BYSTANDER_CONFIG")
    assert load(None).recording.linger_s == 3
    usual.unlink()
    with pytest.raises(UserError, match=r"no such configuration file; give -c FILE, or set BYSTANDER_CONFIG"):
        load(None)


@pytest.mark.parametrize(
    ("listen", "address"),
    [("localhost:0", ("127.0.0.1", 0)), ("[::1]:9464", ("::1", 9464)), ("127.0.0.2:80", ("127.0.0.2", 80))],
)
def test_r17_metrics_are_served_on_loopback_addresses(listen: str, address: tuple[str, int]) -> None:
    assert settings(metrics={"listen": listen}).metrics.address == address


def test_r17_another_address_has_to_be_allowed() -> None:
    assert settings(metrics={"listen": "0.0.0.0:9464", "allow_remote": True}).metrics.address[0] == "0.0.0.0"
    with pytest.raises(UserError, match=r"^\[metrics\] listen: not a loopback address"):
        settings(metrics={"listen": "192.0.2.1:9464"})


def test_excluded_numbers_are_prefixes_or_expressions() -> None:
    recording = settings(recording={"exclude": ["116111", "/^9\\d$/"]}).recording
    assert recording.excludes("101", "116 111")
    assert recording.excludes("99", "")
    assert not recording.excludes("990", "0116111")
    assert not Config().recording.excludes("1", "2")


def test_the_office_is_as_the_sniffer_takes_it() -> None:
    office = settings(
        office={"numbers": ["22"], "networks": ["10.0.0.0/8"], "trunks": ["10.1.1.1"]}
    ).office.office()
    assert (office.numbers, office.networks, office.trunks) == (("22",), ("10.0.0.0/8",), ("10.1.1.1",))


def test_the_time_zone() -> None:
    assert Config().zone() is None
    zone = settings(office={"timezone": "Europe/Warsaw"}).zone()
    assert zone is not None
    assert zone.key == "Europe/Warsaw"
