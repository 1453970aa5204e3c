"""The picture as it is, and once more for who cannot follow it: encoded only while somebody needs it."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from appliance.streamer.frames import EncodedFrame
from appliance.streamer.rtp.feed import Choice, Feed, Queue, Subscribe
from appliance.streamer.rtp.reception import Reception
from appliance.streamer.steering import SHARE, Steering, Viewer

SECOND_SHARE = 3
"""The second rendition has at most this part of the configured bitrate."""
SECOND_FLOOR_KBPS = 300
_FORGET = 0.99
"""Of the highest rate seen lately, from one look to the next."""


class Source(Protocol):
    """Where frames come from."""

    def subscribe(self, ready: Callable[[EncodedFrame], None]) -> contextlib.AbstractContextManager[Queue]:
        """Take part; `ready` is called with every frame that was queued."""


class First(Source, Protocol):
    """A rendition that another one is made from."""

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

    def subscriptions(self, viewer: Viewer) -> list[Subscribe]:
        """How one viewer takes part in the first and in the second."""

        @contextlib.contextmanager
        def second(ready: Callable[[EncodedFrame], None]) -> Iterator[Queue]:
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

    def choose(self, feed: Feed, reception: Reception, now: float) -> None:
        """Feed one viewer from the one that it can follow; who controls steers the first, and has it."""
        if reception.controls():
            feed.choice = Choice()
        else:
            feed.choice.look(reception.target_bps, self._rate, now)
        feed.switch(feed.choice.wanted)
