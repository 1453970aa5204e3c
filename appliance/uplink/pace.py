"""When to try again."""

import random
import time
from collections.abc import Callable

_LEAST_SECONDS, _MOST_SECONDS = 0.1, 10.0
_STABLE_SECONDS = 30.0


class Backoff:
    """Exponential and jittered; it begins anew after an attempt that lasted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._began = clock()

    def begin(self) -> None:
        """An attempt begins."""
        self._began = self._clock()

    def pause(self) -> float:
        """It has ended: seconds until the next one."""
        if self._clock() - self._began > _STABLE_SECONDS:
            self._failures = 0
        longest = min(_MOST_SECONDS, _LEAST_SECONDS * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        return random.uniform(longest / 2, longest)  # noqa: S311
