"""What the way from a sender carries, by when its packets left (abs-send-time) and when they came.

The receiver's side of draft-ietf-rmcat-gcc-02, as a brake: where nothing queues, the sender may send what is
wished at once. Nothing is known of senders that do not say when a packet left.
"""

import math

from appliance.streamer.rtp.bursts import BurstAssembler
from appliance.streamer.rtp.sent_packets import Received
from appliance.streamer.rtp.throughput import Throughput
from appliance.streamer.rtp.trendline import Trendline, Usage

_UNIT_S = 1 / (1 << 18)
_TURN = 1 << 24  # of their clock, 64 s
_RATE_S = 0.5
_LESS, _AGAIN_S = 0.85, 0.5
_LEAST_BPS = 100_000
_GROWTH = 1.08
"""A second."""


class Brake:
    """Times are time.monotonic()."""

    def __init__(self) -> None:
        self._bursts = BurstAssembler()
        self._trend = Trendline()
        self._arriving = Throughput()
        self._sent: int | None = None
        """When the last packet left, not wrapped."""
        self._limit_bps = math.inf
        self._braked_at = -math.inf
        self._grown_at = 0.0

    def add(self, sent: int, octets: int, now: float) -> bool:
        """A packet that left at `sent` (24 bits) came; whether there is less room than there was."""
        if self._sent is None:
            self._sent = sent
            self._arriving.begin(now)
        self._sent += (sent - self._sent + _TURN // 2) % _TURN - _TURN // 2
        self._arriving.add(now, octets)
        for burst in self._bursts.add(Received((self._sent * _UNIT_S,), (now,), (octets,))):
            self._trend.add(burst)
        arriving = self._arriving.rate_bps(_RATE_S)
        if self._trend.usage is not Usage.OVER or arriving is None or now - self._braked_at < _AGAIN_S:
            return False
        self._braked_at = self._grown_at = now
        self._limit_bps = max(min(self._limit_bps, _LESS * arriving), _LEAST_BPS)
        return True

    def allowed_bps(self, wished_bps: int, now: float) -> int:
        """As much of `wished_bps` as there is room for."""
        if self._trend.usage is Usage.NORMAL and self._limit_bps < wished_bps:
            self._limit_bps *= math.pow(_GROWTH, now - self._grown_at)
        self._grown_at = now
        return int(min(wished_bps, self._limit_bps))
