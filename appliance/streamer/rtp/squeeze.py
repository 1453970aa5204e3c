"""A link that carries much less all of a sudden: how fast the delay of the last packets grows.

A queue is full long before its least delay has stood for a while, and what does not fit into it is lost.
"""

import itertools
import math
import operator
from collections import deque
from typing import TypeAlias

from appliance.streamer.rtp.sent_packets import Received

_SPAN_S, _RECENT_S = 0.05, 0.3
_MARKS = 64
_GROWN_S, _GROWTH = 0.03, 0.4
_LEAST_OCTETS = 4000
"""Less than that tells no rate: at a busy viewer any single packet may come late."""
_EVEN = 1.5
_SHORTEST_S = 0.001
_FAST = 4.0
"""More than that is not explained by others who share the link."""
_FORGET_S = 3.0


_Mark: TypeAlias = tuple[float, float, int]
"""A packet: when it arrived, by how much later than without a queue, octets since the mark before."""


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
        sent, arrivals, octets = received
        marks, middle = self._marks, len(sent) // 2
        if middle:
            arrival = arrivals[middle - 1]
            marks.append((arrival, arrival - sent[middle - 1] - base_s, sum(octets[:middle])))
        arrival = arrivals[-1]
        delay = arrival - sent[-1] - base_s
        marks.append((arrival, delay, sum(octets[middle:])))
        while arrival - marks[0][0] > _RECENT_S:
            left, late, _ = marks.popleft()
            passed = marks[0][0] - left
            usual = max(self._usual, late)
            self._usual = usual * math.exp(-passed / _FORGET_S) if passed > 0 else usual
        if delay < _GROWN_S + self._usual:
            return None
        carried = self._look_back()
        # What came late and at the usual speed: the viewer was busy, or the way was interrupted.
        if carried is not None and _fastest_bps(received) > _FAST * carried:
            return None
        return carried

    def _look_back(self) -> float | None:
        marks = list(self._marks)
        newest, newest_delay, _ = marks[-1]
        begin, total = len(marks) - 1, 0
        while begin and (newest - marks[begin][0] < _SPAN_S or total < _LEAST_OCTETS):
            total += marks[begin][2]
            begin -= 1
        oldest, oldest_delay, _ = marks[begin]
        span = newest - oldest
        if total < _LEAST_OCTETS or span < _SPAN_S or newest_delay - oldest_delay < _GROWTH * span:
            return None
        # A way that became longer at once is an interruption, with the usual speed before and after it.
        even = all(
            octets * span <= _EVEN * total * (after - before)
            for (before, _, _), (after, _, octets) in itertools.pairwise(marks[begin:])
        )
        return total * 8 / span if even else None


def _fastest_bps(received: Received) -> float:
    """At which something that was sent at once came; 0 where there is too little of that to tell."""
    fastest = 0.0
    for _, burst in itertools.groupby(zip(*received, strict=True), key=operator.itemgetter(0)):
        _, arrivals, octets = zip(*burst, strict=True)
        if (total := sum(octets)) >= _LEAST_OCTETS:
            took = max(max(arrivals) - min(arrivals), _SHORTEST_S)
            fastest = max(fastest, (total - octets[0]) * 8 / took)  # what arrived after the first packet did
    return fastest
