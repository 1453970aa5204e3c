"""One viewer's picture behind a simulated link: the real seat and steering, an encoder, a browser."""

import contextlib
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from appliance.streamer.capture.encoder import BURST_S
from appliance.streamer.frames import VIDEO_CLOCK, EncodedFrame
from appliance.streamer.rtp.layout import PackedFrame
from appliance.streamer.rtp.packetizer import h264
from appliance.streamer.rtp.reception import Reception
from appliance.streamer.rtp.runs import Run
from appliance.streamer.rtp.seat import Seat
from appliance.streamer.rtp.sender import ViewerStream
from appliance.streamer.steering import FLOOR_KBPS, Steering
from appliance.streamer.subscription import Subscription
from tests.support.bottleneck import Link, World
from tests.support.simulated_browser import Arrivals, OwnEstimate, Picture
from tests.support.wire import EXTENSIONS, Wire

_KEYFRAME_FLOOR_S, _TICK_S, _ENCODING_S = 0.25, 0.1, 0.004
_LEAST, _SPREAD = 0.5, 0.15  # of what a frame may weigh
_NACK_S, _REPORT_S, _IMPATIENT_S = 0.02, 1.0, 2.0
_BELOW_BYTES = 28
_UNNUMBERED = replace(EXTENSIONS, sequence_at=None)


@dataclass
class Encoder:
    """Every frame weighs about what it may, or what `demand` asks for in bits per second."""

    world: World
    fps: float
    kbps: int
    demand: Callable[[float], float] = lambda _: math.inf
    keyframe: bool = True
    _credit: float = 0.0
    _then: float = 0.0

    def frame(self) -> EncodedFrame:
        now, rate = self.world.now, self.kbps * 1000
        self._credit = min(self._credit + (now - self._then) * rate, rate * BURST_S)
        self._then = now
        bits = min(max(self._credit, _LEAST * rate / self.fps), self.demand(now) / self.fps)
        bits *= self.world.dice.uniform(1 - _SPREAD, 1 + _SPREAD)
        self._credit -= bits
        key, self.keyframe = self.keyframe, False
        data = b"\0\0\1" + (b"\x65" if key else b"\x41") + bytes([1]) * int(bits / 8)
        return EncodedFrame(data, key, int(now * VIDEO_CLOCK), 0, 0, 0)


@dataclass
class _Wired(Wire):
    """Hands on what is sent."""

    out: Callable[[bytes], None] = lambda _: None

    def send(self, data: memoryview, runs: Sequence[Run]) -> bool:
        super().send(data, runs)
        return self._hand_on()

    def send_one(self, data: memoryview) -> bool:
        super().send_one(data)
        return self._hand_on()

    def _hand_on(self) -> bool:
        packets, self.packets = self.packets, []
        for packet in packets:
            self.out(packet)
        return True


@dataclass
class Playback:
    """Runs from the beginning of the world. Without transport-wide feedback the browser sends REMB."""

    link: Link
    kbps: int = 10_000
    fps: float = 30
    feedback_s: float = 0.06
    transport_wide: bool = True
    demand: Callable[[float], float] = lambda _: math.inf
    targets: list[tuple[float, int]] = field(default_factory=list)
    """What the viewer could be sent at every frame."""
    carried: list[tuple[float, int]] = field(default_factory=list)
    """When packets arrived, and their octets."""

    def __post_init__(self) -> None:
        world = self.world = self.link.world
        extensions = EXTENSIONS if self.transport_wide else _UNNUMBERED
        self._wire = _Wired(rtt=self.link.rtt_s, extensions=extensions, told=extensions, out=self._leave)
        self._encoder = Encoder(world, self.fps, self.kbps, self.demand)
        self.reception = Reception(self.kbps * 1000, FLOOR_KBPS * 1000, clock=lambda: world.now)
        self._steering = Steering(self._steer, self.kbps, clock=lambda: world.now)
        self._heeded = contextlib.ExitStack()
        self._heeded.enter_context(self._steering.heed(self.reception))
        self.reception.changed = self._steering.heard
        self._queue = Subscription(self._request_keyframe, self._ready)
        stream = ViewerStream(self._wire, self.reception.estimator)
        self.seat = Seat(self._queue, stream, self.reception, lambda _: self._serve())
        self.seat.on_sent = self._sent
        for budget in (self.seat._keyframes, stream.history._questions):
            budget._clock, budget._since = lambda: world.now, world.now
        self._picture = Picture(self._wire, self._ask)
        self._arrivals, self._own = Arrivals(), OwnEstimate()
        self._alarms = itertools.count()
        self._alarm = 0
        self._keyframe_at = -math.inf
        self._captured: dict[int, float] = {}
        for pause, call in (
            (1 / self.fps, self._frame),
            (_TICK_S, self._tick),
            (_NACK_S, lambda: self._picture.nack(world.now)),
            (self.feedback_s, self._feed_back),
            (_REPORT_S, self._report),
        ):
            self._every(pause, call)

    @property
    def latencies(self) -> list[tuple[float, float]]:
        """When each frame was shown, and how long after its capture; seconds."""
        return [(at, at - self._captured[timestamp]) for at, timestamp in self._picture.shown]

    def longest_gap(self, since: float, until: float) -> float:
        """Seconds without a new picture."""
        times = [since, *(at for at, _ in self._picture.shown if since <= at < until), until]
        return max(after - before for before, after in itertools.pairwise(times))

    def rate_bps(self, since: float, until: float) -> float:
        """As it arrived, with all headers."""
        return sum(octets for at, octets in self.carried if since <= at < until) * 8 / (until - since)

    def _every(self, pause: float, call: Callable[[], None]) -> None:
        def again() -> None:
            self.world.after(pause, again)
            call()

        self.world.after(pause, again)

    def _steer(self, kbps: int) -> None:
        self._encoder.kbps = kbps

    def _request_keyframe(self) -> None:
        if self._keyframe_at <= self.world.now:
            self._keyframe_at = max(self._keyframe_at + _KEYFRAME_FLOOR_S, self.world.now)
            self.world.after(self._keyframe_at - self.world.now, self._force)

    def _force(self) -> None:
        self._encoder.keyframe = True

    def _frame(self) -> None:
        frame = self._encoder.frame()
        self.targets.append((self.world.now, self.reception.target_bps or 0))
        self.world.after(_ENCODING_S, lambda: self._queue.offer(frame))

    def _ready(self, frame: EncodedFrame) -> None:
        if self.seat.admit(frame, self.world.now):
            self._serve()

    def _serve(self) -> None:
        alarm = self._alarm = next(self._alarms)
        pause = self.seat.serve(self._packed, self.world.now)
        if pause is not None:
            self.world.after(pause + 1e-4, lambda: self._serve() if alarm == self._alarm else None)

    def _packed(self, frame: EncodedFrame) -> PackedFrame:
        return PackedFrame(h264(frame.data), frame.timestamp)

    def _sent(self, frame: EncodedFrame, timestamp: int) -> None:
        self._captured[timestamp] = frame.timestamp / VIDEO_CLOCK

    def _tick(self) -> None:
        self._steering.look()
        if self.seat.tick(self.world.now):
            self._serve()

    def _ask(self, sequences: Sequence[int]) -> None:
        self._tell(lambda: self.seat.retransmit(sequences))

    def _leave(self, packet: bytes) -> None:
        sent = self.world.now
        arrival = self.link.carry(len(packet) + _BELOW_BYTES)
        if arrival is not None:
            self.world.after(arrival - sent, lambda: self._arrive(packet, sent))

    def _arrive(self, packet: bytes, sent: float) -> None:
        now = self.world.now
        self.carried.append((now, len(packet) + _BELOW_BYTES))
        if self.transport_wide:
            self._arrivals.note(packet, now)
        elif bps := self._own.note(packet, sent, now):
            self._tell(lambda: self.reception.remb(bps))
        self._picture.receive(packet, now)

    def _feed_back(self) -> None:
        if self.transport_wide and (feedback := self._arrivals.message()):
            self._tell(lambda: self.reception.take(feedback))

    def _report(self) -> None:
        lost = self._picture.report()
        self._tell(lambda: self.reception.report(lost))
        if self._picture.shown and self.world.now - self._picture.shown[-1].at > _IMPATIENT_S:
            self._tell(self._queue.ask)

    def _tell(self, what: Callable[[], None]) -> None:
        self.world.after(self.link.rtt_s / 2, what)
