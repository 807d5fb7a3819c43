"""``bystander run``: the process of the recorder, from the lock on its spool to its exit status."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from bystander.config import Config
from bystander.process import lock_spool, prepare_process
from bystander.recorder import Recorder
from bystander.saying import begin as saying_thread
from bystander.stopping import Stopping, noted
from bystander.storage.index import Index
from bystander.vault import opened, tidy


def run(
    config: Config, *, interface: str | None = None, read: list[Path] | None = None, file: Path | None = None
) -> int:
    """Record until told to stop (`stopping.py`) or until the files of ``read`` end; return the exit status.

    ``file`` is where the configuration was read from. Raises UserError or CaptureError when the recorder
    cannot start: one line each.
    """
    prepare_process()
    # Whatever this process makes is its own: recordings, spool, index, and the folders they are in (R7).
    os.umask(0o077)
    saying = saying_thread()
    try:
        with noted() as stopping:
            return asyncio.run(_record(config, interface, read, file, stopping))
    finally:
        saying.end()


async def _record(
    config: Config, interface: str | None, read: list[Path] | None, file: Path | None, stopping: Stopping
) -> int:
    lock = lock_spool(config.recording.spool)
    try:
        with opened(config) as vault:
            async with await Index.open(config.recording.index) as index:
                recorder = Recorder(config, index, vault, live=read is None, file=file)
                stopping.tell(asyncio.get_running_loop(), recorder.stop)
                await recorder.recover()
                return await recorder.run(interface or config.capture.interface, read)
    finally:
        await asyncio.to_thread(tidy, config)
        os.close(lock)
