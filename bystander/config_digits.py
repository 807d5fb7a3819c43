"""The section [digits] of the configuration: keys pressed in calls, how they are found and who sees them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, model_validator

from bystander.digits import DigitSettings, InBand, Mask
from bystander.section import Section
from bystander.sniffer.maskedinfo import masked
from bystander.sniffer.sip import Arrival


def _mask(text: str) -> str:
    if not re.fullmatch(r"none|all|after \d{1,4}", text):
        raise ValueError("write none, all, or after 4")
    return text


class Digits(Section):
    """[digits]: keys pressed during a call; they may be card numbers and PINs."""

    inband: InBand = "auto"
    mask: Annotated[str, AfterValidator(_mask)] = "none"
    mask_tones: bool = False

    @model_validator(mode="after")
    def _something_to_mask(self) -> Digits:
        if self.mask_tones and self.mask == "none":
            raise ValueError("mask_tones: only keys that are masked are silenced; set mask, too")
        if self.mask_tones and self.inband == "never":
            raise ValueError("mask_tones: a tone must be found to be silenced; inband may not be never")
        return self

    def shown(self, arrival: Arrival) -> Arrival:
        """Return what of a message may be kept."""
        return arrival if self.mask == "none" else masked(arrival)

    def settings(self) -> DigitSettings:
        """Return the same as those who write recordings take it."""
        if self.mask == "none":
            return DigitSettings(self.inband)
        shown = 0 if self.mask == "all" else int(self.mask.removeprefix("after "))
        # What is to be silenced must be found, whatever was agreed on.
        return DigitSettings("always" if self.mask_tones else self.inband, Mask(shown), self.mask_tones)
