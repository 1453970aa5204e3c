"""A link with a bottleneck and the video flows on it, in simulated time: same seed, same run.

A flow is a source of frames whose sizes follow the estimator, a pacer, the estimator, and a viewer that
sends transport-wide feedback as Chromium does.
"""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from appliance.streamer.rtp.bandwidth import BandwidthEstimator
from appliance.streamer.rtp.probing import Probe
from appliance.streamer.rtp.transport_feedback import Feedback

PACKET = 1200
_TICK_US = 250
_PACING, _AT_ONCE_S = 2.5, 0.04
_BURST_S = 0.005
_SPREAD = 0.3  # of the sizes of frames around what the target asks for, with a VBV of about a frame
_ENCODER_LAG = 2  # frames until a new target shows in what the encoder makes
_VIEWER_CLOCK_S = 1234.5


class World:
    """Runs what was scheduled, in the order of time."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 0.0
        self.dice = random.Random(seed)  # noqa: S311
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def after(self, delay: float, call: Callable[[], None]) -> None:
        """Schedule a call."""
        heapq.heappush(self._events, (self.now + delay, next(self._order), call))

    def run(self, until: float) -> None:
        """Simulated seconds since the beginning."""
        while self._events and self._events[0][0] <= until:
            self.now, _, call = heapq.heappop(self._events)
            call()
        self.now = until


@dataclass
class Link:
    """First in, first out, as fast as `steps` say; what does not fit into the queue is lost."""

    world: World
    steps: Sequence[tuple[float, int]]
    """(second, bits per second); the first from 0 on."""
    rtt_s: float = 0.05
    loss: float = 0.0
    jitter_s: float = 0.0
    reorders: bool = True
    """Whether jitter changes the order of packets."""
    queue_s: float = 1.0
    detour_s: Callable[[float], float] = lambda _: 0.0
    """How much longer the way is at a time."""
    delays: list[tuple[float, float]] = field(default_factory=list)
    """When each packet came and how long it stood in the queue."""
    _free: float = 0.0
    _last: float = 0.0

    def capacity(self, at: float) -> int:
        """Bits per second."""
        return [bps for since, bps in self.steps if since <= at][-1]

    def carried_bits(self, since: float, until: float) -> float:
        """What could have been carried."""
        edges = [*[max(since, at) for at, _ in self.steps if at < until], until]
        return sum(self.capacity(start) * max(0.0, end - start) for start, end in itertools.pairwise(edges))

    def carry(self, octets: int) -> float | None:
        """When a packet that is sent now arrives; None if it does not."""
        now, dice = self.world.now, self.world.dice
        standing = max(0.0, self._free - now)
        self.delays.append((now, standing))
        if standing > self.queue_s or dice.random() < self.loss:
            return None
        self._free = now + standing + octets * 8 / self.capacity(now)
        arrival = self._free + self.rtt_s / 2 + self.detour_s(now) + dice.random() * self.jitter_s
        if not self.reorders:
            arrival = max(arrival, self._last)
        self._last = arrival
        return arrival

    def longest_queue(self, since: float, until: float) -> float:
        """That a packet sent in that time met, seconds."""
        return max(delay for at, delay in self.delays if since <= at < until)

    def queue_p95(self, since: float, until: float = math.inf) -> float:
        """Of the packets that were sent in that time, seconds."""
        delays = sorted(delay for at, delay in self.delays if since <= at < until)
        return delays[int(len(delays) * 0.95)]


@dataclass
class Flow:
    """One viewer and what sends to it."""

    link: Link
    estimator: BandwidthEstimator
    fps: float = 30
    demand: Callable[[float], float] = lambda _: math.inf
    """Bits per second that the source would like, by time."""
    begins: float = 0.0
    feedback_s: float = 0.1
    feedback_lost: Callable[[float], bool] = lambda _: False
    lie: Callable[[float], float] = lambda arrival: arrival
    """What the viewer says of an arrival, seconds."""
    targets: list[tuple[float, int]] = field(default_factory=list)
    arrived: list[tuple[float, int]] = field(default_factory=list)
    """When packets of the picture arrived, and their octets."""
    probes: list[Probe] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sequence = 65_000
        self._queue: list[int] = []
        self._pacing = False
        self._tokens = self._paced = 0.0
        self._recent_targets: list[int] = []
        self._arrivals: dict[int, float] = {}
        self._window = self._sequence
        self._newest = self._sequence - 1
        self._messages = itertools.count(250)
        world = self.link.world
        world.after(self.begins, self._frame)
        world.after(self.begins + self.feedback_s, self._feed_back)

    def rate_bps(self, since: float, until: float) -> float:
        """Of the picture, as it arrived."""
        return sum(octets for at, octets in self.arrived if since <= at < until) * 8 / (until - since)

    def target_at(self, at: float) -> int:
        """The target at the last frame before."""
        return [target for moment, target in self.targets if moment <= at][-1]

    def _frame(self) -> None:
        world, estimator = self.link.world, self.estimator
        world.after(1 / self.fps, self._frame)
        now = world.now
        estimator.on_silence(now)
        if probe := estimator.probe_due(now):
            self.probes.append(probe)
            self._probe(probe, probe.octets)
        self.targets.append((now, estimator.target_bps))
        self._recent_targets = [*self._recent_targets[-_ENCODER_LAG:], estimator.target_bps]
        rate = min(self.demand(now), self._recent_targets[0], estimator.target_bps * 1.2)
        octets = int(rate / 8 / self.fps * world.dice.uniform(1 - _SPREAD, 1 + _SPREAD))
        if sum(self._queue) * 8 > estimator.target_bps * 2 / self.fps:
            return  # skipped: the pacer is behind
        count = max(1, math.ceil(octets / PACKET))
        self._queue += [max(60, octets // count)] * count
        if not self._pacing:
            self._pace()

    def _pace(self) -> None:
        now, rate = self.link.world.now, self.estimator.target_bps / 8
        most = max(rate * _AT_ONCE_S, 2 * PACKET)
        self._tokens = min(self._tokens + (now - self._paced) * rate * _PACING, most)
        self._paced = now
        while self._queue and self._tokens > 0:
            self._tokens -= self._queue[0]
            self._send(self._queue.pop(0))
        self._pacing = bool(self._queue)
        if self._pacing:
            self.link.world.after(_BURST_S, self._pace)

    def _probe(self, probe: Probe, octets: int) -> None:
        budget = probe.rate_bps * _BURST_S / 8
        while octets > 0 and budget > 0:
            self._send(PACKET, probe.number)
            octets -= PACKET
            budget -= PACKET
        if octets > 0:
            self.link.world.after(_BURST_S, lambda: self._probe(probe, octets))

    def _send(self, octets: int, probe: int | None = None) -> None:
        sequence = self._sequence
        self._sequence += 1
        self.estimator.sent(sequence & 0xFFFF, octets, self.link.world.now, probe)
        arrival = self.link.carry(octets)
        if arrival is not None:
            self.link.world.after(
                arrival - self.link.world.now, lambda: self._arrive(sequence, octets, probe)
            )

    def _arrive(self, sequence: int, octets: int, probe: int | None) -> None:
        now = self.link.world.now
        if probe is None:
            self.arrived.append((now, octets))
        self._arrivals[sequence] = now
        self._window = min(self._window, sequence)
        self._newest = max(self._newest, sequence)

    def _feed_back(self) -> None:
        world = self.link.world
        world.after(self.feedback_s, self._feed_back)
        if self._newest < self._window:
            return
        reported = range(self._window, self._newest + 1)
        arrivals = [self._said(self._arrivals.get(sequence)) for sequence in reported]
        feedback = Feedback(next(self._messages) & 0xFF, self._window & 0xFFFF, arrivals)
        self._window = self._newest + 1
        for sequence in [old for old in self._arrivals if old < self._newest - 1000]:
            del self._arrivals[sequence]
        if not self.feedback_lost(world.now):
            world.after(self.link.rtt_s / 2, lambda: self.estimator.on_feedback(feedback, world.now))

    def _said(self, arrival: float | None) -> int | None:
        if arrival is None:
            return None
        return int((self.lie(arrival) + _VIEWER_CLOCK_S) * 1e6) // _TICK_US * _TICK_US


def jain(rates: Sequence[float]) -> float:
    """1 where all get the same, 1/n where one gets everything."""
    return sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates))
