"""What the program says, in Polish: by the English text, by the code of a refusal, or by a room's line.

What stands in braces is filled in, and stands in both. The texts themselves are by subject in ``polish_*``.
"""

from __future__ import annotations

from typing import Final

from bystander.polish_acts import ACTS
from bystander.polish_calls import CALLS
from bystander.polish_custody import CUSTODY
from bystander.polish_doctor import DOCTOR
from bystander.polish_errors import ERRORS
from bystander.polish_findings import FINDINGS
from bystander.polish_foreign import FOREIGN
from bystander.polish_refused import REFUSED
from bystander.polish_rooms import ROOMS

__all__ = ("LINES", "REFUSED", "TEXTS")

#: By what the code gives to ``t`` and ``said``.
TEXTS: Final = {**ACTS, **CALLS, **CUSTODY, **DOCTOR}
#: Lines of the rooms, as an f-string has them: ``{}`` for each thing that is filled in, without what they are
#: of (``{}: ``) where that stands first. ``{!t}`` is told in Polish, too: a reason, another line.
LINES: Final = {**ERRORS, **FINDINGS, **ROOMS, **FOREIGN}
