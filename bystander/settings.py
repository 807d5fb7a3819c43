"""What the configuration says, in the terms of the rooms that it is about."""

from __future__ import annotations

from bystander.config import Config
from bystander.sniffer.calls import Call, CallSettings

#: A capture file is all there is: nothing is gained by giving up on a stream before its end.
_FOREVER_S = 10 * 365 * 86_400.0


def call_settings(config: Config, *, patient: bool = False) -> CallSettings:
    """Return the settings of the call table; ``patient`` keeps unclaimed streams until the capture ends."""
    recording = config.recording
    return CallSettings(
        linger_s=recording.linger_s,
        media_timeout_s=recording.media_timeout_s,
        unclaimed_s=_FOREVER_S if patient else recording.unclaimed_s,
        office=config.office.office(),
    )


def excluded_by(config: Config, call: Call) -> str | None:
    """Return "configuration" for a call that is excluded from recording by policy, else None."""
    return "configuration" if config.recording.excludes(call.caller, call.callee) else None
