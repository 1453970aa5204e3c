"""How long packets stand in the queue of the bottleneck: the least delay of late above the least for long.

The minimum leaves out jitter and what a frame adds by its own length, which the slope of the delay does not.
"""

import math
import operator
from collections import deque

_STANDING_S, _LONGEST_S = 0.09, 0.6
_LEAST_PACKETS = 20
_BASE_S = 10.0  # forgets a route that is no more; the clocks of the two ends drift 1 ms in that time
_BASES = 2
_UNMOVED_S, _FELL, _GREW = 2.0, 0.8, 1.1
_BLUR, _BLUR_WITH_ROOM, _ORDINARY_JITTER_S = 4.0, 6.0, 0.004
_SPREAD_BLUR, _ORDINARY_SPREAD_S, _SPREAD_MOST_S = 0.4, 0.015, 0.1
_JITTER_WEIGHT, _JITTER_MOST_S = 0.03, 0.04
_NOTICED_S, _CALM_S, _LONG_S = 0.008, 0.010, 0.035
_DELAY = operator.itemgetter(1)


class StandingQueue:
    """One-way delays have the offset of the two clocks in them: only their differences mean anything."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.base_s = 0.0
        """The delay without a queue; valid after the first message."""
        self.blur_s = 0.0
        """What jitter makes of no queue at all."""
        self._room = False
        self._jitter = 0.0
        self._messages = 0
        self._spread = 0.0
        self._recent: deque[tuple[float, float, int]] = deque()
        """When a message came, the least delay it told of, and of how many packets."""
        self._packets = 0
        self._bases: deque[float] = deque(maxlen=_BASES)
        self._base_since = -math.inf
        self._unmoved: tuple[float, float] | None = None

    @property
    def calm(self) -> bool:
        """No queue to speak of, as far as jitter lets us see."""
        return self.delay_s <= max(_CALM_S, self.blur_s)

    @property
    def noticed(self) -> bool:
        """Enough to believe the slope of the delay."""
        return self.delay_s > _NOTICED_S + self.blur_s

    @property
    def long(self) -> bool:
        """Too long, growing or not."""
        return self.delay_s > _LONG_S + self.blur_s

    @property
    def excess_s(self) -> float:
        """What is to be drained."""
        return max(0.0, self.delay_s - max(_CALM_S, self.blur_s))

    def stood(self, delay: float) -> float:
        """Of a packet with this delay: how long the queue was for it, as far as jitter lets us see."""
        return max(0.0, delay - self.base_s - self.blur_s)

    def allow(self, *, room: bool) -> None:
        """Whether something else says that the link has room: then jitter needs no queue to explain it."""
        if room != self._room:
            self._room = room
            self._blur()

    def add(self, least: float, mean: float, packets: int, now: float) -> bool:
        """The least and the mean delay of one message; whether what stood turned out not to be ours."""
        recent = self._recent
        self._messages += 1
        weight = max(_JITTER_WEIGHT, 1 / self._messages)
        self._spread += weight * (min(mean - least, _SPREAD_MOST_S) - self._spread)
        if recent:
            step = min(abs(least - recent[-1][1]), _JITTER_MOST_S)
            self._jitter += weight * (step - self._jitter)
        self._blur()
        recent.append((now, least, packets))
        self._packets += packets
        while (age := now - recent[0][0]) > _STANDING_S:
            if self._packets - recent[0][2] < _LEAST_PACKETS and age < _LONGEST_S:
                break
            self._packets -= recent.popleft()[2]
        if now - self._base_since > _BASE_S:
            self._bases.append(least)
            self._base_since = now
        elif least < self._bases[-1]:
            self._bases[-1] = least
        self.base_s = min(self._bases)
        self.delay_s = min(map(_DELAY, recent)) - self.base_s
        return self._explain(now)

    def _blur(self) -> None:
        self.blur_s = max(
            0.0,
            (_BLUR_WITH_ROOM if self._room else _BLUR) * (self._jitter - _ORDINARY_JITTER_S),
            _SPREAD_BLUR * (self._spread - _ORDINARY_SPREAD_S),
        )

    def _explain(self, now: float) -> bool:
        """By a longer way, or by others who keep the queue full, where what stands does not move."""
        if not self.long:
            self._unmoved = None
            return False
        if self._unmoved is None or not _FELL < self.delay_s / self._unmoved[1] < _GREW:
            self._unmoved = now, self.delay_s
        if now - self._unmoved[0] < _UNMOVED_S:
            return False
        self.base_s = min(map(_DELAY, self._recent))
        self._bases.clear()
        self._bases.append(self.base_s)
        self._base_since = now
        self._unmoved = None
        self.delay_s = 0.0
        return True

    def reset(self) -> None:
        """The viewer's clock jumped."""
        self._recent.clear()
        self._packets = 0
        self._bases.clear()
        self._base_since = -math.inf
        self.delay_s = 0.0
