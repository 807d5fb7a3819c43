"""The sections of the configuration about what is kept, for how long, and who may hear it:
[announcement], [vault], [retention], [space] and [custody]."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from bystander.retention.terms import Rule, reaches
from bystander.section import STATE, Section


def _number(pattern: str) -> str:
    if pattern.startswith("/") and pattern.endswith("/") and len(pattern) > 1:
        try:
            re.compile(pattern[1:-1])
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
    elif not re.search(r"\d", pattern):
        raise ValueError("neither digits nor a regular expression between slashes")
    return pattern


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("neither an address nor a network; write it as 203.0.113.5 or 10.0.0.0/8") from None
    return text


def _time(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError("not a time of day; write it as 02:30")
    return text


Months = Annotated[int, Field(ge=0, le=1200)]


class Announcement(Section):
    """[announcement]: the office's announcement, for which incoming calls are checked (R3)."""

    reference: Path | None = None
    within_s: Annotated[float, Field(gt=0, le=300)] = 30.0


class Vault(Section):
    """[vault]: recordings are sealed where there is this section (R7)."""

    keyring: Path = STATE / "keyring.sqlite"
    journal: Path = STATE / "journal.jsonl"
    keys: Path = STATE / "keys"
    container: Literal["wav", "flac", "g711"] = "wav"


class RetentionRule(Section):
    """[[retention.rule]]: the term of one kind of calls."""

    name: str = ""
    direction: Literal["incoming", "outgoing", "internal", "unknown"] | None = None
    number: Annotated[str, AfterValidator(_number)] | None = None
    trunk: Annotated[str, AfterValidator(_network)] | None = None
    months: Months = 0
    days: Annotated[int, Field(ge=0, le=36_500)] = 0

    def rule(self) -> Rule:
        """Return the same as the retention room takes it."""
        kind = [self.direction, self.number, self.trunk]
        name = self.name or " ".join(part for part in kind if part) or "rule"
        return Rule(name, self.months, self.days, self.direction, self.number, self.trunk)


class Retention(Section):
    """[retention]: how long recordings are kept (R10), and when they are erased."""

    months: Months = 3
    floor_months: Months | None = None
    sweep_at: Annotated[str, AfterValidator(_time)] = "02:30"
    sweep_max: Annotated[int, Field(ge=1)] = 10_000
    clock_bound_hours: Annotated[float, Field(gt=0, le=10_000)] = 24.0
    rule: tuple[RetentionRule, ...] = ()

    @property
    def floor(self) -> int:
        """No recording is kept shorter than so many months."""
        return self.months if self.floor_months is None else self.floor_months

    @property
    def clock_bound_ns(self) -> int:
        """How far the clock may be ahead of what is known before nothing is erased any more."""
        return int(self.clock_bound_hours * 3600) * 1_000_000_000

    @model_validator(mode="after")
    def _reaches_floor(self) -> Retention:
        if self.months < self.floor:
            raise ValueError(f"months: shorter than floor_months ({self.floor})")
        for rule in self.rule:
            if not reaches(rule.months, rule.days, self.floor):
                raise ValueError(f"rule: {rule.rule().name}: shorter than the floor of {self.floor} months")
        return self


class Space(Section):
    """[space]: room on the disk (C19)."""

    reserve_mb: Annotated[int, Field(ge=0)] = 512
    warn_days: Annotated[float, Field(gt=0)] = 14.0


class Custody(Section):
    """[custody]: what listening takes beside an authorised person (R13, R14)."""

    two_persons: bool = False
    protocol_days: Annotated[float, Field(ge=0, le=366)] = 7.0
