"""Loss that our own sending causes, told from loss that is there whatever we send."""

from collections import deque

_WINDOW_S = 1.0
_LEAST_PACKETS = 50  # fewer say nothing about 10 %
_MOST_S = 4.0
_EXCESS = 0.1  # draft-ietf-rmcat-gcc-02 section 6
_UNMOVED = 0.75
_FORGET = 0.02


class Loss:
    """The share of lost packets, and the share of it that is no congestion.

    Without a queue, more than 10 % is first taken for a policer's: the rate goes down. If the loss does not,
    the link is just lossy, and what was given up is taken back.
    """

    def __init__(self) -> None:
        self.share = 0.0
        """Of about the last second."""
        self._counts: deque[tuple[float, int, int]] = deque()
        self._ordinary = 0.0
        self._since = 0.0
        self._tried: tuple[float, float] | None = None

    def add(self, received: int, lost: int, now: float) -> None:
        """What one message of feedback counts."""
        counts = self._counts
        counts.append((now, received, lost))
        while now - counts[0][0] > _WINDOW_S and (
            self._packets() > _LEAST_PACKETS or now - counts[0][0] > _MOST_S
        ):
            counts.popleft()
        packets = self._packets()
        self.share = min(max(sum(lost for _, _, lost in counts) / packets, 0.0), 1.0) if packets > 0 else 0.0
        if self.share < self._ordinary:
            self._ordinary += _FORGET * (self.share - self._ordinary)

    def rate_changed(self, now: float) -> None:
        """The rate was lowered for another reason: loss of before says nothing about it."""
        self._since = now
        self._tried = None

    def judge(self, rate: float, now: float) -> float:
        """The rate that the loss allows, where no queue explains it; to be asked after each message."""
        if now - self._since < _WINDOW_S * 1.5 or self._packets() < _LEAST_PACKETS:
            return rate
        if self._tried:
            before, given_up = self._tried
            self._tried = None
            if self.share > _UNMOVED * before:
                self._ordinary = self.share
                return max(rate, given_up)
        excess = self.share - self._ordinary
        if excess <= _EXCESS:
            return rate
        self._tried = self.share, rate
        self._since = now
        return rate * (1 - excess)

    def _packets(self) -> int:
        return sum(received + lost for _, received, lost in self._counts)
