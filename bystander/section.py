"""What all sections of the configuration have in common."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

#: Where an installed recorder keeps its things.
STATE: Final = Path("/var/lib/bystander")


class Section(BaseModel):
    """One section: an unknown key is a fault, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def host_and_port(text: str) -> tuple[str, int]:
    """Return the host (an address, without brackets) and the port of a `listen`; raises ValueError.

    Port 0 lets the kernel choose one.
    """
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):(\d{1,5})", text)
    if match is None or int(match[3]) > 65535:
        raise ValueError("listen: write it as 127.0.0.1:9464 or [::1]:9464")
    host = match[1] or match[2]
    host = "127.0.0.1" if host == "localhost" else host
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"listen: {host} is not an IP address") from None
    return host, int(match[3])
