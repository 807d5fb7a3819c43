"""The section [digits]."""

from __future__ import annotations

import pytest

from bystander.config import Config, settings
from bystander.digits import DigitSettings, Mask
from bystander.errors import UserError


@pytest.mark.parametrize(
    ("section", "meant"),
    [
        ({}, DigitSettings()),
        ({"mask": "all"}, DigitSettings("auto", Mask(0))),
        ({"mask": "after 4", "inband": "never"}, DigitSettings("never", Mask(4))),
        ({"mask": "all", "mask_tones": True}, DigitSettings("always", Mask(0), True)),
    ],
)
def test_what_it_means(section: dict[str, object], meant: DigitSettings) -> None:
    assert settings(digits=section).digits.settings() == meant


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"mask": "some"}, "write none, all, or after 4"),
        ({"mask": "after"}, "write none, all, or after 4"),
        ({"mask_tones": True}, "mask_tones: only keys that are masked are silenced"),
        ({"mask_tones": True, "mask": "all", "inband": "never"}, "inband may not be never"),
        ({"inband": "maybe"}, "inband"),
        ({"masked": "all"}, "did you mean mask"),
    ],
)
def test_faults(section: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        settings(digits=section)


def test_nothing_is_hidden_by_default() -> None:
    assert not Config().digits.settings().mask.hides
