"""Clusters of packets sent faster than the target for a moment, to find out what the link can do."""

from typing import NamedTuple

from appliance.streamer.rtp.sent_packets import Arrived

_CLUSTER_S = 0.015
_LEAST_OCTETS = 6000
_ENOUGH, _ALIVE = 0.8, 0.1
_PATIENCE_S = 1.0
_FIRST_STEP, _STEP = 3.0, 2.0
_SATURATED, _OF_SATURATED = 0.9, 0.95
_IMPLAUSIBLE = 2.0
_SHORTEST_S = 0.001
_GAIN = 1.1
_HINTED = 4
_INTERVAL_S, _LONGEST_INTERVAL_S = 2.0, 30.0
PLENTY = 0.75
"""Of the ceiling: more is not worth the padding, and timers may be too coarse to prove it."""


class Probe(NamedTuple):
    """Packets to send at once: padding and what waits, evenly at `rate_bps`, until `octets` are out."""

    number: int
    """Given with each of its packets to BandwidthEstimator.sent()."""
    rate_bps: int
    octets: int


class Prober:
    """At the start, while the last cluster promises more, and from time to time."""

    def __init__(self) -> None:
        self._number = 0
        self._step = _FIRST_STEP
        self._searching = True
        self._before = 0.0
        self._running: Probe | None = None
        self._arrived: list[Arrived] = []
        self._last = 0.0
        self._next = 0.0
        self._interval = _INTERVAL_S

    def due(self, rate: float, ceiling: int, sending: float | None, now: float) -> Probe | None:
        """A cluster to send now; the link must be calm."""
        if self._running and now - self._last > _PATIENCE_S:
            self._running = None
        if self._running or now < self._next or rate >= PLENTY * ceiling:
            return None
        if not self._searching and (sending is None or sending < _ALIVE * rate):
            return None
        self._number += 1
        self._before = rate
        cluster = int(min(rate * self._step, ceiling))
        self._step, self._searching = _STEP, False
        self._running = Probe(self._number, cluster, max(_LEAST_OCTETS, int(cluster * _CLUSTER_S / 8)))
        self._arrived.clear()
        self._last = now
        self._next = now + self._interval
        return self._running

    def arrived(self, number: int, packet: Arrived, now: float) -> float | None:
        """A packet of a cluster; the rate that the link carried as soon as enough of them are there."""
        probe = self._running
        if probe is None or probe.number != number:
            return None
        self._arrived.append(packet)
        if sum(octets for _, _, octets in self._arrived) < _ENOUGH * probe.octets:
            return None
        self._running = None
        carried = _carried(self._arrived, probe.rate_bps)
        if carried is not None and carried > _SATURATED * probe.rate_bps:
            self._next = now
            self._searching = True
        return carried

    def at_once(self, now: float) -> None:
        """What is known is out of date."""
        self._next, self._interval = now, _INTERVAL_S
        self._searching = True

    def hint(self, now: float) -> None:
        """Something else says that there is more."""
        self._next = min(self._next, max(now, self._last + self._interval / _HINTED))

    def congested(self, rate: float, now: float) -> None:
        """The rate was lowered. Where a cluster is to blame, the next one waits longer."""
        blamed = now - self._last < _INTERVAL_S and rate < _GAIN * self._before
        self._interval = min(self._interval * 2, _LONGEST_INTERVAL_S) if blamed else _INTERVAL_S
        self._running = None
        self._next = now + self._interval


def _carried(packets: list[Arrived], rate_bps: int) -> float | None:
    """None where the arrivals are too close to be true: something held them back and let them go together."""
    sent, arrivals, octets = ([packet[each] for packet in packets] for each in range(3))
    last = octets[sent.index(max(sent))]
    first = octets[arrivals.index(min(arrivals))]
    out = (sum(octets) - last) * 8 / max(max(sent) - min(sent), _SHORTEST_S)
    into = (sum(octets) - first) * 8 / max(max(arrivals) - min(arrivals), _SHORTEST_S)
    out = min(out, rate_bps)
    if into > _IMPLAUSIBLE * out:
        return None
    return _OF_SATURATED * into if into < _SATURATED * out else min(into, out)
