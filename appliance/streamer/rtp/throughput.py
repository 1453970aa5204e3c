"""Bits per second that pass a point, seen at irregular moments."""

from bisect import bisect_right

_KEPT_S, _OVERDUE_S = 1.5, 3.0
_APART_S = 0.005
"""Marks are no closer: a viewer that tells of arrivals at one and the same time would fill the memory."""


class Throughput:
    """Of octets counted with the time at which the last of them passed."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._totals: list[int] = []
        """Octets that had passed at `_times`."""

    def begin(self, at: float) -> None:
        """Count anew: what comes does not join what came."""
        self._times, self._totals = [at], [0]

    def add(self, at: float, octets: int) -> None:
        """So many octets since the last call, until `at`."""
        times, totals = self._times, self._totals
        if at < times[-1]:
            at = times[-1]
        total = totals[-1] + octets
        if len(times) > 1 and at - times[-2] < _APART_S:
            times[-1], totals[-1] = at, total
        else:
            times.append(at)
            totals.append(total)
        if at - times[0] > _OVERDUE_S:
            old = bisect_right(times, at - _KEPT_S) - 1
            del times[:old], totals[:old]

    def rate_bps(self, window_s: float) -> float | None:
        """Over the shortest stretch of at least `window_s`; None as long as there was none."""
        times = self._times
        if not times:
            return None
        until = times[-1]
        begin = bisect_right(times, until - window_s) - 1
        while until - times[begin + 1] >= window_s:  # a difference of times is rounded
            begin += 1
        while begin >= 0 and until - times[begin] < window_s:
            begin -= 1
        if begin < 0:
            return None
        return (self._totals[-1] - self._totals[begin]) * 8 / (until - times[begin])
