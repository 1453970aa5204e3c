"""How long packets stand in the queue of the bottleneck: the least delay of late above the least for long.

The minimum leaves out jitter and what a frame adds by its own length, which the slope of the delay does not.
"""

import math
from collections import deque
from collections.abc import Sequence

from appliance.streamer.rtp.sent_packets import Received

_STANDING_S = 0.15
_BASE_S = 10.0  # forgets a route that is no more; the clocks of the two ends drift 1 ms in that time
_BASES = 2


class StandingQueue:
    """One-way delays have the offset of the two clocks in them: only their differences mean anything."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self._recent: deque[tuple[float, float]] = deque()
        self._bases: deque[float] = deque(maxlen=_BASES)
        self._base_since = -math.inf

    def add(self, received: Sequence[Received], now: float) -> None:
        """What one message of feedback was about, at least a packet."""
        least = min(arrival - sent for sent, arrival, _ in received)
        recent = self._recent
        recent.append((now, least))
        while now - recent[0][0] > _STANDING_S:
            recent.popleft()
        if now - self._base_since > _BASE_S:
            self._bases.append(least)
            self._base_since = now
        self._bases[-1] = min(self._bases[-1], least)
        self.delay_s = min(delay for _, delay in recent) - min(self._bases)

    def rebase(self, now: float) -> None:
        """The way became longer, or others keep the queue full: we cannot drain what stands now."""
        standing = min(delay for _, delay in self._recent)
        self._bases.clear()
        self._bases.append(standing)
        self._base_since = now
        self.delay_s = 0.0

    def reset(self) -> None:
        """The viewer's clock jumped."""
        self._recent.clear()
        self._bases.clear()
        self._base_since = -math.inf
        self.delay_s = 0.0
