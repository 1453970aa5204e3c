"""What frames tell about the link: packets sent faster than it takes them come out at its own speed."""

import statistics
from collections import deque

from appliance.streamer.rtp.bursts import Burst

_GAP_S = 0.010
_LEAST_PACKETS, _LEAST_OCTETS = 4, 4000
_SHORTEST_S = 0.001
_KEPT_S = 1.0


class Trains:
    """A train is a run of bursts without a pause between them."""

    def __init__(self) -> None:
        self._train: list[Burst] = []
        self._speeds: deque[tuple[float, float]] = deque()

    def add(self, burst: Burst) -> None:
        """The next burst, in the order of sending."""
        if self._train and burst.first_sent - self._train[-1].last_sent > _GAP_S:
            self._measure()
            self._train.clear()
        self._train.append(burst)

    def reset(self) -> None:
        """The viewer's clock jumped."""
        self._train.clear()

    def speed_bps(self, now: float) -> float | None:
        """At which trains of the last second came out, the median; None without trains."""
        while self._speeds and now - self._speeds[0][0] > _KEPT_S:
            self._speeds.popleft()
        return statistics.median(speed for _, speed in self._speeds) if self._speeds else None

    def _measure(self) -> None:
        packets = sum(burst.packets for burst in self._train)
        octets = sum(burst.octets for burst in self._train)
        if packets < _LEAST_PACKETS or octets < _LEAST_OCTETS:
            return
        first = min(burst.first_arrival for burst in self._train)
        last = max(burst.last_arrival for burst in self._train)
        carried = octets * (packets - 1) / packets
        self._speeds.append((self._train[-1].last_sent, carried * 8 / max(last - first, _SHORTEST_S)))
