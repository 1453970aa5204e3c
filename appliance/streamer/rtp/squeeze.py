"""A link that carries much less all of a sudden: how fast the delay of the last packets grows.

A queue is full long before its least delay has stood for a while, and what does not fit into it is lost.
"""

import itertools
import math
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from appliance.streamer.rtp.sent_packets import Received

_SPAN_S, _RECENT_S = 0.05, 0.3
_MARKS = 64
_GROWN_S, _GROWTH = 0.03, 0.4
_EVEN = 1.5
_FORGET_S = 3.0


class _Mark(NamedTuple):
    """A packet: when it arrived, by how much later than without a queue, octets since the mark before."""

    arrival: float
    delay: float
    octets: int


class Squeeze:
    """Looks at the middle and at the end of every message of feedback."""

    def __init__(self) -> None:
        self._marks: deque[_Mark] = deque(maxlen=_MARKS)
        self._usual = 0.0
        """To what jitter and others on the link make the delay grow, too."""

    def reset(self) -> None:
        """The viewer's clock jumped."""
        self._marks.clear()

    def add(self, received: Received, base_s: float) -> float | None:
        """Bits per second that get through where the queue grows fast; None where it does not.

        `base_s` is the delay without a queue, of these clocks.
        """
        self._marks.extend(_marks(received, base_s))
        newest = self._marks[-1]
        while newest.arrival - self._marks[0].arrival > _RECENT_S:
            self._leave(self._marks.popleft(), self._marks[0])
        if newest.delay < _GROWN_S + self._usual:
            return None
        begin = max(
            (at for at, mark in enumerate(self._marks) if newest.arrival - mark.arrival >= _SPAN_S), default=0
        )
        marks = list(itertools.islice(self._marks, begin, None))
        oldest = marks[0]
        span = newest.arrival - oldest.arrival
        grown = newest.delay - oldest.delay
        if span < _SPAN_S or grown < _GROWTH * span:
            return None
        octets = sum(mark.octets for mark in marks) - oldest.octets
        # A way that became longer at once is an interruption, with the usual speed before and after it.
        even = all(
            after.octets * span <= _EVEN * octets * (after.arrival - before.arrival)
            for before, after in itertools.pairwise(marks)
        )
        return octets * 8 / span if even else None

    def _leave(self, mark: _Mark, following: _Mark) -> None:
        passed = max(0.0, following.arrival - mark.arrival)
        self._usual = max(self._usual, mark.delay) * math.exp(-passed / _FORGET_S)


def _marks(received: Received, base_s: float) -> Iterator[_Mark]:
    sent, arrivals, octets = received
    middle = len(sent) // 2
    if middle:
        arrival = arrivals[middle - 1]
        yield _Mark(arrival, arrival - sent[middle - 1] - base_s, sum(octets[:middle]))
    yield _Mark(arrivals[-1], arrivals[-1] - sent[-1] - base_s, sum(octets[middle:]))
