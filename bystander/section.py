"""What all sections of the configuration have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

#: Where an installed recorder keeps its things.
STATE: Final = Path("/var/lib/bystander")


class Section(BaseModel):
    """One section: an unknown key is a fault, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
