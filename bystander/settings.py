"""What the configuration says, in the terms of the rooms that it is about."""

from __future__ import annotations

from functools import partial

from bystander.config import Config
from bystander.readingsettings import FOREVER_S, ReadingSettings
from bystander.sniffer.calls import Call, CallSettings


def call_settings(config: Config, *, patient: bool = False) -> CallSettings:
    """Return the settings of the call table; ``patient`` keeps unclaimed streams until the capture ends."""
    recording = config.recording
    return CallSettings(
        linger_s=recording.linger_s,
        media_timeout_s=recording.media_timeout_s,
        unclaimed_s=FOREVER_S if patient else recording.unclaimed_s,
        office=config.office.office(),
    )


def excluded_by(config: Config, call: Call) -> str | None:
    """Return "configuration" for a call that is excluded from recording by policy, else None."""
    return "configuration" if config.recording.excludes(call.caller, call.callee) else None


def reading_settings(config: Config) -> ReadingSettings:
    """Return how capture files are read by a configuration."""
    return ReadingSettings(
        calls=call_settings(config, patient=True),
        digits=config.digits.settings(),
        excluded=partial(excluded_by, config),
        keep_unclaimed=config.recording.keep_unclaimed,
        tls_ports=config.capture.tls_ports,
        tls_keylog=config.capture.tls_keylog,
        separate=config.capture.separate,
        vlan_groups=config.capture.vlan_groups,
    )
