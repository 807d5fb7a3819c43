"""SIP over TLS as it is configured: opened where there is a key log, told of where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bystander.lang import said
from bystander.sniffer.tcp import TimedMessage
from bystander.sniffer.tls import TlsConnections

_GIVE: Final = said("give a key log with --tls-keylog")
_NOT_IN_IT: Final = said("their keys are not in the key log")
_SET: Final = said("set [capture] tls_keylog to their key log")

if TYPE_CHECKING:
    from bystander.config import Config
    from bystander.readingsettings import ReadingSettings
    from bystander.tshark import LiveOpener


def opened_beforehand(captures: Sequence[Path], settings: ReadingSettings) -> list[TimedMessage]:
    """Return the messages of the TLS connections in capture files, in order of time; none without a key log.

    Raises UserError, CaptureError.
    """
    if settings.tls_keylog is None:
        return []
    from bystander.tshark import open_files

    return open_files(captures, settings.tls_keylog, settings.tls_ports)


def opener_of(config: Config, tell: Callable[[str, str], None]) -> LiveOpener | None:
    """Return what opens TLS beside a live capture, given a key log. Raises UserError without TShark."""
    keylog = config.capture.tls_keylog
    if keylog is None:
        return None
    from bystander.tshark import LiveOpener

    if not keylog.exists():
        tell("keylog", f"{keylog}: there is no such key log yet; TLS is read once there is")
    return LiveOpener(keylog, config.capture.tls_ports, tell)


class UnreadWatch:
    """Tells a live recorder's people of TLS connections that stay unread: from one look to the next."""

    def __init__(self, connections: TlsConnections, *, has_keylog: bool) -> None:
        self._connections = connections
        self._before = 0
        self._advice = _NOT_IN_IT if has_keylog else _SET

    def look(self) -> list[str]:
        """Return a line about the connections that were unread at the last look, too, or none."""
        now = self._connections.unread
        lasting, self._before = min(self._before, now), now
        return unread(self._connections, advice=self._advice, count=lasting)


def unread(
    connections: TlsConnections,
    *,
    advice: str = _GIVE,
    count: int | None = None,
) -> list[str]:
    """Return a line for people about the TLS connections that were not read (``count`` of them), or none."""
    count = connections.unread if count is None else count
    if not count:
        return []
    ports = [port for port in sorted(connections.server_ports) if port in connections.ports]
    return [
        said(
            "{count} TLS {count:connection|connections} to {many:port|ports} {ports} {count:was|were} not "
            "read; {advice}",
            count=count,
            many=len(ports),
            ports=", ".join(map(str, ports)),
            advice=advice,
        )
    ]
