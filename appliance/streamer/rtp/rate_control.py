"""The rate that delays allow: up until a queue builds, then down to a little under what arrives."""

import math
from typing import NamedTuple

from appliance.streamer.rtp.trendline import Usage

_BACKOFF = 0.85
_STANDING_S = 0.035
"""So long a queue is too long, growing or not."""
_NOTICED_S = 0.008
_CALM_S = 0.015
_GROWTH = 0.08  # a second, where the link's capacity is not known
_PACKET_BITS = 9600
_REACTION_S = 0.1
_HEADROOM, _HEADROOM_BPS = 1.5, 10_000
_LIMITED = 0.75
_IDLE = 0.1
_LINK_WEIGHT = 0.2
_NEAR_LINK = 0.1
_FUTILE = 3


class Evidence(NamedTuple):
    """What is known after a message of feedback, in seconds and bits per second."""

    usage: Usage
    queue_s: float
    arriving: float | None
    """Over about the last half second."""
    arriving_now: float | None
    """Over a shorter time, for the moment of congestion."""
    sending: float | None
    trains: float | None
    rtt_s: float


class RateControl:
    """Additive increase near the link's capacity, multiplicative far from it; multiplicative decrease."""

    def __init__(self, rate: float, floor: int) -> None:
        self.rate = rate
        self.floor = floor
        self.futile = 0
        """How often in a row the queue has not fallen although we gave way."""
        self._link: float | None = None
        self._updated = -math.inf
        self._backed_off = -math.inf
        self._queue_then = 0.0

    def update(self, evidence: Evidence, ceiling: int, now: float) -> bool:
        """Whether the rate had to go down."""
        passed = min(now - self._updated, 0.5)
        self._updated = now
        limited = evidence.sending is not None and evidence.sending < _LIMITED * self.rate
        over = evidence.usage is Usage.OVER and evidence.queue_s > _NOTICED_S
        if over or evidence.queue_s > _STANDING_S:
            if now - self._backed_off < evidence.rtt_s + 2 * _REACTION_S:
                return False
            return self._back_off(evidence, limited=limited, now=now)
        if evidence.queue_s < _CALM_S and evidence.usage is Usage.NORMAL:
            self.futile = 0
            self._grow(evidence, ceiling, passed)
        return False

    def raise_to(self, rate: float) -> None:
        """A probe was carried at this rate."""
        if rate > self.rate:
            self.rate = rate
            self._link = None

    def _back_off(self, evidence: Evidence, *, limited: bool, now: float) -> bool:
        carried = evidence.arriving_now
        if limited:
            if evidence.trains is None or (evidence.sending or 0.0) < _IDLE * self.rate:
                return False  # what little is sent says nothing about what the link could carry
            carried = min(max(evidence.trains, carried or 0.0), self.rate)
        if carried is None:
            return False
        self.futile = self.futile + 1 if evidence.queue_s > 0.9 * self._queue_then else 0
        self._queue_then = evidence.queue_s
        self._backed_off = now
        if _BACKOFF * carried >= self.rate:
            return False
        self.rate = max(_BACKOFF * carried, self.floor)
        self._link = carried if self._link is None else self._link + _LINK_WEIGHT * (carried - self._link)
        if abs(carried - self._link) > 0.25 * self._link:
            self._link = carried
        return True

    def _grow(self, evidence: Evidence, ceiling: int, passed: float) -> None:
        if evidence.arriving is None:
            return
        if self._link and evidence.arriving > (1 + _NEAR_LINK) * self._link:
            self._link = None
        if self._link and self.rate > (1 - 2 * _NEAR_LINK) * self._link:
            grown = self.rate + _PACKET_BITS / (evidence.rtt_s + _REACTION_S) * passed
        else:
            grown = self.rate * (1 + _GROWTH) ** passed
        most = _HEADROOM * evidence.arriving + _HEADROOM_BPS
        self.rate = max(self.rate, min(grown, most, ceiling))
