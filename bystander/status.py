"""What `bystander status` tells: the recorder's health, what the index holds, coverage, and room on the
disk."""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from rich.text import Text

from bystander.config import Config
from bystander.lang import t, told
from bystander.moments import to_ns
from bystander.output import plain
from bystander.retention import holds, sweep
from bystander.retention.erasure import as_text
from bystander.storage.index import Index

_PATIENCE_S = 2.0
_COLOURS = {"recording": "green", "not recording": "red", "not running": "red"}


async def gather(settings: Config, since: datetime, until: datetime) -> dict[str, Any]:
    """Return the facts as a JSON object; gaps in the coverage (R5) are those between the two times."""
    facts: dict[str, Any] = {"recorder": health(settings)}
    calls: dict[str, Any] = {"calls": 0, "states": {}, "verdicts": {}, "audio_bytes": 0, "newest_at": None}
    gaps: list[dict[str, Any]] | None = None
    if settings.recording.index.exists():
        async with await Index.open(settings.recording.index, read_only=True) as index:
            counted = await index.facts()
            newest = counted.pop("newest_ns")
            calls = counted | {"newest_at": None if newest is None else as_text(newest)}
            gaps = [
                {
                    "from": as_text(gap.from_ns),
                    "to": as_text(gap.to_ns),
                    "cause": gap.cause,
                    "dropped": gap.dropped,
                }
                for gap in await index.coverage_gaps(to_ns(since), to_ns(until))
            ]
    facts |= calls
    facts["coverage"] = {"from": as_text(to_ns(since)), "to": as_text(to_ns(until)), "gaps": gaps}
    facts["disk"] = _disk(settings.recording.directory)
    facts["vault"] = await _vault(settings, to_ns(until))
    return facts


async def _vault(settings: Config, now_ns: int) -> dict[str, Any] | None:
    """Return what is held, overdue and half erased; None before there is an index."""
    if not settings.recording.index.exists():
        return None
    async with await Index.open(settings.recording.index, read_only=True) as index:
        overdue, kept = await sweep.overdue(index, now_ns)
        return {
            "sealed": settings.vault is not None,
            "held": await holds.held_count(index),
            "overdue": overdue,
            "overdue_held": kept,
            "unfinished_erasures": len(await index.rows("SELECT plan FROM plans")),
        }


def health(settings: Config) -> dict[str, Any]:
    """Ask the daemon's `/healthz`: `{"state": "recording" | "not recording" | "not running" | "unknown",
    ...}`."""
    if not settings.metrics.enabled:
        return {"state": "unknown", "why": "[metrics] enabled is false"}
    host, port = settings.metrics.address
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        said = json.loads(answer.read(1 << 16))
        state = {200: "recording", 503: "not recording"}.get(answer.status, "unknown")
        return {**said, "state": state} if isinstance(said, dict) else {"state": "unknown"}
    except ConnectionRefusedError:
        return {"state": "not running"}
    except (OSError, ValueError, http.client.HTTPException) as error:
        return {"state": "unknown", "why": f"no good answer from {settings.metrics.listen}: {error}"}
    finally:
        connection.close()


def lines(facts: dict[str, Any], zone: tzinfo | None) -> Iterator[Text]:
    """Yield the facts for people."""
    recorder = facts["recorder"]
    colour = _COLOURS.get(recorder["state"], "yellow")
    said = {name: value for name, value in recorder.items() if name not in ("state", "status")}
    yield _line("recorder", Text(t(recorder["state"]), colour).append(_listed(said)))
    yield _line("calls", Text(str(facts["calls"])).append(_listed(facts["states"])))
    yield _line("answered", Text(str(facts["states"].get("answered", 0))).append(_listed(facts["verdicts"])))
    yield _line("audio", Text(_bytes(facts["audio_bytes"])))
    if facts["newest_at"]:
        yield _line("newest", Text(f"{_local(facts['newest_at'], zone)}"))
    disk = facts["disk"]
    if disk is not None:
        free, total = _bytes(disk["free_bytes"]), _bytes(disk["total_bytes"])
        yield _line("disk", Text(t("{free} free of {total}", free=free, total=total)))
    vault = facts["vault"]
    if vault is not None:
        said = {
            name.replace("_", " "): vault[name]
            for name in ("held", "overdue", "unfinished_erasures")
            if vault[name]
        }
        sealed = (
            Text(t("sealed"), "green")
            if vault["sealed"]
            else Text(t("not sealed: there is no [vault]"), "yellow")
        )
        yield _line("vault", sealed.append(_listed(said)))
    gaps = facts["coverage"]["gaps"]
    if gaps is None:
        yield _line("coverage", Text(t("nothing has been recorded yet")))
    elif not gaps:
        yield _line(
            "coverage", Text(t("no gap since {time}", time=_local(facts["coverage"]["from"], zone)), "green")
        )
    for gap in gaps or []:
        dropped = f", {t('{number} packets', number=gap['dropped'])}" if gap["dropped"] else ""
        span = t("{begin} to {end}", begin=_local(gap["from"], zone), end=_local(gap["to"], zone))
        yield _line("not covered", Text(f"{span}: {t(gap['cause'])}{dropped}", "yellow"))


def _line(name: str, value: Text) -> Text:
    return Text(f"{t(name):<12} ", "dim").append_text(value)


def _listed(facts: dict[str, Any]) -> str:
    return (
        plain("  (" + ", ".join(f"{t(name)} {told(str(value))}" for name, value in facts.items()) + ")")
        if facts
        else ""
    )


def _bytes(count: float) -> str:
    if count < 1000:
        return t("{count} {count:byte|bytes}", count=int(count))
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 1000 or unit == "TB":
            break
    return t("{count:.1f} {unit}", count=count, unit=unit)


def _disk(folder: Path) -> dict[str, int] | None:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        room = shutil.disk_usage(folder)
    except OSError:
        return None
    return {"free_bytes": room.free, "total_bytes": room.total}


def _local(text: str, zone: tzinfo | None) -> str:
    return f"{datetime.fromisoformat(text).astimezone(zone):%Y-%m-%d %H:%M:%S}"
