"""What was sent to one viewer lately, and what became of it by the viewer's feedback."""

import itertools
import operator
from array import array
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from appliance.streamer.rtp.transport_feedback import Feedback

HISTORY = 2048
"""Packets, a power of two: 2 s at 10 Mb/s, half a second at 40."""
_SEQUENCES = 1 << 16
_LAST = 64
_MICROSECOND = itertools.repeat(1e-6)
_ALL_TOLD = array("i", bytes(4 * HISTORY))
_REPLAYED = 1024
"""Packets at most that are taken for standing in a queue: a viewer that tells nothing makes no more work."""


Arrived: TypeAlias = tuple[float, float, int]
"""A packet: when it was sent, when it arrived, octets; seconds, each of its own end's clock."""


class Received(NamedTuple):
    """Packets that arrived, in the order of their sequence numbers, and so of sending."""

    sent: Sequence[float]
    arrivals: Sequence[float]
    octets: Sequence[int]


class Report(NamedTuple):
    """What one message of feedback tells that was not known before."""

    received: Received
    missing: int
    found: int
    """Packets that were missing before and have arrived after all."""
    untold: int
    """Octets of packets between the last message and this one: what was told of them was lost on its way."""
    probed: Sequence[tuple[int, Arrived]]
    """Those of the received that were parts of probes, with the number of the probe."""


class SentPackets:
    """A ring of the last packets: when each was sent and how large it was."""

    def __init__(self) -> None:
        self.octets = 0
        """Sent in all."""
        self._newest = -1
        self._told: int | None = None
        """Of 16 bits: up to which the viewer has told of all."""
        self._times = array("d", bytes(8 * HISTORY))
        self._sizes = array("i", bytes(4 * HISTORY))  # 0: arrived or never sent; negative: missing
        self._probes: dict[int, int] = {}

    @property
    def complete(self) -> bool:
        """Whether all of the last packets are known to have arrived."""
        if self._newest < 0 or self._told is None or (self._newest + 1 - self._told) % _SEQUENCES:
            return False
        newest = self._newest + HISTORY
        return not any(self._sizes[slot & HISTORY - 1] for slot in range(newest - _LAST + 1, newest + 1))

    def add(self, sequence: int, octets: int, now: float, probe: int | None = None) -> None:
        """Sequence numbers are consecutive, of 16 bits or not wrapped."""
        slot = sequence & HISTORY - 1
        self._times[slot] = now
        self._sizes[slot] = octets
        self._newest = sequence
        self.octets += octets
        if probe is not None:
            self._probes[slot] = probe

    def add_together(self, first: int, sizes: "array[int]", octets: int, now: float) -> None:
        """The same of packets of these octets, `octets` in all; far quicker than one by one."""
        slot, count = first & HISTORY - 1, len(sizes)
        if slot + count > HISTORY:
            for number, size in enumerate(sizes, first):
                self.add(number, size, now)
            return
        self._times[slot : slot + count] = array("d", (now,)) * count
        self._sizes[slot : slot + count] = sizes
        self._newest = first + count - 1
        self.octets += octets

    def resolve(self, feedback: Feedback) -> Report:
        """Take note of the feedback; what it says about packets that are not in the ring is passed over."""
        if received := self._all_received(feedback):
            return Report(received, 0, 0, 0, ())
        first, arrivals = self._known(feedback)
        untold = self._pass_over(first, len(arrivals))
        return self._look_at_each(first, arrivals, untold)

    def _all_received(self, feedback: Feedback) -> Received | None:
        """Where all that follow the last message have arrived: nearly always, and far quicker."""
        _, first, arrivals = feedback
        count, slot = len(arrivals), first & HISTORY - 1
        unknown = (self._newest + 1 - first) % _SEQUENCES
        if first != self._told or self._probes or not count <= unknown <= HISTORY or slot + count > HISTORY:
            return None
        try:
            seconds = list(map(operator.mul, arrivals, _MICROSECOND))
        except TypeError:  # one is None
            return None
        told = slice(slot, slot + count)
        received = Received(self._times[told].tolist(), seconds, self._sizes[told].tolist())
        self._sizes[told] = _ALL_TOLD[:count]
        self._told = (first + count) % _SEQUENCES
        return received

    def _look_at_each(self, first: int, arrivals: Sequence[int | None], untold: int) -> Report:
        times, sizes, probes = self._times, self._sizes, self._probes
        sent: list[float] = []
        seconds: list[float] = []
        octets: list[int] = []
        probed: list[tuple[int, Arrived]] = []
        missing = found = 0
        for sequence, arrival in enumerate(arrivals, first):
            slot = sequence & HISTORY - 1
            size = sizes[slot]
            if arrival is None:
                if size > 0:
                    sizes[slot] = -size
                    missing += 1
                continue
            if not size:
                continue
            if size < 0:
                size = -size
                found += 1
            sizes[slot] = 0
            sent.append(times[slot])
            seconds.append(arrival * 1e-6)
            octets.append(size)
            if probes and (probe := probes.pop(slot, None)) is not None:
                probed.append((probe, (sent[-1], seconds[-1], size)))
        return Report(Received(sent, seconds, octets), missing, found, untold, probed)

    def standing(self, octets: float, since: float, rate: float, most: float, now: float) -> float:
        """Octets in a queue that had `octets` in it at `since`, carries `rate` a second, and keeps `most`.

        What comes to it is what has left and was not told of.
        """
        times, sizes = self._times, self._sizes
        untold = HISTORY if self._told is None else (self._newest + 1 - self._told) % _SEQUENCES
        untold = min(untold, _REPLAYED)
        for sequence in range(self._newest + 1 - untold, self._newest + 1):
            at = times[sequence & HISTORY - 1]
            if at < since:
                continue
            octets = min(max(0.0, octets - (at - since) * rate) + sizes[sequence & HISTORY - 1], most)
            since = at
        return max(0.0, octets - (now - since) * rate)

    def _known(self, feedback: Feedback) -> tuple[int, Sequence[int | None]]:
        """The part of the feedback that is about packets in the ring."""
        age = (self._newest - feedback.first) % _SEQUENCES
        if age >= _SEQUENCES // 2:
            return 0, ()
        skip = max(0, age - HISTORY + 1)
        return self._newest - age + skip, feedback.arrivals[skip : age + 1]

    def _pass_over(self, first: int, count: int) -> int:
        """Up to a message about `count` packets from `first` on."""
        untold = 0
        if count and self._told is not None and (gap := (first - self._told) % _SEQUENCES) < HISTORY:
            for sequence in range(first - gap, first):
                untold += max(0, self._sizes[sequence & HISTORY - 1])
                self._sizes[sequence & HISTORY - 1] = 0
        if count and (self._told is None or (first + count - self._told) % _SEQUENCES < _SEQUENCES // 2):
            self._told = (first + count) % _SEQUENCES
        return untold
