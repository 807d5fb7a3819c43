"""``bystander extract``: capture files to plain WAVs and ``calls.json``, without a vault or an index."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bystander import __version__
from bystander.cases import close_both_ways
from bystander.counts import skipped, tables, tunnelled
from bystander.errors import UserError
from bystander.finish import finish
from bystander.finished import Finished, Orphan
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.readingsettings import ReadingSettings
from bystander.report import rfc3339
from bystander.sniffer.calls import Call
from bystander.sniffer.capturefile import open_captures
from bystander.storage.spool import Spool
from bystander.tlsread import opened_beforehand, unread
from bystander.writer import Writer

if TYPE_CHECKING:
    from bystander.config import Config

#: (bytes read, bytes in all)
Progress = Callable[[int, int], None]


def extract(
    captures: list[Path],
    out: Path,
    settings: Config | None = None,
    *,
    keep_unclaimed: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the calls of capture files to ``out`` and return what ``calls.json`` holds.

    Raises CaptureError for files that are no captures and UserError for a disk that does not take the
    recordings; calls finished before that are kept and listed.
    """
    how = _how(settings)
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".spool-", dir=out))
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}; choose another folder with -o") from error
    work = _Extraction(out)
    try:
        opened = opened_beforehand(captures, how)
        with open_captures(captures) as source:
            spool = Spool(folder)
            writer = Writer(work.take)
            pipeline = Pipeline(
                PipelineSettings(
                    calls=how.calls,
                    root=out,
                    target=work.name,
                    excluded=how.excluded,
                    digits=how.digits,
                    keep_unclaimed=keep_unclaimed or how.keep_unclaimed,
                    orphan_target=lambda _, stream: Path(f"unclaimed_{stream}.wav"),
                    tls_ports=how.tls_ports,
                    separate=how.separate,
                    vlan_groups=how.vlan_groups,
                ),
                spool,
                writer.submit,
            )
            pipeline.expect_opened(opened)
            try:
                for frames in source.blocks():
                    pipeline.feed(frames)
                    writer.keep_pace()
                    if progress is not None:
                        progress(*source.progress())
                pipeline.close()
            finally:
                writer.close()
                spool.close()
                work.counters = counters_of(pipeline) | {"truncated": source.truncated_frames}
                work.unclaimed = pipeline.unclaimed
                work.problems = list(source.problems)
                work.notes = unread(pipeline.tls)
                # A disk that is full of the spool has room for the list of calls again.
                shutil.rmtree(folder, ignore_errors=True)
                result = work.write()
    except OSError as error:
        raise UserError(
            f"cannot write to {out}: {error.strerror}; make room or choose another folder"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if work.failed is not None:
        name, why = work.failed
        raise UserError(f"cannot write {name}: {why}; make room or choose another folder with -o")
    return result


def _how(config: Config | None) -> ReadingSettings:
    if config is None:
        return ReadingSettings()
    from bystander.settings import reading_settings

    return reading_settings(config)


def counters_of(pipeline: Pipeline) -> dict[str, Any]:
    """Return what was counted on the way, as plain numbers."""
    return {
        "packets": pipeline.counters["frames"],
        "bytes": pipeline.counters["bytes"],
        "rtcp": pipeline.counters["rtcp"],
        "media_ports": {name: n for name, n in sorted(pipeline.media_ports.counters.items()) if n},
        "unclaimed_streams": pipeline.counters["unclaimed"],
        "tls_connections": pipeline.tls.counters["connections"],
        "tls_connections_read": pipeline.tls.counters["read"],
        "bad": skipped(pipeline),
        "tunnels": tunnelled(pipeline),
        "coalesced": pipeline.coalesced.frames,
        "evicted": {name: table.evicted for name, table in tables(pipeline).items() if table.evicted},
        "sip_methods": dict(sorted(pipeline.calls.requests.items())),
        "sip_statuses": {str(status): count for status, count in sorted(pipeline.calls.responses.items())},
    }


class _Extraction:
    """Collects what an extraction has finished."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._names: Counter[str] = Counter()
        self._calls: list[dict[str, Any]] = []
        self._orphans: list[dict[str, Any]] = []
        self.unclaimed: list[dict[str, Any]] = []
        self.counters: dict[str, Any] = {}
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.failed: tuple[Path, str] | None = None

    def name(self, call: Call) -> Path:
        """Name a recording so that a person finds it: when, who, whom."""
        moment = re.sub(r"[-:]|\.\d+", "", rfc3339(call.started_ns))
        stem = f"{moment}_{_plain(call.caller)}_{_plain(call.callee)}"
        self._names[stem] += 1
        number = self._names[stem]
        return Path(f"{stem}.wav" if number == 1 else f"{stem}_{number}.wav")

    def take(self, call: Finished) -> None:
        """Write a call and list it, or remember why it could not be written."""
        try:
            described = call.describe(finish(call.job))
        except OSError as error:
            # The first reason is told; the calls written before it are kept and listed.
            self.failed = self.failed or (call.job.target, error.strerror or str(error))
        else:
            (self._orphans if isinstance(call, Orphan) else self._calls).append(described)
        call.discard()

    def write(self) -> dict[str, Any]:
        """Write ``calls.json`` and return what it holds."""
        calls = sorted(self._calls, key=lambda call: (call["started_at"], call["call_id"]))
        close_both_ways(calls)
        result = {
            "bystander": __version__,
            "calls": calls,
            "unclaimed_streams": self.unclaimed + self._orphans,
            "counters": self.counters,
            "problems": self.problems,
            "notes": self.notes,
        }
        part = self._out / ".calls.json.part"
        # One call to a line: as quick to write as JSON can be, and still something to grep in.
        fields = []
        for name, value in result.items():
            if isinstance(value, list) and value:
                lines = ",\n  ".join(json.dumps(item, ensure_ascii=False) for item in value)
                fields.append(f' "{name}": [\n  {lines}\n ]')
            else:
                fields.append(f' "{name}": {json.dumps(value, ensure_ascii=False)}')
        try:
            part.write_text("{\n" + ",\n".join(fields) + "\n}\n", encoding="utf-8")
            part.replace(self._out / "calls.json")
        except OSError:
            part.unlink(missing_ok=True)
            raise
        return result


def _plain(name: str) -> str:
    """Return a party's name as part of a file name; without the underscore, which stands between parts."""
    return re.sub(r"[^A-Za-z0-9+-]", "-", name)[:40].strip("-") or "unknown"
