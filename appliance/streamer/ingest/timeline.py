"""Timestamps of a sender on our own line of time, whatever they begin with, and whoever sends after it."""

_JUMP_S = 10
"""A sender whose timestamps jump further began anew."""


class Timeline:
    """Maps RTP timestamps to ones that strictly rise, `rate` a second, beginning with our monotonic clock."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._theirs: int | None = None
        self._ours = -1

    def restart(self) -> None:
        """Another sender follows."""
        self._theirs = None

    def place(self, timestamp: int, now_ns: int) -> int:
        """Where `timestamp` is; `now_ns` is when it came."""
        now = now_ns * self._rate // 1_000_000_000
        step = (
            0 if self._theirs is None else ((timestamp - self._theirs + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        )
        if self._theirs is None or abs(step) > _JUMP_S * self._rate:
            step = now - self._ours
        self._theirs = timestamp
        self._ours += max(1, step)
        return self._ours
