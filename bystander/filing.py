"""Calls that are over, on their way to the vault: written or sealed in a worker, indexed, only then let go.

Until its row is in the index a call counts as pending: its media stays in the spool and its messages in the
signalling log, so that a recorder killed at any moment leaves either the spool or the recording. Writing it
a second time gives the same names, so nothing is left beside the index, where no term would ever erase it
(C20).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bystander.announcement import Check, load
from bystander.config import Config
from bystander.errors import UserError
from bystander.finish import evidence_with, finish
from bystander.finished import Finished, FinishedCall
from bystander.metrics import Metrics
from bystander.sealing import Sealer, SealOrder
from bystander.sniffer.calls import Call
from bystander.sniffer.evidence import evidence_pcap
from bystander.sniffer.maskedinfo import masked
from bystander.sniffer.sip import Arrival
from bystander.storage.container import Container
from bystander.storage.entry import Entry, recording_id, time_ns
from bystander.storage.index import Index, IndexProblem
from bystander.storage.keyring import KeyringProblem, fingerprint
from bystander.storage.wholefile import write_file
from bystander.vault import OpenVault
from bystander.writer import ENOUGH, Writer

log = logging.getLogger("bystander")

_PACE_S: Final = 0.01
#: While so many calls wait, attempts that nobody answered and in which nothing was said are only counted: a
#: flood of INVITEs is not to fill the memory, or keep the calls of that time from the disk.
MOST_WAITING: Final = 4096


def _is_attempt(call: Finished) -> bool:
    return isinstance(call, FinishedCall) and call.call.state != "answered" and not call.job.streams


class Filing:
    """The way of finished calls into the vault (or, without one, into a folder), from a running loop.

    ``tell(what, text)`` is told, from any thread, of trouble that may go on for long. ``term_from(at_ns)``
    says from when the term of what was recorded at ``at_ns`` counts, both in ns UTC.
    """

    def __init__(
        self,
        config: Config,
        index: Index,
        vault: OpenVault | None,
        metrics: Metrics,
        *,
        tell: Callable[[str, str], None],
        term_from: Callable[[int], int],
    ) -> None:
        self._config = config
        self._index = index
        self._vault = vault
        self._tell = tell
        self._term_from = term_from
        self._terms = config.terms()
        self._container: Container = config.vault.container if config.vault is not None else "wav"
        self._sealer = Sealer()
        self._announcement = _check_of(config)
        self._loop = asyncio.get_running_loop()
        self._giving_up = threading.Event()
        self._entries: asyncio.Queue[tuple[Entry, Finished] | None] = asyncio.Queue()
        self._failed: list[Finished] = []
        self._pending: dict[int, Finished] = {}
        self._writer: Writer[Finished] = Writer(self._write, observe=metrics.write_seconds.observe)
        self._indexer = asyncio.create_task(self._index_calls())
        #: Indexed since the start: answered calls by verdict, and sealed files.
        self.verdicts: Counter[str] = Counter()
        self.sealed = 0
        #: Attempts that were not listed, for want of time to write them.
        self.unlisted = 0
        self._quality = metrics.quality

    # -- names ------------------------------------------------------------------------------------------

    def target(self, call: Call) -> Path:
        """Name a call's recording, below the folder of recordings."""
        return self.dated(call.started_ns, call.name)

    def dated(self, at_ns: int, name: str) -> Path:
        """Name a recording and place it by its day, as the office counts days."""
        return self.day(at_ns) / f"{recording_id(at_ns, name)}.wav"

    def day(self, at_ns: int) -> Path:
        """Return the folder of a day, below the folder of recordings."""
        moment = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).astimezone(self._config.zone())
        return Path(f"{moment:%Y/%m/%d}")

    # -- calls in, on the loop ----------------------------------------------------------------------------

    def submit(self, call: Finished) -> None:
        """Take a call that is over. Never waits."""
        if self._waiting > MOST_WAITING and _is_attempt(call):
            self.unlisted += 1
            call.discard()
            self._tell("attempts", f"more calls than can be written: {self.unlisted} attempts are not listed")
            return
        self._pending[id(call)] = call
        self._writer.submit(call)

    def retry(self) -> None:
        """Try again what could not be written."""
        self._sealer.reap()
        again, self._failed = self._failed, []
        for call in again:
            self._writer.submit(call)

    async def keep_pace(self) -> None:
        """Wait while many calls wait to be written: for whoever can wait, which is not a live mirror."""
        while self._waiting > ENOUGH:
            await asyncio.sleep(_PACE_S)

    @property
    def _waiting(self) -> int:
        """Calls that wait for the disk or for the index; those that failed are not waiting for their turn."""
        return self._writer.depth + self._entries.qsize()

    @property
    def pending(self) -> int:
        """Calls that are over and not in the index yet."""
        return len(self._pending)

    @property
    def queues(self) -> dict[str, int]:
        """How many calls wait, by what they wait for."""
        return {"write": self._writer.depth, "index": self._entries.qsize()}

    def messages(self) -> list[Arrival]:
        """Return the messages of the calls that are pending."""
        calls = [call.call for call in self._pending.values() if isinstance(call, FinishedCall)]
        return [arrival for call in calls for arrival in call.messages]

    async def close(self) -> None:
        """Wait until everything is written and indexed, or cannot be; what cannot stays pending."""
        self._giving_up.set()
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._sealer.close)
        await self._entries.put(None)
        await self._indexer

    # -- in the worker's thread ---------------------------------------------------------------------------

    def _write(self, call: Finished) -> None:
        try:
            entry = self._seal(call, self._vault) if self._vault is not None else self._keep(call)
            entry = self._with_term(call, entry)
        except (UserError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self._tell("write", f"{call.job.target}: {why}; it will be tried again")
            self._loop.call_soon_threadsafe(self._failed.append, call)
            return
        self._loop.call_soon_threadsafe(self._entries.put_nowait, (entry, call))

    def _keep(self, call: Finished) -> Entry:
        """Write the recording and its evidence as they are, where there is no vault."""
        written = finish(call.job)
        evidence = call.job.target.with_suffix(".pcap")
        write_file(evidence, [evidence_with(evidence_of(call), call.job, written)], durable=True)
        root = self._config.recording.directory
        return Entry(
            id=call.job.target.stem,
            call=call.as_call(written),
            wav_path=None if written.path is None else str(written.path.relative_to(root)),
            evidence_path=str(evidence.relative_to(root)),
            audio_bytes=written.size_bytes,
        )

    def _seal(self, call: Finished, vault: OpenVault) -> Entry:
        """Seal the recording and its evidence, and keep their key: in this order, so that a row never lacks
        its key, nor its files."""
        name = call.job.target.stem
        try:
            # Asked for each call: `persons rotate` may have changed it.
            recipient = vault.keyring.recipient
            order = SealOrder(
                recipient,
                self._container,
                evidence_of(call),
                self._config.recording.spool,
                self._announcement if is_incoming(call) else None,
            )
            sealed = self._sealer.seal(call.job, order)
            vault.keyring.add(name, sealed.key_blob, recipient)
        except KeyringProblem as problem:
            raise UserError(str(problem)) from None
        root = self._config.recording.directory
        audio, evidence = sealed.audio, sealed.evidence
        path = sealed.written.path
        return Entry(
            id=name,
            call=call.as_call(sealed.written),
            wav_path=None if path is None else str(path.relative_to(root)),
            evidence_path=str(sealed.evidence_path.relative_to(root)),
            audio_bytes=sealed.written.size_bytes,
            sealed=True,
            wav_sha256=None if audio is None else audio.sha256,
            wav_sealed_sha256=None if audio is None else audio.sealed_sha256,
            wav_sealed_bytes=0 if audio is None else audio.sealed_bytes,
            evidence_sha256=evidence.sha256,
            evidence_sealed_sha256=evidence.sealed_sha256,
            evidence_sealed_bytes=evidence.sealed_bytes,
            key_sha256=fingerprint(sealed.key_blob),
        )

    def _with_term(self, call: Finished, entry: Entry) -> Entry:
        """Say until when a recording is kept (R10)."""
        parties = [entry.call["caller"], entry.call["callee"]]
        term = self._terms.end(
            self._term_from(time_ns(entry.call["started_at"])),
            entry.call["direction"],
            parties,
            call.signalled_by,
        )
        return replace(entry, delete_after=term.delete_after, term_rule=term.rule)

    # -- into the index, on the loop ------------------------------------------------------------------------

    async def _index_calls(self) -> None:
        """Index finished calls; only then is their media let go."""
        while (next_one := await self._entries.get()) is not None:
            entry, call = next_one
            while True:
                try:
                    await self._index.add(entry)
                    await self._rekeyed(entry)
                    break
                except (UserError, IndexProblem, KeyringProblem) as error:
                    self._tell("index", str(error))
                    if self._giving_up.is_set():
                        return
                    await asyncio.sleep(1.0)
            del self._pending[id(call)]
            call.discard()
            verdict: Any = entry.call["verdict"]
            if verdict is not None:
                self.verdicts[verdict] += 1
                self._quality.observe(entry.call)
            self.sealed += entry.sealed
            log.info("%s %s", entry.id, verdict or entry.call["state"])

    async def _rekeyed(self, entry: Entry) -> None:
        """Index a recording once more whose key was sealed anew (`persons rotate`) before it had a row."""
        if self._vault is not None and entry.sealed:
            key = await asyncio.to_thread(self._vault.keyring.get, entry.id)
            if key is not None and fingerprint(key) != entry.key_sha256:
                await self._index.add(replace(entry, key_sha256=fingerprint(key)))


def is_incoming(call: Finished) -> bool:
    """Tell whether a call is one that should open with the office's announcement (R3)."""
    return isinstance(call, FinishedCall) and call.call.direction == "incoming"


def _check_of(config: Config) -> Check | None:
    """Return what to look for. Raises UserError for a reference that cannot be used."""
    made = config.announcement
    if made.reference is None:
        return None
    load(made.reference)
    return Check(made.reference, made.within_s)


def evidence_of(call: Finished) -> bytes:
    """Return the messages of a call as a capture file, keys hidden where they are masked; of a stream without
    a call there are none."""
    messages = call.call.messages if isinstance(call, FinishedCall) else []
    return evidence_pcap([masked(one) for one in messages] if call.job.digits.mask.hides else messages)
