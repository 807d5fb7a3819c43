"""How capture files are read by `extract`, as plain data: without a configuration none has to be loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bystander.defaults import LINGER_S, MEDIA_TIMEOUT_S
from bystander.digits import DigitSettings
from bystander.sniffer.calls import Call, CallSettings
from bystander.sniffer.tls import TLS_PORTS

#: A capture file is all there is: nothing is gained by giving up on a stream before its end.
FOREVER_S: Final = 10 * 365 * 86_400.0


def _patient() -> CallSettings:
    return CallSettings(linger_s=LINGER_S, media_timeout_s=MEDIA_TIMEOUT_S, unclaimed_s=FOREVER_S)


@dataclass(frozen=True, slots=True)
class ReadingSettings:
    """The same as an empty configuration says; `settings.reading_settings` takes them from one."""

    calls: CallSettings = field(default_factory=_patient)
    digits: DigitSettings = field(default_factory=DigitSettings)
    excluded: Callable[[Call], str | None] = lambda _call: None
    keep_unclaimed: bool = False
    tls_ports: tuple[int, ...] = TLS_PORTS
    tls_keylog: Path | None = None
    separate: tuple[str, ...] = ()
    vlan_groups: tuple[tuple[int, ...], ...] = ()
