"""Packets that left together, seen as one (draft-ietf-rmcat-gcc-02 section 5.2)."""

from collections.abc import Iterator
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


class BurstAssembler:
    """Puts received packets together again; stragglers of a burst that is complete are left out."""

    def __init__(self) -> None:
        self._open: Burst | None = None

    def add(self, received: Received) -> Iterator[Burst]:
        """The bursts that are complete now: something sent later has arrived too."""
        burst = self._open
        for sent, arrival, octets in zip(*received, strict=True):
            if burst is None or sent - burst.first_sent > _BURST_S:
                if burst:
                    yield burst
                burst = self._open = Burst(sent, sent, arrival, arrival, 1, octets)
            elif sent >= burst.first_sent:
                burst.packets += 1
                burst.octets += octets
                if sent > burst.last_sent:
                    burst.last_sent = sent
                if arrival > burst.last_arrival:
                    burst.last_arrival = arrival
                elif arrival < burst.first_arrival:
                    burst.first_arrival = arrival

    def reset(self) -> None:
        """The viewer's clock jumped: what comes does not compare with what came."""
        self._open = None
