"""Bits per second that pass a point, seen at irregular moments."""

from collections import deque

_KEPT_S = 1.5
_APART_S = 0.005
"""Marks are no closer: a viewer that tells of arrivals at one and the same time would fill the memory."""


class Throughput:
    """Of octets counted with the time at which the last of them passed."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()

    def begin(self, at: float) -> None:
        """Count anew: what comes does not join what came."""
        self._marks.clear()
        self._marks.append((at, 0))

    def add(self, at: float, octets: int) -> None:
        """So many octets since the last call, until `at`."""
        marks = self._marks
        at = max(at, marks[-1][0])
        if len(marks) > 1 and at - marks[-2][0] < _APART_S:
            octets += marks.pop()[1]
        marks.append((at, octets))
        while at - marks[1][0] > _KEPT_S:
            marks.popleft()

    def rate_bps(self, window_s: float) -> float | None:
        """Over the shortest stretch of at least `window_s`; None as long as there was none."""
        octets = following = 0
        for at, more in reversed(self._marks):
            octets += following
            following = more
            if (stretch := self._marks[-1][0] - at) >= window_s:
                return octets * 8 / stretch
        return None
