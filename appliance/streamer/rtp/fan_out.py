"""Packetize once, send to everybody: what the viewers of one codec share on the way out."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from appliance.streamer.frames import Codec, EncodedFrame
from appliance.streamer.rtp.layout import PackedFrame
from appliance.streamer.rtp.packetizer import packetizer
from appliance.streamer.rtp.reception import Reception
from appliance.streamer.rtp.seat import Queue, Seat
from appliance.streamer.rtp.sender import Link, ViewerStream

_TURN_S = 0.002
_TICK_S = 0.1
_SLACK_S = 0.001  # who is due that soon is served in the same turn
_RECENT = 8  # more than the frames that wait for any viewer


class Source(Protocol):
    """Where the frames come from."""

    def subscribe(self, ready: Callable[[EncodedFrame], None]) -> contextlib.AbstractContextManager[Queue]:
        """Take part; `ready` is called with every frame that was queued."""


class FanOut:
    """Sends every frame to all viewers that are ready for it, in one turn of the loop if that is short."""

    def __init__(self, source: Source, codec: Codec) -> None:
        self._source = source
        self._packetize = packetizer(codec)
        self._recent: deque[tuple[EncodedFrame, PackedFrame]] = deque()
        self._seats: set[Seat] = set()
        self._waiting: dict[Seat, None] = {}
        """Who is served in the coming turn."""
        self._later: dict[Seat, float] = {}
        """Who is served when, since its pacer has no room now."""
        self._turn: asyncio.Handle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def attach(self, link: Link, reception: Reception) -> Iterator[Seat]:
        """Send to this viewer from the next keyframe on."""
        seat: Seat | None = None

        def ready(frame: EncodedFrame) -> None:
            if seat and seat.admit(time.monotonic()):
                self._pack(frame)
                self._wake(seat)

        stream = ViewerStream(link, reception.estimator)
        try:
            with self._source.subscribe(ready) as queue:
                seat = Seat(queue, stream, reception, self._wake)
                self._seats.add(seat)
                self._keep_ticking()
                yield seat
        finally:
            if seat:
                self._seats.discard(seat)
                self._waiting.pop(seat, None)
                self._later.pop(seat, None)
            stream.close()

    def _wake(self, seat: Seat) -> None:
        """Serve it in the coming turn."""
        self._later.pop(seat, None)
        self._waiting[seat] = None
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._send)

    def _pack(self, frame: EncodedFrame) -> None:
        """At once: picture ids follow the order of the frames, whoever is behind."""
        if self._recent and self._recent[-1][0] is frame:
            return
        self._recent.append((frame, PackedFrame(self._packetize(frame.data), frame.timestamp)))
        if len(self._recent) > _RECENT:
            self._recent.popleft()[1].forget_layouts()

    def _packed(self, frame: EncodedFrame) -> PackedFrame:
        return next(packed for each, packed in reversed(self._recent) if each is frame)

    def _send(self) -> None:
        self._turn = None
        now = time.monotonic()
        until = now + _TURN_S
        while self._waiting:
            seat = next(iter(self._waiting))
            del self._waiting[seat]
            if not seat.lost and (pause := seat.serve(self._packed, now)) is not None:
                self._later[seat] = now + pause
            now = time.monotonic()
            if self._waiting and now > until:
                self._turn = asyncio.get_running_loop().call_soon(self._send)  # input and sound go first
                break
        self._set_alarm()

    def _set_alarm(self) -> None:
        """One timer for whoever waits for its pacer."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._later:
            pause = max(0.0, min(self._later.values()) - time.monotonic())
            self._alarm = asyncio.get_running_loop().call_later(pause, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now = time.monotonic()
        for seat in [seat for seat, due in self._later.items() if due <= now + _SLACK_S]:
            self._wake(seat)

    def _keep_ticking(self) -> None:
        if self._ticking is None:
            self._ticking = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        now = time.monotonic()
        for seat in self._seats:
            if seat.tick(now):
                self._wake(seat)
        if self._seats:
            self._keep_ticking()
