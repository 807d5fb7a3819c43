"""Audio that cannot be decoded is kept with the evidence."""

from __future__ import annotations

import numpy as np
import pytest

from bystander.sniffer.evidence import evidence_pcap
from bystander.undecoded import Undecoded, kept_in
from tests.sniffer.test_rtpevidence import stream


def undecoded(packets: int) -> Undecoded:
    sent = stream("10.0.0.1", packets)
    return Undecoded("caller", "EVS", packets, sent.src, sent.dst, sent.ssrc, sent.run)


def test_all_of_it_is_kept_and_memory_let_go() -> None:
    one, two = undecoded(20), undecoded(5)
    evidence = kept_in(evidence_pcap([]), [one, two])
    assert (one.kept, two.kept, one.run, two.run) == (20, 5, None, None)
    for sent in (stream("10.0.0.1", 20), stream("10.0.0.1", 5)):
        assert all(payload in evidence for payload in sent.run.payloads())
    assert one.described() == {"by": "caller", "codec": "EVS", "packets": 20, "kept": 20}


@pytest.mark.parametrize("limit", [0, 1, 500, 3000])
def test_up_to_a_limit_that_the_streams_share(limit: int) -> None:
    streams = [undecoded(200), undecoded(200), undecoded(3)]
    evidence = kept_in(evidence_pcap([]), streams, limit)
    assert len(evidence) - 24 <= limit
    kept = np.array([each.kept for each in streams])
    assert (kept > 0).all() == (limit > 400) and (kept < 200).all()


def test_nothing_to_keep_changes_nothing() -> None:
    assert kept_in(evidence_pcap([]), []) == evidence_pcap([])
