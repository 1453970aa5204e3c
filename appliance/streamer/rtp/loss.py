"""Loss that our own sending causes, told by trial from loss that is there whatever we send."""

import math
from collections import deque

_WINDOW_S, _LONGEST_S = 1.0, 4.0
_LEAST_PACKETS = 50  # fewer say nothing about some percent
_NOTICED, _DEVIATIONS = 0.03, 2.0
_MUCH = 0.1  # draft-ietf-rmcat-gcc-02 section 6
_LIMITED = 0.6
_TRIAL, _UNMOVED = 0.9, 0.4
_SETTLING_S = 1.5
_EXPLAINED_S = 0.25
_FORGET = 0.01


class _Window:
    """What was counted in about the last second."""

    def __init__(self) -> None:
        self.share = 0.0
        self.packets = 0
        self._counts: deque[tuple[float, int, int]] = deque()
        self._lost = 0

    @property
    def tells(self) -> bool:
        """Whether it has enough packets to say something."""
        return self.packets >= _LEAST_PACKETS

    @property
    def deviation(self) -> float:
        """Of a share that is counted in so many packets."""
        return math.sqrt(self.share * (1 - self.share) / self.packets)

    def add(self, packets: int, lost: int, now: float) -> None:
        counts = self._counts
        counts.append((now, packets, lost))
        self.packets += packets
        self._lost += lost
        while (age := now - counts[0][0]) > _WINDOW_S:
            _, packets, lost = counts[0]
            if self.packets - packets < _LEAST_PACKETS and age < _LONGEST_S:
                break
            self.packets -= packets
            self._lost -= lost
            counts.popleft()
        self.share = min(self._lost / self.packets, 1.0) if self._lost > 0 and self.packets > 0 else 0.0


class Loss:
    """The share of lost packets, and the share of it that is no congestion.

    Loss without a queue may be a policer's or a short buffer's: the rate is lowered for a moment. Where the
    loss stays, the link is just lossy, and what was given up is taken back.
    """

    def __init__(self) -> None:
        self._all = _Window()
        self._unexplained = _Window()
        self._missing = 0
        self._queued = -math.inf
        self._ordinary = 0.0
        self._since = -math.inf
        self._trial: tuple[float, float] | None = None

    @property
    def share(self) -> float:
        """Of about the last second."""
        return self._all.share

    @property
    def unexplained(self) -> float:
        """The same, without what was lost while a queue stood."""
        return self._unexplained.share

    def add(self, received: int, missing: int, found: int, now: float, *, queued: bool) -> None:
        """What one message of feedback counts; what is missing has until the next one to come after all."""
        lost = self._missing - found
        self._missing = missing
        if queued:
            self._queued = now
        self._all.add(received + lost, lost, now)
        if now - self._queued > _EXPLAINED_S:
            self._unexplained.add(received + lost, lost, now)
            if self._unexplained.share < self._ordinary:
                self._ordinary += _FORGET * (self._unexplained.share - self._ordinary)

    @property
    def suspicious(self) -> bool:
        """Whether it may be our own: no time to send more."""
        window = self._unexplained
        if not window.tells:
            return False
        if self._trial is not None:
            return True
        much = window.share > _NOTICED
        return much and window.share - self._ordinary > _NOTICED + _DEVIATIONS * window.deviation

    @property
    def on_trial(self) -> bool:
        """Whether the rate is lower for a moment to see what that changes."""
        return self._trial is not None

    def rate_changed(self, now: float) -> None:
        """The rate was lowered for another reason: loss of before says nothing about it."""
        self._since = now
        self._trial = None

    def judge(self, rate: float, arriving: float, now: float) -> float:
        """The rate that the loss allows where no queue explains it, to be asked after each message."""
        if now - self._since < _SETTLING_S or not self._unexplained.tells:
            return rate
        share = self.unexplained
        if self._trial:
            before, given_up = self._trial
            self._trial = None
            if share > _UNMOVED * before:
                self._ordinary = share
                return given_up
        if not self.suspicious or (arriving < _LIMITED * rate and share - self._ordinary < _MUCH):
            return rate
        self._trial = share, rate
        self._since = now
        return min(_TRIAL * arriving, rate)
