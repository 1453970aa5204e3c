"""What to make of a receiver's own estimate (draft-alvestrand-rmcat-remb), and of the loss that it reports.

The estimate is made of what the receiver gets: of a link that is not full it is about what was sent, and
grows with it, which is no reason to send less. It falls, below what is being sent, where packets queue.
"""

import math

_TURN = 0.03
_BEYOND = 1.05
_GROWTH = 1.08  # a second, draft-ietf-rmcat-gcc-02 section 5.5
_LONGEST_S = 10.0
_MUCH = 0.1  # section 6
_KEPT, _LEAST = 0.95, 0.8
_SETTLING_S = 1.5
"""A report is about the second before it."""


class ReceiverEstimate:
    """Sans-IO: rates in bits a second, times in seconds. `sending` is the rate of late, if it is known."""

    def __init__(self) -> None:
        self._fallen = False
        """Whether it has not risen since it fell last."""
        self._turn = 0
        """The lowest since it fell, or the highest since it rose."""
        self._then = -math.inf
        self._queued = self._lossy = -math.inf
        """When the estimate made the rate less, and when loss did."""

    def judge(self, bps: int, rate: float, sending: float | None, now: float) -> float:
        """The rate after an estimate, where it was `rate`."""
        passed, self._then = min(now - self._then, _LONGEST_S), now
        if sending is None:
            return bps
        self._follow(bps, first=sending > _BEYOND * bps)
        if bps >= rate:
            return min(bps, rate * math.pow(_GROWTH, passed))
        if not self._fallen or sending <= _BEYOND * bps:
            return rate
        self._queued = now
        return bps

    def judge_loss(self, share: float, rate: float, sending: float, now: float) -> float:
        """The rate after a report that such a share of the packets was lost."""
        if share < _MUCH or now - self._lossy < _SETTLING_S:
            return rate
        self._lossy = now
        # What was lost before a pause is told of after it.
        through = max(_KEPT * sending, _LEAST * rate) * (1 - share)
        if now - self._queued < _SETTLING_S:
            through = max(through, self._turn)  # less is sent already than when the packets were lost
        return min(rate, through)

    def _follow(self, bps: int, *, first: bool) -> None:
        if not self._turn:
            self._fallen, self._turn = first, bps
        elif self._fallen:
            self._turn = min(self._turn, bps)
            if bps > (1 + _TURN) * self._turn:
                self._fallen, self._turn = False, bps
        else:
            self._turn = max(self._turn, bps)
            if bps < (1 - _TURN) * self._turn:
                self._fallen, self._turn = True, bps
