"""Packetize once, send to everybody: what one rendition's viewers share on the way out."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from appliance.errors import UnavailableError
from appliance.streamer.frames import Codec, EncodedFrame
from appliance.streamer.rtp.layout import PackedFrame
from appliance.streamer.rtp.packetizer import packetizer
from appliance.streamer.rtp.sender import Link, ViewerStream

logger = logging.getLogger(__name__)

_TURN_S = 0.002
_RECENT = 8  # more than the frames that wait for any viewer


class Queue(Protocol):
    """Decides which frames a viewer gets; `dropped` counts the others."""

    @property
    def dropped(self) -> int:
        """Frames that this viewer missed."""

    def take(self) -> EncodedFrame | None:
        """The oldest frame that waits."""

    def stumble(self) -> None:
        """The frame that was taken last did not get through: go on from a keyframe."""


class Source(Protocol):
    """Where the frames come from."""

    def subscribe(self, ready: Callable[[EncodedFrame], None]) -> contextlib.AbstractContextManager[Queue]:
        """Take part; `ready` is called with every frame that was queued."""


class Seat:
    """One viewer's place at the fan-out."""

    def __init__(self, queue: Queue, stream: ViewerStream) -> None:
        self.frames_sent = 0
        self.stream = stream
        self.queue = queue
        self.on_sent: Callable[[EncodedFrame, int], None] | None = None
        """Called with every frame that was sent, and its RTP timestamp."""
        self.lost = False
        """Whether the way to the viewer is gone; the connection will notice."""

    def send(self, frame: EncodedFrame, packed: PackedFrame) -> None:
        """Send what was taken from the queue."""
        with self._noticing():
            # A keyframe larger than the buffer would be so again: its rest comes by retransmission.
            if self.stream.send(packed) or frame.keyframe:
                self.frames_sent += 1
                if self.on_sent:
                    self.on_sent(frame, self.stream.wire_timestamp(packed))
            else:
                self.queue.stumble()

    def retransmit(self, sequences: Sequence[int]) -> None:
        """Answer a NACK."""
        with self._noticing():
            self.stream.retransmit(sequences)

    @contextlib.contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except UnavailableError as exc:
            logger.info("a viewer gets no more picture: %s", exc)
            self.lost = True


class FanOut:
    """Sends every frame to all viewers that are ready for it, in one turn of the loop if that is short."""

    def __init__(self, source: Source, codec: Codec) -> None:
        self._source = source
        self._packetize = packetizer(codec)
        self._recent: deque[tuple[EncodedFrame, PackedFrame]] = deque()
        self._waiting: dict[Seat, None] = {}
        self._turn: asyncio.Handle | None = None

    @contextlib.contextmanager
    def attach(self, link: Link) -> Iterator[Seat]:
        """Send to this viewer from the next keyframe on."""
        seat: Seat | None = None

        def ready(frame: EncodedFrame) -> None:
            if seat and not seat.lost:
                self._pack(frame)
                self._waiting[seat] = None
                self._schedule()

        stream = ViewerStream(link)
        try:
            with self._source.subscribe(ready) as queue:
                seat = Seat(queue, stream)
                self._waiting[seat] = None  # there may be frames already
                self._schedule()
                yield seat
        finally:
            if seat:
                self._waiting.pop(seat, None)
            stream.close()

    def _pack(self, frame: EncodedFrame) -> PackedFrame:
        """Once, as soon as it is queued: picture ids follow the order of the frames, whoever is behind."""
        for known, packed in reversed(self._recent):
            if known is frame:
                return packed
        packed = PackedFrame(self._packetize(frame.data), frame.timestamp)
        self._recent.append((frame, packed))
        if len(self._recent) > _RECENT:
            self._recent.popleft()[1].forget_layouts()
        return packed

    def _schedule(self) -> None:
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._turn = None
        until = time.perf_counter() + _TURN_S
        while self._waiting:
            seat = next(iter(self._waiting))
            del self._waiting[seat]
            self._serve(seat)
            if self._waiting and time.perf_counter() > until:
                self._schedule()  # input and sound go first
                return

    def _serve(self, seat: Seat) -> None:
        while not seat.lost and (frame := seat.queue.take()):
            seat.send(frame, self._pack(frame))
