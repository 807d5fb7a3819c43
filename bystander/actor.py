"""Who acts, as the journal names them."""

from __future__ import annotations

import os
import pwd
from typing import Final

#: The daemon.
RECORDER: Final = "recorder"


def actor() -> str:
    """Return the person at the command line: the login, also behind sudo."""
    name = os.environ.get("SUDO_USER")
    if not name or os.geteuid() != 0:
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = str(os.getuid())
    return f"user:{name}"
