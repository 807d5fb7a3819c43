"""`python -m bystander` is the command `bystander`."""

from __future__ import annotations

import sys

from bystander.cli import main

if __name__ == "__main__":
    sys.exit(main())
