"""Whether the queue at the bottleneck grows: the slope of the delay over the last bursts.

The overuse detector of draft-ietf-rmcat-gcc-02 section 5.4, on a least-squares line, no Kalman filter.
"""

import operator
from array import array
from collections.abc import Sequence
from enum import Enum

from appliance.streamer.rtp.bursts import Burst

_WINDOW = 20  # bursts
_SMOOTHING = 0.9
_GAIN = 4.0
_MOST_DELTAS = 60
_OVERUSE_S = 0.010
_THRESHOLD_START, _THRESHOLD_LEAST, _THRESHOLD_MOST = 12.5, 6.0, 600.0
_ADAPT_UP, _ADAPT_DOWN = 0.0087, 0.039  # a millisecond
_ADAPT_OUTLIER = 15.0
_ADAPT_STEP_MS = 100.0


class Usage(Enum):
    """Of the link by everybody on it."""

    UNDER = "under"
    """The queue drains."""
    NORMAL = "normal"
    OVER = "over"
    """The queue grows."""


class Trendline:
    """Milliseconds inside, as the constants of the draft have it."""

    def __init__(self) -> None:
        self._threshold = _THRESHOLD_START
        self.reset()

    def reset(self) -> None:
        """Times before and after do not compare."""
        self.usage = Usage.NORMAL
        self._last: Burst | None = None
        # Of many viewers' windows none is in the cache: what lies side by side is there at once.
        self._arrivals = array("d")
        self._delays = array("d")
        self._delay = self._smooth = 0.0
        self._origin = 0.0
        self._deltas = 0
        self._slope = 0.0
        self._over_s = 0.0
        self._over_bursts = 0

    def add(self, burst: Burst) -> None:
        """The next burst, in the order of sending."""
        last, self._last = self._last, burst
        if last is None:
            self._origin = burst.last_arrival
            return
        sent_ms = (burst.last_sent - last.last_sent) * 1e3
        arrival_ms = (burst.last_arrival - last.last_arrival) * 1e3
        if self._deltas < _MOST_DELTAS:
            self._deltas += 1
        self._delay += arrival_ms - sent_ms
        self._smooth = _SMOOTHING * self._smooth + (1 - _SMOOTHING) * self._delay
        self._arrivals.append((burst.last_arrival - self._origin) * 1e3)
        self._delays.append(self._smooth)
        if len(self._delays) == _WINDOW:
            self._detect(_slope(self._arrivals, self._delays), sent_ms, arrival_ms)
            del self._arrivals[0], self._delays[0]

    def _detect(self, slope: float, sent_ms: float, arrival_ms: float) -> None:
        trend = slope * self._deltas * _GAIN
        if trend > self._threshold:
            self._over_s += sent_ms / 1e3
            self._over_bursts += 1
            if self._over_s > _OVERUSE_S and self._over_bursts > 1 and slope >= self._slope:
                self._over_s, self._over_bursts = 0.0, 0
                self.usage = Usage.OVER
        else:
            self._over_s, self._over_bursts = 0.0, 0
            self.usage = Usage.UNDER if trend < -self._threshold else Usage.NORMAL
        self._slope = slope
        self._adapt(abs(trend), arrival_ms)

    def _adapt(self, size: float, passed_ms: float) -> None:
        """So that the flow neither starves beside one that fills queues nor takes jitter for a queue."""
        if size > self._threshold + _ADAPT_OUTLIER or size <= self._threshold == _THRESHOLD_LEAST:
            return
        speed = _ADAPT_DOWN if size < self._threshold else _ADAPT_UP
        step = speed * (size - self._threshold) * max(0.0, min(passed_ms, _ADAPT_STEP_MS))
        self._threshold = min(max(self._threshold + step, _THRESHOLD_LEAST), _THRESHOLD_MOST)


def _slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Of the least-squares line; 0 where all arrived at once."""
    mean = sum(xs) / len(xs)
    offsets = [x - mean for x in xs]
    spread = sum(map(operator.mul, offsets, offsets))
    return sum(map(operator.mul, offsets, ys)) / spread if spread else 0.0
