"""The recorder, live on a mirror port or fed with capture files through the same path.

One asyncio loop: the ring's descriptor wakes it, a timer lets time pass on a quiet wire, finished calls go to
a writer thread and come back to be indexed. Nothing here waits for the disk but the writer and the index.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from bystander.config import Config
from bystander.errors import UserError
from bystander.filing import Filing
from bystander.finished import Finished, FinishedCall
from bystander.hepinput import feed_hep
from bystander.heplistener import HepListener
from bystander.housekeeping import Housekeeping
from bystander.metrics import Health, Metrics, MetricsServer
from bystander.pipeline import Pipeline, PipelineSettings
from bystander.recovery import SignallingLog, finished_before, read_log, read_streams
from bystander.room import Room
from bystander.setback import Setbacks
from bystander.settings import call_settings, excluded_by, reading_settings
from bystander.sniffer.calls import Call
from bystander.sniffer.capturefile import open_captures
from bystander.sniffer.frames import Frames
from bystander.sniffer.ring import HANDED_OVER_S, Ring
from bystander.sniffer.sip import Arrival
from bystander.storage.entry import time_ns
from bystander.storage.index import Index, IndexProblem, Query
from bystander.storage.spool import Spool
from bystander.tlsread import UnreadWatch, opened_beforehand, opener_of
from bystander.totals import totals
from bystander.vault import OpenVault

log = logging.getLogger("bystander")

_TICK_S: Final = 0.25
_BEAT_S: Final = 5.0
_RETRY_S: Final = 10.0
#: The signalling of a call that is over leaves the log within this time.
_RENEWAL_S: Final = 60.0
#: Empty spool files kept ready: a file system takes its time to make one, and calls may all begin at once.
_SPARE_SLOTS: Final = 512
#: After so long on frames alone the loop looks at everything else.
_TURN_S: Final = 0.05
#: Between two looks for what the kernel still owes at the end.
_MOMENT_S: Final = 0.01
_DAY_NS: Final = 86_400_000_000_000


class Recorder:
    """One run of the recorder, from :meth:`recover` to the end of :meth:`run`."""

    def __init__(
        self, config: Config, index: Index, vault: OpenVault | None, *, live: bool, file: Path | None = None
    ) -> None:
        recording = config.recording
        self._config = config
        self._index = index
        self._live = live
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._known: set[tuple[str, int]] = set()
        self._ring: Ring | None = None
        self._hep: HepListener | None = None
        self._drops = self._spool_bytes = 0
        self._told: dict[str, float] = {}
        self.metrics = Metrics()
        self._left = read_streams(recording.spool)
        self._spool = Spool(recording.spool)
        self._messages = list(read_log(recording.spool))
        self._log = SignallingLog(recording.spool, config.digits.shown)
        self._room = Room(config)
        self._keeping = Housekeeping(config, file, index, vault, self._room, self._tell)
        self._filing = Filing(config, index, vault, self.metrics, tell=self._tell, term_from=self._term_from)
        self._opener = opener_of(config, self._tell) if live else None
        self._setbacks = Setbacks()
        self._pipeline = self._new_pipeline(1 + max((stream.id for stream in self._left), default=0))
        self._unread_tls = UnreadWatch(self._pipeline.tls, has_keylog=self._opener is not None)

    def _new_pipeline(self, first_stream_id: int) -> Pipeline:
        config, recording = self._config, self._config.recording
        settings = PipelineSettings(
            separate=config.capture.separate,
            vlan_groups=config.capture.vlan_groups,
            tls_ports=config.capture.tls_ports,
            tls_take=None if self._opener is None else self._opener.take,
            calls=call_settings(config),
            root=recording.directory,
            target=self._filing.target,
            excluded=self._excluded,
            durable=True,
            observe_flush=self.metrics.flush_seconds.observe,
            digits=config.digits.settings(),
            keep_unclaimed=recording.keep_unclaimed,
            orphan_target=lambda first_ns, stream: self._filing.dated(first_ns, f"stream {stream}"),
        )
        return Pipeline(settings, self._spool, self._finish, self._log.append, first_stream_id)

    def stop(self) -> None:
        """End the run: calls in progress are finished as far as they were recorded."""
        self._stop.set()

    async def recover(self) -> None:
        """Take up what an earlier process left: its calls in progress, and their media."""
        self._sweep_parts()
        known_files = {stream.file for stream in self._left}
        for path in self._config.recording.spool.glob("slot-*.spool"):
            # A file cut off before it could say whose it is holds nothing that anybody could place.
            if path.stat().st_size and path not in known_files:
                self._spool.recycle(path)
        if not self._messages and not self._left:
            return
        if self._messages:
            since_ns = min(arrival.time_ns for arrival in self._messages) - _DAY_NS
            for known in await self._index.calls(Query(since_ns=since_ns)):
                for call_id in (known["call_id"], *known["linked_call_ids"]):
                    self._known.add((call_id, time_ns(known["started_at"]) // 1_000_000))
        try:
            # Before anything is taken up: who is killed in the middle of it has lost nothing.
            self._log.begin_anew(self._messages)
        except OSError as error:
            self._log.whole = False
            self._tell("log", f"{self._config.recording.spool}: {error.strerror}; it will be tried again")
        for arrival in self._messages:
            self._pipeline.replay(arrival)
        for stream in self._left:
            self._pipeline.recover(stream)
        log.info(
            "recovered %d calls in progress and %d streams that an earlier process left",
            self._pipeline.calls.unended_calls,
            len(self._left),
        )
        self._messages, self._left = [], []

    async def run(self, interface: str | None, read: list[Path] | None) -> int:
        """Record from the interface, or from files; return the exit status."""
        server = None
        await self._look_for_room(time.time_ns())
        await self._keeping.begin({"live": self._live, "interface": interface}, live=self._live)
        try:
            if self._config.metrics.enabled and self._live:
                server = MetricsServer(self.metrics, self._config.metrics.address, self._health)
            problems = await (self._read(read) if read is not None else self._listen(interface))
            if self._opener is not None:
                self._pipeline.take_opened(await asyncio.to_thread(self._opener.close))
            self._pipeline.close(interrupted=self._live)
        finally:
            self._stop.set()
            await self._filing.close()
            await self._keeping.end({"pending": self._filing.pending})
            if server is not None:
                server.close()
            self._spool.close()
            unfinished = self._filing.pending > 0 or self._pipeline.calls.active_calls > 0
            self._log.close(remove=not unfinished)
        if self._filing.pending:
            problems.append(
                f"{self._filing.pending} finished calls are not in the index; they stay in "
                f"{self._config.recording.spool} for the next start"
            )
        for problem in problems:
            log.error("bystander: %s", problem)
        return 1 if problems else 0

    async def _read(self, paths: list[Path]) -> list[str]:
        self._pipeline.expect_opened(
            await asyncio.to_thread(opened_beforehand, paths, reading_settings(self._config))
        )
        with open_captures(paths) as source:
            blocks = source.blocks()
            # Read in a thread: a pipe that gives nothing for a while does not keep calls from the index.
            while (
                not self._stop.is_set()
                and (frames := await asyncio.to_thread(next, blocks, None)) is not None
            ):
                self._pipeline.feed(frames)
                await self._filing.keep_pace()
                await self._look_for_room(0)
            if self._pipeline.counters["spool-errors"]:
                self._tell_lost_audio()
            return list(source.problems)

    async def _listen(self, interface: str | None) -> list[str]:
        if interface is None:
            raise UserError("no interface to record from; give --interface IF, or set [capture] interface")
        capture = self._config.capture
        problems: list[str] = []
        self._spool.prepare(_SPARE_SLOTS)
        with Ring(
            interface,
            ring_bytes=capture.ring_mb << 20,
            user_filter=capture.filter,
            vlans="vlan" in capture.separate,
        ) as ring:
            self._ring = ring
            ready = asyncio.Event()
            self._loop.add_reader(ring.fileno(), ready.set)
            self._hep = HepListener(self._config.hep, ready.set)
            await self._hep.open()
            if self._room.short_since_ns is None:
                await self._index.coverage_begin(time.time_ns())
            beats = asyncio.create_task(self._beat())
            log.info("recording from %s", interface)
            try:
                await self._capture(ring, ready)
            finally:
                beats.cancel()
                self._hep.close()
                self._loop.remove_reader(ring.fileno())
                self._drops = ring.statistics().drops
                try:
                    await self._index.coverage_end(time.time_ns())
                except (UserError, IndexProblem) as error:
                    # The calls in progress are to be finished all the same.
                    problems.append(str(error))
        log.info("stopped")
        return problems

    async def _capture(self, ring: Ring, ready: asyncio.Event) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        try:
            while not self._stop.is_set():
                waiting = asyncio.create_task(ready.wait())
                await asyncio.wait({waiting, stopping}, timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                ready.clear()
                turn = time.monotonic() + _TURN_S
                for frames in ring.ready():
                    self._take(frames)
                    if time.monotonic() > turn:
                        await asyncio.sleep(0)
                        turn = time.monotonic() + _TURN_S
                if self._opener is not None:
                    self._pipeline.take_opened(self._opener.turn())
                self._take_hep()
                self._pipeline.advance(time.time_ns())
            # A call that ended just before the stop has its BYE in a block that the kernel still holds.
            await asyncio.sleep(HANDED_OVER_S)
            for last in ring.last():
                if last is None:
                    await asyncio.sleep(_MOMENT_S)
                else:
                    self._take(last)
            self._take_hep()
        finally:
            stopping.cancel()

    def _take(self, frames: Frames) -> None:
        """Take frames of the wire; where the clock was set back, what is in progress is finished first."""
        latest_ns = self._setbacks.latest_ns
        for back_ns, part in self._setbacks.parts(frames):
            if back_ns:
                self._tell("set-back", f"the clock was set back by {back_ns / 1e9:.1f} s: calls are divided")
                before = self._pipeline
                before.now_ns = max(before.last_frame_ns, latest_ns)
                before.close(interrupted=True)
                self._pipeline = self._new_pipeline(before.streams.next_id)
                self._pipeline.short_since_ns = before.short_since_ns
                self._unread_tls = UnreadWatch(self._pipeline.tls, has_keylog=self._opener is not None)
            self._pipeline.feed(part)

    def _take_hep(self) -> None:
        assert self._hep is not None
        for packet in self._hep.take():
            feed_hep(self._pipeline, packet, time.time_ns())

    async def _beat(self) -> None:
        """Every few seconds: say that we are recording, show the figures, keep the log short, try again."""
        retry, renewal = time.monotonic() + _RETRY_S, time.monotonic() + _RENEWAL_S
        now_ns, lost = time.time_ns(), 0
        while True:
            with suppress(OSError):  # the figure of before stays
                self._spool_bytes = await asyncio.to_thread(self._spool.bytes_held)
            self._show()
            await asyncio.sleep(_BEAT_S)
            assert self._ring is not None
            drops = self._ring.statistics().drops
            dropped, self._drops = drops - self._drops, drops
            now_ns, before_ns = time.time_ns(), now_ns
            if dropped:
                self._pipeline.note_loss(before_ns, now_ns)
                self._tell("drops", f"{dropped} packets were dropped by the kernel: the ring was full")
            for line in self._unread_tls.look():
                self._tell("tls-unread", line, every_s=3600.0)
            if not self._ring.link_up:
                self._tell("link", f"interface {self._ring.interface} has no link: nothing is recorded")
            lost_before, lost = lost, self._pipeline.counters["spool-errors"]
            if lost > lost_before:
                self._tell_lost_audio()
            try:
                await self._look_for_room(time.time_ns())
                await self._index.coverage_beat(time.time_ns(), dropped)
                if self._log.full or not self._log.whole or time.monotonic() >= renewal:
                    # Now and then at least: what was erased must not be found in the log (R10).
                    renewal = time.monotonic() + _RENEWAL_S
                    self._log.begin_anew(self._messages_to_keep())
            except (UserError, IndexProblem, OSError) as error:
                self._tell("beat", str(error))
            if time.monotonic() >= retry:
                retry = time.monotonic() + _RETRY_S
                self._filing.retry()

    def _messages_to_keep(self) -> list[Arrival]:
        """Return the messages of calls that a process after us would have to finish, in order of time."""
        kept = self._filing.messages() + self._pipeline.calls.messages_in_progress()
        return sorted(kept, key=lambda arrival: arrival.time_ns)

    def _show(self) -> None:
        """Bring the metrics up to date."""
        drops = self._ring.statistics().drops if self._ring is not None else self._drops
        self.metrics.update(
            totals(
                self._pipeline,
                self._filing,
                self._room,
                self._keeping.condition,
                ring=self._ring,
                hep=self._hep,
                kernel_drops=drops,
                spool_bytes=self._spool_bytes,
            )
        )

    def _health(self) -> Health:
        """Answer in the metrics server's thread, where the pipeline's counters are off limits."""
        self._loop.call_soon_threadsafe(self._show)
        up = self._ring is not None and self._ring.link_up
        return Health(up, {"active_calls": self._pipeline.calls.active_calls, "kernel_drops": self._drops})

    def _tell(self, what: str, text: str, every_s: float = 60.0) -> None:
        """Log something that may go on for long, at most once a minute, or every ``every_s`` seconds."""
        now = time.monotonic()
        if now - self._told.get(what, -every_s) >= every_s:
            self._told[what] = now
            log.warning("bystander: %s", text)

    def _tell_lost_audio(self) -> None:
        self._tell("spool", f"{self._config.recording.spool}: audio was lost, the disk is full")

    # Calls that are over.

    def _finish(self, call: Finished) -> None:
        if isinstance(call, FinishedCall) and finished_before(call.call, self._known):
            call.discard()
            return
        self._filing.submit(call)

    def _excluded(self, call: Call) -> str | None:
        """Say why a call is not to be recorded, or None."""
        return excluded_by(self._config, call) or (
            "no space" if self._room.was_short(call.started_ns) else None
        )

    def _term_from(self, at_ns: int) -> int:
        """Return from when the term of what was recorded then counts: a capture file has its own time."""
        return self._keeping.term_from(at_ns) if self._live else at_ns

    async def _look_for_room(self, now_ns: int) -> None:
        """Record new calls only while there is room; what is within its term is never erased to make some."""
        if self._room.look(now_ns if self._live else 0):
            short = self._room.short_since_ns is not None
            self._pipeline.short_since_ns = self._room.short_since_ns
            folder = self._config.recording.directory
            if short:
                log.warning(
                    "bystander: %s: no space for new calls; those in progress are recorded on", folder
                )
            else:
                log.warning("bystander: %s: there is space again; new calls are recorded", folder)
            facts = {"bytes_free": self._room.bytes_free}
            await self._keeping.journal("no-space" if short else "space-again", facts)
            if self._live and self._ring is not None:
                if short:
                    await self._index.coverage_end(now_ns, "no-space")
                else:
                    await self._index.coverage_begin(now_ns)

    def _sweep_parts(self) -> None:
        """Remove files that a killed process was in the middle of writing."""
        now = time.time_ns()
        days = {at_ns // _DAY_NS for at_ns in (now, *(message.time_ns for message in self._messages))}
        for at_ns in sorted({(day + more) * _DAY_NS for day in days for more in (-1, 0, 1)}):
            for part in (self._config.recording.directory / self._filing.day(at_ns)).glob("*.part"):
                part.unlink(missing_ok=True)
