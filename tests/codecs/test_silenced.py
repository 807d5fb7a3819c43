"""Parts of a channel silenced."""

from __future__ import annotations

import numpy as np
import pytest

from bystander.codecs.g711 import PCMA, PCMU, SILENCE
from bystander.codecs.silenced import SilencedChannel
from bystander.codecs.timeline import Channel, Run


@pytest.mark.parametrize("law", [PCMU, PCMA])
@pytest.mark.parametrize("block", [7, 100, 1000])
def test_spans_are_silent_and_the_rest_is_as_it_was(law: int, block: int) -> None:
    loud = Channel()
    loud.lay(Run(0, law, np.full(1000, 0x10, np.uint8)))
    quiet = SilencedChannel(loud, [(900, 2000), (0, 5), (300, 420)])
    assert quiet.laws() == {law: 1000}
    heard = np.empty(1000, np.uint8)
    for start in range(0, 1000, block):
        assert quiet.read(start, heard[start : start + block]) == law
    expected = np.full(1000, 0x10, np.uint8)
    for first, last in ((0, 5), (300, 420), (900, 1000)):
        expected[first:last] = SILENCE[law]
    assert (heard == expected).all()


def test_where_both_laws_are_in_a_block() -> None:
    mixed = Channel()
    mixed.lay(Run(0, PCMA, np.full(50, 0x10, np.uint8)))
    mixed.lay(Run(50, PCMU, np.full(50, 0x10, np.uint8)))
    found = SilencedChannel(mixed, [(40, 60)]).read(0, np.empty(100, np.uint8))
    assert isinstance(found, np.ndarray)
    assert (found[40:60] == 0).all() and found[:40].all() and found[60:].all()
