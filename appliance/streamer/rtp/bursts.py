"""Packets that left together, seen as one (draft-ietf-rmcat-gcc-02 section 5.2)."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.streamer.rtp.sent_packets import Received

_BURST_S = 0.005


@dataclass(slots=True)
class Burst:
    """Seconds of the sender's and of the viewer's clock."""

    first_sent: float
    last_sent: float
    first_arrival: float
    last_arrival: float
    packets: int
    octets: int

    def join(self, last_sent: float, arrivals: Sequence[float], octets: Sequence[int]) -> None:
        """More packets of it, the last of which left at `last_sent`."""
        first, last = min(arrivals), max(arrivals)
        if first < self.first_arrival:
            self.first_arrival = first
        if last > self.last_arrival:
            self.last_arrival = last
        if last_sent > self.last_sent:
            self.last_sent = last_sent
        self.packets += len(octets)
        self.octets += sum(octets)


class BurstAssembler:
    """Puts received packets together again; stragglers of a burst that is complete are left out."""

    def __init__(self) -> None:
        self._open: Burst | None = None

    def add(self, received: Received) -> list[Burst]:
        """The bursts that are complete now: something sent later has arrived too."""
        sent, arrivals, octets = received
        complete: list[Burst] = []
        begin, count = 0, len(sent)
        while begin < count:
            burst, at = self._open, sent[begin]
            if burst is None or at - burst.first_sent > _BURST_S:
                if burst:
                    complete.append(burst)
                burst = self._open = Burst(at, at, arrivals[begin], arrivals[begin], 0, 0)
            elif at < burst.first_sent:
                begin += 1
                continue
            end = _end(sent, begin, burst.first_sent)
            burst.join(sent[end - 1], arrivals[begin:end], octets[begin:end])
            begin = end
        return complete

    def reset(self) -> None:
        """The viewer's clock jumped: what comes does not compare with what came."""
        self._open = None


def _end(sent: Sequence[float], begin: int, first: float) -> int:
    """Up to which packet they are of the burst that begins at `first`, as the one at `begin` is."""
    if sent[-1] - first <= _BURST_S:
        return len(sent)
    end = bisect_right(sent, first + _BURST_S, begin, len(sent) - 1)
    while sent[end] - first <= _BURST_S:  # a difference of times is rounded
        end += 1
    while sent[end - 1] - first > _BURST_S:
        end -= 1
    return end
