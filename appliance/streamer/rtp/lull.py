"""Feedback that tells of nothing new: of all but the newest message the gist is kept, which costs little."""

import operator
from dataclasses import dataclass

from appliance.streamer.rtp.sent_packets import Received, Report

_CALM_S = 0.010
"""Where every delay is that near to that without a queue, the queue is calm (queue_delay.py)."""


@dataclass(slots=True)
class Gist:
    """Of packets that arrived. Seconds; the viewer's clock differs from ours."""

    packets: int
    octets: int
    least_delay: float
    most_delay: float
    delays: float
    """The sum of them."""
    last_sent: float
    last_arrival: float

    def join(self, later: "Gist") -> None:
        """The same of what came afterwards, too."""
        self.packets += later.packets
        self.octets += later.octets
        self.least_delay = min(self.least_delay, later.least_delay)
        self.most_delay = max(self.most_delay, later.most_delay)
        self.delays += later.delays
        self.last_sent = later.last_sent
        self.last_arrival = max(self.last_arrival, later.last_arrival)


def gist_of(received: Received) -> Gist:
    """Of one message."""
    sent, arrivals, octets = received
    delays = list(map(operator.sub, arrivals, sent))
    return Gist(len(sent), sum(octets), min(delays), max(delays), sum(delays), sent[-1], max(arrivals))


class Lull:
    """Lasts as long as all arrives, and in time. Messages are given with the time when they were heard."""

    def __init__(self) -> None:
        self._gist: tuple[Gist, float] | None = None
        self._messages = 0
        self._newest: tuple[Report, Gist, float] | None = None

    def goes_on(self, report: Report, base_s: float, now: float) -> bool:
        """Whether this message, too, tells of nothing new; if so, it is kept.

        `base_s` is the delay without a queue.
        """
        if not report.received.sent or report.missing or report.found or report.untold or report.probed:
            return False
        gist = gist_of(report.received)
        if abs(gist.least_delay - base_s) > _CALM_S or abs(gist.most_delay - base_s) > _CALM_S:
            return False
        if self._newest is not None:
            _, known, heard_at = self._newest
            if self._gist is None:
                self._gist = known, heard_at
            else:
                self._gist[0].join(known)
                self._gist = self._gist[0], heard_at
            self._messages += 1
        self._newest = report, gist, now
        return True

    def gist(self, at_least: int = 1) -> tuple[Gist, float] | None:
        """Of the messages before the newest, where there are that many; they are kept no more."""
        if self._messages < at_least:
            return None
        gist, self._gist, self._messages = self._gist, None, 0
        return gist

    def newest(self) -> tuple[Report, float] | None:
        """To be asked for after the gist of those before it: the lull is over."""
        if self._newest is None:
            return None
        (report, _, heard_at), self._newest = self._newest, None
        return report, heard_at
