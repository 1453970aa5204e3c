"""The picture as it is, and once more for who cannot follow it: encoded only while somebody needs it."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from appliance.streamer.frames import EncodedFrame, SourceInfo
from appliance.streamer.rtp.feed import FIRST, SECOND, Choice, Feed, RenditionQueue, Subscribe
from appliance.streamer.rtp.reception import Reception
from appliance.streamer.steering import SHARE, Steering, Viewer

SECOND_SHARE = 3
"""The second rendition has at most this part of the configured bitrate."""
SECOND_FLOOR_KBPS = 300
_FORGET = 0.99
"""Of the highest rate seen lately, from one look to the next."""
_KEYFRAME_S, _TOGETHER_S = 30.0, 0.5
"""All pay for a keyframe of the first: so seldom may watchers cause one; who asks right after shares it."""


class Source(Protocol):
    """Where frames come from."""

    def subscribe(
        self, ready: Callable[[EncodedFrame], None]
    ) -> contextlib.AbstractContextManager[RenditionQueue]:
        """Take part; `ready` is called with every frame that was queued."""


class First(Source, Protocol):
    """A rendition that another one is made from."""

    @property
    def info(self) -> SourceInfo | None:
        """What runs; None while nothing does."""

    @property
    def current(self) -> bool:
        """Whether who joins now needs no keyframe of its own."""

    @property
    def bitrate_kbps(self) -> float | None:
        """Over the last two seconds; None while nothing runs."""

    def hold(self) -> contextlib.AbstractContextManager[None]:
        """Have it run without watching it."""


class Second(Source, Protocol):
    """The rendition that is made from it."""

    def set_bitrate(self, kbps: int) -> None:
        """Steer its encoder."""


def slowest_kbps(viewers: Iterable[Viewer], ceiling_kbps: int) -> int:
    """What all of these viewers can follow, if it is worth looking at."""
    targets = [viewer.target_bps for viewer in viewers]
    known = [target for target in targets if target is not None]
    wanted = int(min(known) * SHARE / 1000) if known else ceiling_kbps
    return min(max(wanted, SECOND_FLOOR_KBPS), ceiling_kbps)


class Pair:
    """Both renditions of one codec; `kbps` is the configured bitrate."""

    def __init__(self, first: First, second: Second, kbps: int) -> None:
        self._first = first
        self._second = second
        ceiling = max(kbps // SECOND_SHARE, SECOND_FLOOR_KBPS)
        self._steering = Steering(second.set_bitrate, ceiling, wanted=slowest_kbps)
        second.set_bitrate(ceiling)
        self._rate = 0.0
        self._paid = -math.inf

    def subscriptions(self, viewer: Viewer) -> list[Subscribe]:
        """How one viewer takes part in the first and in the second."""

        @contextlib.contextmanager
        def second(ready: Callable[[EncodedFrame], None]) -> Iterator[RenditionQueue]:
            with (
                self._first.hold(),
                self._steering.heed(viewer),
                self._second.subscribe(ready) as queue,
            ):
                yield queue

        return [self._first.subscribe, second]

    def look(self) -> None:
        """Some times a second: measure the first, steer the second."""
        self._rate = max(1000 * (self._first.bitrate_kbps or 0.0), self._rate * _FORGET)
        self._steering.look()

    @property
    def possible(self) -> bool:
        """Whether there can be a second at all."""
        return self._first.info is None or self._first.info.scalable

    def may_ask(self, reception: Reception, now: float, *, company: bool = True) -> bool:
        """Whether this viewer may have a keyframe of the first, at the cost of its `company`."""
        return not company or not self.possible or reception.controls() or self._afford(now)

    def choose(self, feed: Feed, reception: Reception, now: float, *, company: bool = True) -> None:
        """Feed one viewer from the one that it can follow; who controls steers the first, and has it."""
        if reception.controls() or not self.possible:
            feed.choice = Choice()
        else:
            loss = reception.estimator.loss if company else 0.0  # alone, it may ask for what it needs
            feed.choice.look(reception.target_bps, self._rate, now, loss)
        if (
            feed.choice.wanted == SECOND
            or feed.current == FIRST
            or self._first.current
            or self.may_ask(reception, now, company=company)
        ):
            feed.switch(feed.choice.wanted)

    def _afford(self, now: float) -> bool:
        """Whether it is time for another keyframe that watchers cause."""
        if _TOGETHER_S < now - self._paid < _KEYFRAME_S:
            return False
        if now - self._paid >= _KEYFRAME_S:
            self._paid = now
        return True
