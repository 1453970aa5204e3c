"""The rate that delays allow: up until a queue builds, then down to a little under what arrives."""

import math
from typing import NamedTuple

_BACKOFF = 0.85  # draft-ietf-rmcat-gcc-02 section 5.5
_REACTION_S = 0.1  # on top of the round trip: feedback is that rare
_GROWTH = 0.08  # in the time of a reaction, as long as the link's capacity is not known
_ADDED_BITS = 4800  # half a packet in the time of a reaction, near the link's capacity
_STALE_S, _STALE_GROWTH = 4.0, 0.03  # a second, where the last congestion is so long ago
_LONGEST_STEP_S = 0.5
_HEADROOM, _HEADROOM_BPS = 1.5, 10_000
_NEAR = 0.1
_LIMITED = 0.75
_FALLING_BEHIND, _FALLING_LEAST_BPS, _FALLING_MOST = 0.9, 200_000, 0.6
_LINK_WEIGHT, _LINK_MOVED = 0.2, 0.25
_SQUEEZED = 0.6
_CATCHING_UP = 1.2


class Evidence(NamedTuple):
    """What is known after a message of feedback, in seconds and bits per second."""

    congested: bool
    calm: bool
    arriving: float | None
    """Over about the last half second."""
    arriving_now: float | None
    """Over a shorter time, for the moment of congestion; known only then."""
    sending: float | None
    """Known only then, too."""
    trains: float | None
    blurred: bool
    """Whether jitter is such that what arrives tells little of what the link can carry."""
    rtt_s: float
    squeezed: float | None = None
    """What the link carries where a queue grows fast."""

    @property
    def capacity(self) -> float | None:
        """What trains tell of the link; where more than that arrives, jitter made nonsense of it."""
        if self.trains is None or self.arriving is None or self.trains * self.doubt < self.arriving:
            return None
        return self.trains

    @property
    def doubt(self) -> float:
        """So many times the capacity may arrive for a while: what jitter held back catches up."""
        return _CATCHING_UP if self.blurred else 1.0


class RateControl:
    """Additive increase near the link's capacity, multiplicative far from it; multiplicative decrease."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._link: float | None = None
        self._updated = math.inf
        self._backed_off = -math.inf

    def update(self, evidence: Evidence, now: float) -> bool:
        """Whether the rate had to go down."""
        passed = min(max(now - self._updated, 0.0), _LONGEST_STEP_S)
        self._updated = now
        if evidence.squeezed is not None and evidence.squeezed < _SQUEEZED * self.rate:
            return self._give_way(evidence.squeezed, evidence, now)
        if evidence.congested:
            if now - self._backed_off < evidence.rtt_s + 2 * _REACTION_S:
                return False
            return self._back_off(evidence, now)
        if evidence.calm:
            self._grow(evidence, passed, now)
        return False

    def unlearn(self) -> None:
        """What was taken for the link's capacity was not."""
        self._link = None

    def raise_to(self, rate: float) -> None:
        """A probe was carried at this rate."""
        if rate > self.rate:
            self.rate = rate
            self.unlearn()

    def _back_off(self, evidence: Evidence, now: float) -> bool:
        carried = self._carried(evidence)
        if carried is None or _BACKOFF * carried >= self.rate:
            return False
        return self._give_way(carried, evidence, now)

    def _give_way(self, carried: float, evidence: Evidence, now: float) -> bool:
        self._backed_off = now
        self.rate = _BACKOFF * carried
        self._learn(carried, evidence)
        return True

    def _learn(self, carried: float, evidence: Evidence) -> None:
        if evidence.blurred and evidence.capacity:
            self._link = evidence.capacity
        elif self._link is None or abs(carried - self._link) > _LINK_MOVED * self._link:
            self._link = carried
        else:
            self._link += _LINK_WEIGHT * (carried - self._link)

    def _carried(self, evidence: Evidence) -> float | None:
        """What the link was able to carry at the moment of congestion; None where nothing tells."""
        if evidence.arriving_now is None or evidence.sending is None:
            return None
        if evidence.sending > _LIMITED * self.rate:
            if evidence.blurred and evidence.capacity and evidence.sending < evidence.capacity:
                return max(evidence.sending, evidence.arriving_now)  # jitter holds some of it back
            return evidence.arriving_now
        if evidence.capacity is not None:
            return min(max(evidence.capacity, evidence.arriving_now), self.rate)
        ours = evidence.arriving_now < _FALLING_BEHIND * evidence.sending
        if ours and evidence.sending > _FALLING_LEAST_BPS:
            return max(evidence.arriving_now, _FALLING_MOST * self.rate)
        return None  # what little is sent neither makes the queue nor tells what the link could carry

    def _grow(self, evidence: Evidence, passed: float, now: float) -> None:
        if evidence.arriving is None:
            return
        if self._link and evidence.arriving > (1 + _NEAR) * evidence.doubt * self._link:
            self._link = None
        most = _HEADROOM * evidence.arriving + _HEADROOM_BPS
        if most <= self.rate:
            return
        reactions = passed / (evidence.rtt_s + _REACTION_S)
        fast, slow = self.rate * (1 + _GROWTH) ** reactions, self.rate + _ADDED_BITS * reactions
        if now - self._backed_off > _STALE_S:
            slow = max(slow, self.rate * (1 + _STALE_GROWTH) ** passed)
        limits = [(1 - _NEAR) * known for known in (self._link, evidence.capacity) if known]
        grown = max(slow, min(fast, *limits)) if limits else fast
        self.rate = max(self.rate, min(grown, most))
