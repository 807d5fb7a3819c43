"""What is in force where no configuration says otherwise, and is needed where none is even loaded."""

from __future__ import annotations

from typing import Final

#: Seconds: of a stream without a call, of late packets after BYE, of silence that ends a call without BYE.
UNCLAIMED_S: Final = 30.0
LINGER_S: Final = 5.0
MEDIA_TIMEOUT_S: Final = 120.0
