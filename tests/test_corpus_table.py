"""docs/corpus.md tells the truth about the public captures, and of every stream in them what became of it."""

from __future__ import annotations

import tomllib

import pytest

from tests.corpus_table import ABOUT, DOCUMENT, document, look
from tests.test_corpus import CORPUS, truth

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not truth(), reason=f"no captures in {CORPUS}"),
]

#: Why a stream may be without sound.
REASONS = {"telephone events", "video", "no decoder", "encrypted, no key", "no SDP says what it is"}
#: Codecs that nobody decodes freely (README).
UNDECODED = {"BV32", "LPC"}


def test_the_page_is_what_the_captures_are() -> None:
    """``make corpus`` writes it anew."""
    assert DOCUMENT.read_text() == document()


def test_every_capture_is_explained() -> None:
    about = tomllib.loads(ABOUT.read_text())["about"]
    assert set(about) == set(truth())
    assert all(len(text) > 15 for text in about.values())


@pytest.mark.parametrize("name", sorted(truth()))
def test_every_stream_is_heard_or_it_is_said_why_not(name: str) -> None:
    """C22: every stream in a codec that is decoded has its sound, as long as its packets are."""
    for key, streams in look(name).streams.items():
        for heard in streams:
            if heard.seconds:
                assert not heard.why
                # No packet of the captures lasts less than 4 ms or more than 90 ms.
                assert 0.004 * heard.packets <= heard.seconds <= 0.09 * heard.packets, key
            else:
                assert heard.why in REASONS, key
                assert heard.why != "no decoder" or set(heard.codecs) <= UNDECODED, key
