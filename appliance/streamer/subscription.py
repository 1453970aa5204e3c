"""One viewer's place at a rendition: what it gets, and how it goes on after a loss."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from appliance.streamer.frames import EncodedFrame

DEPTH = 4
"""Frames that wait at most."""


class Subscription:
    """One viewer's place: a short queue that the newest frames win."""

    def __init__(
        self,
        request_keyframe: Callable[[], None],
        ready: Callable[[EncodedFrame], None] | None = None,
        forget: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.dropped = 0
        """Frames that this viewer never saw, those before its first keyframe aside."""
        self._frames: deque[EncodedFrame] = deque()
        self._waiting = asyncio.Event()
        self._ready = ready
        self._lobby = True
        self._late = False
        self.overrun = self.ask
        """Called when what waited had to be dropped for a newer frame."""
        self._request_keyframe = request_keyframe
        self._forget = forget
        self._held: int | None = None
        """The number of the last frame that the viewer got, as far as is known; it got those before too."""
        self._held_before: int | None = None
        self._lost: int | None = None
        """The number of the first frame that it did not get, until it is asked to be forgotten."""

    async def next(self) -> EncodedFrame:
        """The oldest frame that waits; one that can be decoded after those that the viewer got."""
        while (frame := self.take()) is None:
            self._waiting.clear()
            await self._waiting.wait()
        return frame

    def take(self) -> EncodedFrame | None:
        """What `next` would return, or None where it would wait."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._held_before, self._held = self._held, frame.number
        return frame

    def stumble(self, lost: int = 0) -> None:
        """`lost` frames that were taken did not get through: go on from a frame that needs none of them."""
        self.dropped += lost
        first_lost = self._held
        if lost:
            self._held = self._held_before if lost == 1 else None
        self._into_the_lobby(first_lost if lost else None)

    def ask(self) -> None:
        """Ask for a frame that needs nothing that was lost, where there are such; then for a keyframe."""
        lost, self._lost = self._lost, None
        if lost is None or self._held is None:
            self._request_keyframe()
        else:
            self._forget(lost)

    def begin(self, frames: Iterable[EncodedFrame]) -> None:
        """Queue all of `frames`, the first one a keyframe, however many they are."""
        for frame in frames:
            self._queue(frame)

    def offer(self, frame: EncodedFrame) -> None:
        """Queue `frame`, or drop it: the encoder never waits for a viewer."""
        if len(self._frames) >= DEPTH:
            self._into_the_lobby()
            if not frame.keyframe:
                self.overrun()
        if self._lobby and not frame.keyframe and not self._needs_nothing_lost(frame):
            self.dropped += self._late
            return
        self._queue(frame)

    def _queue(self, frame: EncodedFrame) -> None:
        if frame.keyframe:
            self._held = self._held_before = None  # another source numbers its frames anew
        self._lobby = False
        self._lost = None
        self._frames.append(frame)
        if self._ready:
            self._ready(frame)
        else:
            self._waiting.set()

    def _needs_nothing_lost(self, frame: EncodedFrame) -> bool:
        if self._lost is not None or self._held is None or frame.reference is None:
            return False  # also a frame after this one may still need what was lost
        return frame.reference <= self._held

    def _into_the_lobby(self, lost: int | None = None) -> None:
        if lost is None and self._frames:
            lost = self._frames[0].number
        self._lost = self._lost if lost is None else lost
        self.dropped += len(self._frames)
        self._frames.clear()
        self._lobby = self._late = True
