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
        self._train: Burst | None = None
        """Its bursts, as one."""
        self._ends = array("d")
        self._speeds = array("d")
        """Of the trains that left at `_ends`."""

    def add(self, burst: Burst) -> None:
        """The next burst, in the order of sending."""
        train = self._train
        if train is None:
            self._train = burst
        elif (
            burst.first_sent - train.last_sent > _PAUSE_S or burst.first_sent - train.first_sent > _LONGEST_S
        ):
            self._measure(train)
            self._train = burst
        else:
            self._train = _joined(train, burst)

    def reset(self) -> None:
        """The viewer's clock jumped."""
        self._train = None

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

    def _measure(self, train: Burst) -> None:
        packets, octets = train.packets, train.octets
        if packets < _LEAST_PACKETS or octets < _LEAST_OCTETS:
            return
        followed = octets * (packets - 1) / packets  # what arrived after the first packet did
        took = train.last_arrival - train.first_arrival
        self._ends.append(train.last_sent)
        self._speeds.append(followed * 8 / max(took, _SHORTEST_S))


def _joined(train: Burst, burst: Burst) -> Burst:
    return Burst(
        train.first_sent,
        burst.last_sent,
        min(train.first_arrival, burst.first_arrival),
        max(train.last_arrival, burst.last_arrival),
        train.packets + burst.packets,
        train.octets + burst.octets,
    )
