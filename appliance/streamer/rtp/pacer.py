"""When the packets of one viewer may leave: a frame at once where the way has room, else in small bursts."""

import math

BURST_S = 0.005
"""How long the bursts are, at the pacing rate, that a frame without room is spread into."""
_FACTOR = 2.5
"""The pacing rate is so many times the target: a picture in parts is an old picture."""
_AT_ONCE_S = 0.04
"""What the target carries in this time leaves in one go: about a frame."""
MOST_AHEAD_S = 0.3
"""More than this no bottleneck keeps: what is beyond has been lost."""
_LEAST_BYTES = 3000  # two packets
_ROUNDING = 1.0


class Pacer:
    """Sans-IO: bytes, and seconds of one monotonic clock. Open until it is given a rate."""

    def __init__(self) -> None:
        self.open = True
        """Whether everything may leave at once."""
        self._rate = math.inf
        """Of the target, bytes a second."""
        self._carried = math.inf
        """What the way takes, bytes a second."""
        self._tokens = 0.0
        self._ahead = 0.0
        self._then = 0.0

    def set_rate(
        self, bps: float, now: float, *, carried_bps: float | None = None, standing: float | None = None
    ) -> None:
        """Follow a target; infinity opens.

        The way carries `carried_bps` where the target is less, to drain the `standing` bytes, if known.
        """
        if self.open:
            self._tokens, self._ahead, self._then = self._depth(bps / 8), 0.0, now
        else:
            self._settle(now)
        self._rate, self.open = bps / 8, bps == math.inf
        self._carried = bps / 8 if carried_bps is None else carried_bps / 8
        self._ahead = min(self._ahead if standing is None else standing, self._carried * MOST_AHEAD_S)

    def room(self, octets: int, now: float) -> int:
        """How many of `octets` may leave now: all, a burst, or none."""
        if self.open:
            return octets
        self._settle(now)
        if octets <= self._tokens + _ROUNDING:
            return octets
        return int(self._tokens) if self._tokens + _ROUNDING >= self._burst() else 0

    def wait(self, octets: int, now: float) -> float:
        """Seconds until there is room for a burst of `octets`."""
        if self.open:
            return 0.0
        self._settle(now)
        return max(0.0, (min(octets, self._burst()) - self._tokens) / (self._rate * _FACTOR))

    def spent(self, octets: int, now: float) -> None:
        """They have left."""
        if not self.open:
            self._settle(now)
            self._tokens -= octets
            self._ahead = min(self._ahead + octets, self._carried * MOST_AHEAD_S)

    def ahead(self, octets: int, now: float) -> float:
        """Seconds until the way is through with all that has left and `octets` more."""
        if self.open:
            return 0.0
        self._settle(now)
        return (self._ahead + octets) / self._carried

    def _settle(self, now: float) -> None:
        elapsed, self._then = now - self._then, now
        self._tokens = min(self._tokens + elapsed * self._rate * _FACTOR, self._depth(self._rate))
        self._ahead = max(0.0, self._ahead - elapsed * self._carried)

    def _burst(self) -> float:
        return max(self._rate * _FACTOR * BURST_S, _LEAST_BYTES / 2)

    @staticmethod
    def _depth(rate: float) -> float:
        return max(rate * _AT_ONCE_S, _LEAST_BYTES)
