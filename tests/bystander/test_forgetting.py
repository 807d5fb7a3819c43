"""R10: what is erased is not in the spool either, and a recorder that starts does not record it again."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bystander.forgetting import forget
from bystander.process import lock_spool
from bystander.recovery import NAME, SignallingLog, read_log, read_streams
from bystander.sniffer.sip import Arrival, Message, parse_message
from bystander.sniffer.streams import Figures
from bystander.storage.entry import time_ns
from bystander.storage.spool import Spool

CALL: dict[str, Any] = {
    "call_id": "0@office",
    "linked_call_ids": ["leg@office"],
    "ended_at": "2026-11-23T20:46:22.000Z",
    "streams": [
        {
            "src": "10.0.0.1:4000", "dst": "[::1]:4002", "ssrc": "0x00000005",
            "first_at": "2026-11-23T20:46:00.000Z",
        }
    ],
}  # fmt: skip


def of(arrival: Arrival, call_id: str, later_s: int = 0) -> Arrival:
    raw = arrival.raw.replace(b"0@office", call_id.encode())
    message = parse_message(raw)
    assert isinstance(message, Message)
    return replace(arrival, raw=raw, message=message, time_ns=arrival.time_ns + later_s * 10**9)


def left(folder: Path) -> list[str]:
    return [arrival.message.call_id for arrival in read_log(folder)]


def test_the_log_of_a_recorder_at_work_forgets_the_call_and_goes_on(
    tmp_path: Path, arrivals: list[Arrival]
) -> None:
    lock = lock_spool(tmp_path)
    log = SignallingLog(tmp_path)
    for arrival in (*arrivals, of(arrivals[0], "leg@office"), of(arrivals[0], "other@office")):
        log.append(arrival)
    forget(tmp_path, [CALL])
    assert left(tmp_path) == ["other@office"]
    content = (tmp_path / NAME).read_bytes()
    assert b"0@office" not in content and b"leg@office" not in content and b"sip:a@b" in content
    log.append(of(arrivals[0], "next@office"))
    assert left(tmp_path) == ["other@office", "next@office"]
    log.close(remove=False)
    os.close(lock)


@pytest.mark.parametrize(("later_s", "kept"), [(10, False), (60, True)])
def test_a_later_call_of_the_same_call_id_is_kept(
    tmp_path: Path, arrivals: list[Arrival], later_s: int, kept: bool
) -> None:
    """A BYE sent again belongs to the call that is erased; what comes later is in progress, perhaps."""
    log = SignallingLog(tmp_path)
    ended = replace(arrivals[0], time_ns=time_ns(CALL["ended_at"]))
    log.append(of(ended, "0@office", later_s))
    log.close(remove=False)
    forget(tmp_path, [CALL])
    assert left(tmp_path) == (["0@office"] if kept else [])


def test_media_that_a_killed_recorder_left_goes(tmp_path: Path) -> None:
    figures = asdict(
        Figures(packets=9, lost=0, duplicates=0, reordered=0, jitter_ms=0.5, last_ns=5, epoch_ns=3)
    )
    spool = Spool(tmp_path)
    for number, ssrc in ((1, 5), (2, 6)):
        facts = {
            "id": number, "src": ["10.0.0.1", 4000], "dst": ["::1", 4002], "ssrc": ssrc,
            "first_ns": time_ns("2026-11-23T20:46:00Z"), "payload_types": [8], "figures": figures,
        }  # fmt: skip
        spool.describe(number, lambda facts=facts: facts)
        spool.audio(number, 0, 8, np.zeros(160, np.uint8))
    spool.close()
    # While a recorder is at work the media is its own.
    lock = lock_spool(tmp_path)
    forget(tmp_path, [CALL])
    assert [stream.ssrc for stream in read_streams(tmp_path)] == [5, 6], (
        "a recorder's own, while it is at work"
    )
    os.close(lock)
    forget(tmp_path, [CALL])
    assert [stream.ssrc for stream in read_streams(tmp_path)] == [6]


def test_there_need_be_no_spool(tmp_path: Path) -> None:
    forget(tmp_path / "none", [CALL])
    assert not (tmp_path / "none").exists()
