"""When what viewers leave behind is collected: objects in cycles, some hundred kB of each.

A full collection stops the process for 1 ms for each viewer who is there, so it is not left to the
interpreter, which makes one for every fourth viewer that joins.
"""

import gc
import logging
import time

logger = logging.getLogger(__name__)

_YOUNG, _MIDDLE, _SELDOM = 5000, 20, 100
"""A join makes some thousand objects, nearly all of which stay; the last is for what no viewer left."""
_FEW, _EACH = 16, 2


class Garbage:
    """Of one process."""

    def __init__(self) -> None:
        self._left = 0

    def begin(self) -> None:
        """What is here now stays: no collection ever looks at it again."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(_YOUNG, _MIDDLE, _SELDOM)

    def left(self, present: int) -> None:
        """A viewer left, and so many are still here."""
        self._left += 1
        if self._left >= max(_FEW, _EACH * present):
            self._collect()

    def nothing_moves(self) -> None:
        """A pause is noticed by nobody now."""
        if self._left:
            self._collect()

    def _collect(self) -> None:
        began = time.monotonic()
        gc.collect()
        logger.debug("%d viewers left: collected in %.0f ms", self._left, 1000 * (time.monotonic() - began))
        self._left = 0
