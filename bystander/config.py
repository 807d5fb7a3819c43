"""The configuration: one TOML file, checked whole before anything starts; `deploy/bystander.toml` explains
each key."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
import zoneinfo
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from bystander.config_digits import Digits
from bystander.config_hep import Hep
from bystander.config_vault import Announcement, Custody, Retention, Space, Vault
from bystander.defaults import LINGER_S, MEDIA_TIMEOUT_S, UNCLAIMED_S
from bystander.errors import UserError
from bystander.retention.terms import Terms
from bystander.section import STATE, Section, host_and_port
from bystander.sniffer.direction import Office

DEFAULT_PATH: Final = Path("/etc/bystander/bystander.toml")


def _timezone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("no such time zone; write it as Europe/Warsaw") from None
    return name


def _interface(name: str) -> str:
    # What the kernel accepts as the name of an interface (dev_valid_name).
    if not 0 < len(name.encode()) < 16 or "/" in name or any(character.isspace() for character in name):
        raise ValueError("not the name of a network interface")
    return name


def _numbers(patterns: tuple[str, ...]) -> tuple[str, ...]:
    Office(numbers=patterns).check()
    if not all(patterns):
        raise ValueError("an empty number would fit every call")
    return patterns


def _networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    Office(networks=networks).check()
    return networks


Numbers = Annotated[tuple[str, ...], AfterValidator(_numbers)]
Networks = Annotated[tuple[str, ...], AfterValidator(_networks)]


def _groups(groups: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    tags = [tag for group in groups for tag in group]
    twice = [tag for tag in tags if tags.count(tag) > 1]
    if twice:
        raise ValueError(f"VLAN {twice[0]} is named twice")
    return groups


_Vlan = Annotated[int, Field(ge=1, le=4094)]
VlanGroups = Annotated[
    tuple[Annotated[tuple[_Vlan, ...], Field(min_length=2)], ...],
    Field(max_length=2047),
    AfterValidator(_groups),
]
Ports = Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], Field(max_length=32)]
Seconds = Annotated[float, Field(gt=0, le=7 * 86_400)]


class Capture(Section):
    """[capture]: where the frames come from."""

    interface: Annotated[str, AfterValidator(_interface)] | None = None
    filter: str | None = None
    ring_mb: Annotated[int, Field(ge=1, le=4096)] = 64
    tls_ports: Ports = (5061,)
    tls_keylog: Path | None = None
    separate: tuple[Literal["vlan", "vni", "gre", "erspan"], ...] = ()
    vlan_groups: VlanGroups = ()


class OfficeSection(Section):
    """[office]: what belongs to the office, by which the direction of a call is told (R1)."""

    numbers: Numbers = ()
    networks: Networks = ()
    trunks: Networks = ()
    timezone: Annotated[str, AfterValidator(_timezone)] | None = None
    # For the printed forms.
    name: str = ""
    address: str = ""
    president: str = ""
    dpo: str = ""
    ordinance: str = ""

    def office(self) -> Office:
        """Return the same as the sniffer takes it."""
        return Office(self.numbers, self.networks, self.trunks)


class Recording(Section):
    """[recording]: where recordings go, and how long to wait before a call is taken for over."""

    directory: Path = STATE / "recordings"
    spool: Path = STATE / "spool"
    index: Path = STATE / "index.sqlite"
    keep_unclaimed: bool = False
    unclaimed_s: Seconds = UNCLAIMED_S
    linger_s: Seconds = LINGER_S
    media_timeout_s: Seconds = MEDIA_TIMEOUT_S
    exclude: Numbers = ()

    def excludes(self, *numbers: str) -> bool:
        """Return whether one of the parties' numbers is not to be recorded."""
        return bool(self.exclude) and any(Office(self.exclude).has(number, "") for number in numbers)


class MetricsSection(Section):
    """[metrics]: the address of `/metrics` and `/healthz`."""

    enabled: bool = True
    listen: str = "127.0.0.1:9464"
    allow_remote: bool = False

    @model_validator(mode="after")
    def _loopback(self) -> MetricsSection:
        host, _ = self.address
        if not self.allow_remote and not ipaddress.ip_address(host).is_loopback:
            raise ValueError("listen: not a loopback address; set allow_remote = true to serve the network")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Return the host (an address, without brackets) and the port; 0 lets the kernel choose one."""
        return host_and_port(self.listen)


class Config(Section):
    """The whole configuration; `Config()` is what is in force where there is no file."""

    capture: Capture = Capture()
    hep: Hep = Hep()
    office: OfficeSection = OfficeSection()
    recording: Recording = Recording()
    digits: Digits = Digits()
    announcement: Announcement = Announcement()
    vault: Vault | None = None
    retention: Retention = Retention()
    space: Space = Space()
    custody: Custody = Custody()
    metrics: MetricsSection = MetricsSection()

    def terms(self) -> Terms:
        """Return until when recordings are kept, as the retention room takes it."""
        kept = self.retention
        return Terms(kept.months, kept.floor, [rule.rule() for rule in kept.rule], self.zone())

    def zone(self) -> zoneinfo.ZoneInfo | None:
        """Return the office's time zone; None, which `astimezone` takes for the machine's own, when none is
        set."""
        return zoneinfo.ZoneInfo(self.office.timezone) if self.office.timezone else None


def path_of(path: Path | None) -> Path:
    """Return the configuration file that :meth:`load` reads."""
    return _named(path) or DEFAULT_PATH


def _named(path: Path | None) -> Path | None:
    return path or (Path(value) if (value := os.environ.get("BYSTANDER_CONFIG")) else None)


def load(path: Path | None) -> Config:
    """Read the configuration from `path`, else from where BYSTANDER_CONFIG says, else from /etc/bystander.

    Relative paths in it are relative to the file. Raises UserError, which names the file, the line where it
    can be told, the key and its fault.
    """
    named = _named(path)
    chosen = named or DEFAULT_PATH
    try:
        text = chosen.read_bytes().decode("utf-8")
    except FileNotFoundError:
        what_next = "check the name" if named else "give -c FILE, or set BYSTANDER_CONFIG"
        raise UserError(f"{chosen}: there is no such configuration file; {what_next}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{chosen}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{chosen}: cannot read the configuration: {error.strerror}") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{chosen}: not valid TOML: {error}") from None
    try:
        config = Config.model_validate(table)
    except ValidationError as error:
        raise UserError(f"{chosen}{_fault(error, text)}") from None
    return _resolved(config, chosen)


def _resolved(config: Config, file: Path) -> Config:
    base = file.absolute().parent
    recording = config.recording
    paths = {name: base / getattr(recording, name) for name in ("directory", "spool", "index")}
    update: dict[str, Any] = {"recording": recording.model_copy(update=paths)}
    if config.capture.tls_keylog is not None:
        update["capture"] = config.capture.model_copy(update={"tls_keylog": base / config.capture.tls_keylog})
    if config.vault is not None:
        paths = {name: base / getattr(config.vault, name) for name in ("keyring", "journal", "keys")}
        update["vault"] = config.vault.model_copy(update=paths)
    if config.announcement.reference is not None:
        reference = base / config.announcement.reference
        update["announcement"] = config.announcement.model_copy(update={"reference": reference})
    return config.model_copy(update=update)


#: What pydantic calls by the names of Python's types.
_IN_WORDS = {
    "tuple_type": "should be a list in square brackets",
    "path_type": "should be a path, in quotes",
    "model_type": "should be a section",
}
#: Values that are not repeated on a screen or in a log.
_SECRETS = frozenset({"auth_key"})


def _fault(error: ValidationError, text: str) -> str:
    """Describe the first fault on one line: `:12: [capture] ring_mb: ...`."""
    faults = error.errors(include_url=False)
    first = faults[0]
    keys = [str(part) for part in first["loc"] if not isinstance(part, int) and part != "function-after[...]"]
    said = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    said = _IN_WORDS.get(str(first["type"]), said)
    section = keys[0] if keys else ""
    key = keys[1] if len(keys) > 1 else ""
    if not key and ": " in said:
        key, said = said.split(": ", 1)
    if first["type"] == "extra_forbidden":
        said = "there is no such key" if key else "there is no such section"
        if near := difflib.get_close_matches(key or section, _known(section if key else ""), 1):
            said += f"; did you mean {near[0]}?"
    elif isinstance(first["input"], str | int | float | bool) and key not in _SECRETS:
        said = f"{said} (it is {first['input']!r})"
    line = _line(text, section, key)
    where = f"[{section}]" + (f" {key}" if key else "")
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{f':{line}' if line else ''}: {where}: {said}{more}"


def _known(section: str) -> list[str]:
    if not section:
        return list(Config.model_fields)
    model = Vault if section == "vault" else type(getattr(Config(), section))
    return list(model.model_fields)


def _line(text: str, section: str, key: str) -> int:
    """Find the line of a key (or of its section's heading); 0 when it is written in a way not recognised
    here."""
    wanted = re.compile(rf"\s*[\"']?{re.escape(key or section)}[\"']?\s*=")
    inside = not key
    for number, line in enumerate(text.splitlines(), 1):
        if heading := re.match(r"\s*\[([^\]]+)\]", line):
            if not key and heading[1].strip() == section:
                return number
            inside = bool(key) and heading[1].strip() == section
        elif inside and wanted.match(line):
            return number
    return 0


def settings(**sections: dict[str, Any]) -> Config:
    """Make a configuration from command-line options, with the same checks as a file. Raises UserError."""
    try:
        return Config.model_validate(sections)
    except ValidationError as error:
        raise UserError(_fault(error, "").removeprefix(": ")) from None
