"""Encode once, fan out: one source for all viewers of a rendition, opened for the first of them."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from appliance.errors import UnavailableError
from appliance.streamer.frames import EncodedFrame, ReferenceTracker, SourceInfo, VideoSource
from appliance.streamer.meter import Meter
from appliance.streamer.recent import RecentFrames
from appliance.streamer.subscription import Subscription

logger = logging.getLogger(__name__)

_FIRST_RETRY_S = 0.25
_LONGEST_RETRY_S = 5.0
_STABLE_S = 5.0


class Broadcast:
    """Runs the source while anyone watches. `problem` says why there is no picture, for people."""

    def __init__(
        self,
        open_source: Callable[[], VideoSource],
        *,
        keyframe_floor_s: float = 0.25,
        linger_s: float = 10.0,
    ) -> None:
        self.problem = ""
        self.keyframe_requests = 0
        self._open_source = open_source
        self._floor_s = keyframe_floor_s
        self._linger_s = linger_s
        self._subscriptions: set[Subscription] = set()
        self._holds = 0
        self._wanted = asyncio.Event()
        self._source: VideoSource | None = None
        self._started = asyncio.Event()
        self._deadline: asyncio.Timeout | None = None
        self._outdated = False
        self._kbps: int | None = None
        self._meter = Meter()
        self._asked_at = float("-inf")
        self._requested_ns = 0
        self._pending: asyncio.TimerHandle | None = None
        self._recent = RecentFrames(keyframe_floor_s)

    @property
    def info(self) -> SourceInfo | None:
        """What the running source is; None while there is none."""
        return self._source.info if self._source is not None and self._started.is_set() else None

    @property
    def source(self) -> VideoSource | None:
        """The source that runs, for what goes to its screen (input)."""
        return self._source

    @property
    def current(self) -> bool:
        """Whether who joins now needs no keyframe of its own."""
        return self._recent.enough

    @property
    def frames_encoded(self) -> int:
        """Since the beginning, over all sources."""
        return self._meter.frames

    @property
    def keyframes(self) -> int:
        """Since the beginning, over all sources."""
        return self._meter.keyframes

    @property
    def encode_s(self) -> float:
        """Spent in encoders since the beginning."""
        return self._meter.encode_ns / 1e9

    @property
    def fps(self) -> float | None:
        """Over the last two seconds; None while no source runs."""
        return self._meter.fps(time.monotonic_ns()) if self.info else None

    @property
    def bitrate_kbps(self) -> float | None:
        """Over the last two seconds; None while no source runs."""
        return self._meter.kbps(time.monotonic_ns()) if self.info else None

    @property
    def capture_to_encoded_ms(self) -> tuple[float, float] | None:
        """Median and 95th percentile over the last ten seconds; None without frames."""
        return self._meter.latency_ms(time.monotonic_ns())

    @contextlib.contextmanager
    def subscribe(self, ready: Callable[[EncodedFrame], None] | None = None) -> Iterator[Subscription]:
        """Watch. The first frame is a keyframe: the last one, if little followed, else one that is requested.

        `ready` is called with every frame that was queued.
        """
        subscription = Subscription(self.request_keyframe, ready, self._forget)
        with self.hold():
            self._subscriptions.add(subscription)
            if self.current:
                subscription.begin(self._recent.again(time.monotonic_ns()))
            else:
                self.request_keyframe()
            try:
                yield subscription
            finally:
                self._subscriptions.discard(subscription)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Have the source run without watching it."""
        self._holds += 1
        self._wanted.set()
        self._stop_at(None)
        try:
            yield
        finally:
            self._holds -= 1
            if not self._holds:
                self._wanted.clear()
                self._stop_at(asyncio.get_running_loop().time() + self._linger_s)

    def request_keyframe(self) -> None:
        """Ask the source for a keyframe, for all viewers at once and not more often than the floor."""
        self.keyframe_requests += 1
        self._requested_ns = time.monotonic_ns()
        if self._pending is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._asked_at + self._floor_s - loop.time()
        if wait > 0:
            self._pending = loop.call_later(wait, self._ask)
        else:
            self._ask()

    def refresh(self) -> None:
        """Ask the source for one more frame."""
        if self._source is not None:
            self._source.refresh()

    def set_bitrate(self, kbps: int) -> None:
        """Steer the source, also one that is opened later."""
        self._kbps = kbps
        if self._source is not None:
            self._source.set_bitrate(kbps)

    def reopen(self) -> None:
        """End the source that runs; who watches goes on with a new one, from a keyframe."""
        self._stop_at(asyncio.get_running_loop().time())
        self._outdated = True

    async def run(self) -> None:
        """Serve until cancelled."""
        retry_s = _FIRST_RETRY_S
        try:
            while True:
                await self._wanted.wait()
                begun = time.monotonic()
                try:
                    await self._run_source()
                    continue
                except UnavailableError as exc:
                    if str(exc) != self.problem:
                        logger.warning("no picture: %s", exc)
                    self.problem = str(exc)
                if time.monotonic() - begun > _STABLE_S:
                    retry_s = _FIRST_RETRY_S
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
        finally:
            self._forget_request()

    async def _run_source(self) -> None:
        """One source, until nobody has watched for a while. Raises UnavailableError."""
        source = self._open_source()
        self._outdated = False
        self._started.clear()
        if self._kbps is not None:
            source.set_bitrate(self._kbps)
        self._source = source
        try:
            async with asyncio.timeout(None) as self._deadline:
                if not self._holds:
                    self._stop_at(asyncio.get_running_loop().time() + self._linger_s)
                await source.run(self._deliver, self._started)
                raise UnavailableError("the source ended by itself")
        except TimeoutError:
            if self._deadline is None or not self._deadline.expired():
                raise
            logger.info(
                "%s: %s stopped",
                "another is wanted" if self._holds else "nobody watches",
                source.info.source if self._started.is_set() else "source",
            )
        finally:
            self._source = self._deadline = None
            self._started.clear()
            self._meter.forget_rates()
            self._recent.forget()

    def _stop_at(self, when: float | None) -> None:
        if self._deadline is not None and not self._deadline.expired() and not self._outdated:
            self._deadline.reschedule(when)

    def _deliver(self, frame: EncodedFrame) -> None:
        if self.problem:
            logger.info("picture again: %s", self.info.source if self.info else "")
            self.problem = ""
        self._meter.count(frame)
        if frame.keyframe and frame.captured_ns >= self._requested_ns:
            self._forget_request()
        self._recent.add(frame)
        for subscription in tuple(self._subscriptions):  # who hears of it may leave
            subscription.offer(frame)

    def _ask(self) -> None:
        self._pending = None
        self._asked_at = asyncio.get_running_loop().time()
        if self._source is not None:
            self._source.request_keyframe()

    def _forget(self, number: int) -> None:
        if isinstance(self._source, ReferenceTracker):
            self._source.forget(number)

    def _forget_request(self) -> None:
        """It has been served."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
