"""What frames tell about the link: packets sent faster than it takes them come out at its own speed."""

from array import array

from appliance.streamer.rtp.bursts import Burst

_PAUSE_S, _LONGEST_S = 0.010, 0.050
_LEAST_PACKETS, _LEAST_OCTETS = 4, 4000
_SHORTEST_S = 0.001
_KEPT_S = 1.0
_SLOWER = 0.25


class Trains:
    """A train is a run of bursts without a pause between them."""

    def __init__(self) -> None:
        self._train: list[Burst] = []
        self._ends = array("d")
        self._speeds = array("d")
        """Of the trains that left at `_ends`."""

    def add(self, burst: Burst) -> None:
        """The next burst, in the order of sending."""
        train = self._train
        if train and (
            burst.first_sent - train[-1].last_sent > _PAUSE_S
            or burst.first_sent - train[0].first_sent > _LONGEST_S
        ):
            self._measure()
            train.clear()
        train.append(burst)

    def reset(self) -> None:
        """The viewer's clock jumped."""
        self._train.clear()

    def speed_bps(self, now: float, *, blurred: bool = False) -> float | None:
        """At which trains of the last second came out, the median; None without trains.

        With much jitter the slower ones: what it held back catches up faster than the link carries it.
        """
        while self._ends and now - self._ends[0] > _KEPT_S:
            del self._ends[0], self._speeds[0]
        if not self._speeds:
            return None
        speeds = sorted(self._speeds)
        if blurred:
            return speeds[int(len(speeds) * _SLOWER)]
        return (speeds[(len(speeds) - 1) // 2] + speeds[len(speeds) // 2]) / 2

    def _measure(self) -> None:
        packets = sum(burst.packets for burst in self._train)
        octets = sum(burst.octets for burst in self._train)
        if packets < _LEAST_PACKETS or octets < _LEAST_OCTETS:
            return
        first = min(burst.first_arrival for burst in self._train)
        last = max(burst.last_arrival for burst in self._train)
        followed = octets * (packets - 1) / packets  # what arrived after the first packet did
        self._ends.append(self._train[-1].last_sent)
        self._speeds.append(followed * 8 / max(last - first, _SHORTEST_S))
