"""What one viewer may ask of all: a few times at once, then now and then."""

import time
from collections.abc import Callable


class Budget:
    """`burst` at once, and one more every `seconds`."""

    def __init__(self, burst: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._seconds = seconds
        self._clock = clock
        self._left = float(burst)
        self._since = clock()

    def spend(self, amount: int = 1) -> bool:
        """Count so many; False where that is too much."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._since) / self._seconds)
        self._since = now
        if self._left < amount:
            return False
        self._left -= amount
        return True
