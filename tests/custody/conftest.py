"""The vault of `tests/bureau.py` for the tests of this room."""

from tests.bureau import DAY_NS, NOW_NS, Bureau, bureau, configured, office, refused, run

__all__ = ["DAY_NS", "NOW_NS", "Bureau", "bureau", "configured", "office", "refused", "run"]
