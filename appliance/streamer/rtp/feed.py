"""Which of two renditions one viewer is fed from; it changes at a keyframe of the one that it changes to."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from appliance.streamer.frames import EncodedFrame

logger = logging.getLogger(__name__)

FIRST, SECOND = 0, 1
_TIGHT_S = 0.7
"""A viewer that cannot follow the first rendition for so long gets the second."""
_AMPLE = 1.2
_AMPLE_S, _LONGEST_AMPLE_S = 5.0, 60.0
"""It comes back when there has been room for so long; each time that this was a mistake, twice as long."""
_MISTAKE_S = 15.0
_LOSSY, _CLEAN = 0.1, 0.05
"""Who loses more than the first of its packets has to begin anew all the time; the second is fine again."""


class Queue(Protocol):
    """Decides which frames a viewer gets; `dropped` counts the others."""

    @property
    def dropped(self) -> int:
        """Frames that this viewer missed."""

    def take(self) -> EncodedFrame | None:
        """The oldest frame that waits."""

    def stumble(self, lost: int = 0) -> None:
        """`lost` frames that were taken and those that wait do not get through: go on from a keyframe."""

    def ask(self) -> None:
        """Ask for that keyframe."""


class RenditionQueue(Queue, Protocol):
    """The Queue of one rendition; `overrun` is called when it dropped what waited and needs a keyframe."""

    overrun: Callable[[], None]


Subscribe = Callable[[Callable[[EncodedFrame], None]], contextlib.AbstractContextManager[RenditionQueue]]


class Choice:
    """The rendition for one viewer, without flapping; rates in bits a second, times in seconds."""

    def __init__(self) -> None:
        self.wanted = FIRST
        """What to feed the viewer."""
        self._since: float | None = None
        """Since when the other one has been the better one."""
        self._patience = _AMPLE_S
        self._looked = 0.0
        self._returned = float("-inf")

    def look(self, target: int | None, rate: float, now: float, loss: float = 0.0) -> None:
        """Judge anew for a viewer with this target and share of lost packets; the first has this rate."""
        self._looked = now
        if target is None:
            if self.wanted == FIRST:  # else nothing speaks against what spoke for the first
                self._since = None
        elif self.wanted == FIRST:
            if self._lasts(target < rate or loss > _LOSSY, _TIGHT_S, now):
                self.give_up()
        elif self._lasts(target > rate * _AMPLE and loss < _CLEAN, self._patience, now):
            self._returned = now
            self._change(FIRST)

    def give_up(self) -> None:
        """The viewer needs keyframes: the second for it, and longer if it has that already."""
        if self.wanted == FIRST:
            mistaken = self._looked - self._returned < _MISTAKE_S
            self._patience = min(self._patience * 2, _LONGEST_AMPLE_S) if mistaken else _AMPLE_S
        self._change(SECOND)

    def _lasts(self, better: bool, seconds: float, now: float) -> bool:
        if not better:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        return now - self._since >= seconds

    def _change(self, wanted: int) -> None:
        self.wanted, self._since = wanted, None


class Feed:
    """A Queue over one or two renditions. `arrived` is called with every frame that was queued.

    `may_ask` tells whether the first may be asked for a keyframe; a viewer that may not gets the second.
    """

    def __init__(
        self,
        renditions: Sequence[Subscribe],
        arrived: Callable[[EncodedFrame], None],
        may_ask: Callable[[], bool] = lambda: True,
    ) -> None:
        self.choice = Choice()
        self._renditions = renditions
        self._arrived = arrived
        self._may_ask = may_ask
        self._missed = 0
        self._early: list[EncodedFrame] = []
        """What the rendition that comes had already when it was subscribed to."""
        self._current = self._coming = FIRST
        self._subscribed = contextlib.ExitStack()
        self._next = contextlib.ExitStack()
        self._queue: Queue = self._subscribed.enter_context(self._subscribe(FIRST))
        self._next_queue = self._queue

    @property
    def current(self) -> int:
        """FIRST or SECOND."""
        return self._current

    @property
    def dropped(self) -> int:
        """See Queue.dropped."""
        return self._missed + self._queue.dropped

    def take(self) -> EncodedFrame | None:
        """See Queue.take."""
        return self._queue.take()

    def stumble(self, lost: int = 0) -> None:
        """See Queue.stumble."""
        self._queue.stumble(lost)

    def ask(self) -> None:
        """See Queue.ask; not while a keyframe of the other rendition is on its way."""
        if self._coming != self._current:
            return
        if self._current == FIRST and self._may_ask():
            self._queue.ask()
            return
        self.choice.give_up()
        if self._current == FIRST:
            self.switch(SECOND)
        else:
            self._queue.ask()

    def switch(self, rendition: int) -> None:
        """Change to this one, from its next keyframe on."""
        if rendition == self._coming:
            return
        self._next.close()
        self._early.clear()
        if rendition != self._current:
            self._next_queue = self._next.enter_context(self._subscribe(rendition))
        self._coming = rendition
        if self._early:
            self._arrive()
            for frame in self._early:
                self._arrived(frame)

    def close(self) -> None:
        """It takes part no more."""
        self._next.close()
        self._subscribed.close()

    @contextlib.contextmanager
    def _subscribe(self, rendition: int) -> Iterator[Queue]:
        def ready(frame: EncodedFrame) -> None:
            if rendition == self._coming != self._current:
                self._arrive()
            if rendition == self._current:
                self._arrived(frame)
            else:
                self._early.append(frame)

        with self._renditions[rendition](ready) as queue:
            queue.overrun = self.ask
            yield queue

    def _arrive(self) -> None:
        logger.debug("a viewer goes on with rendition %d", self._coming + 1)
        self._missed = self.dropped
        before, self._subscribed, self._next = self._subscribed, self._next, contextlib.ExitStack()
        self._current, self._queue = self._coming, self._next_queue
        before.close()
