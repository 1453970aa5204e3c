"""What aiortc pulls from: encoded pictures and sound that are shared by all viewers."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from fractions import Fraction
from typing import Protocol, TypeAlias

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.stream import Stream

from appliance.streamer.frames import AUDIO_CLOCK, VIDEO_CLOCK, EncodedFrame, SourceInfo
from appliance.streamer.rtp.feed import RenditionQueue
from appliance.streamer.rtp.red import SoundPacket
from appliance.streamer.rtp.seat import TAIL_S, Seat
from appliance.streamer.rtp.sound import SoundFanOut, SoundLink, SoundStream

_VIDEO_TIME_BASE = Fraction(1, VIDEO_CLOCK)
_AUDIO_TIME_BASE = Fraction(1, AUDIO_CLOCK)
_AUDIO_PACKETS = 10
_AnyPacket: TypeAlias = "av.Packet[Stream]"


class Subscription(RenditionQueue, Protocol):
    """One viewer's view of a rendition."""

    async def next(self) -> EncodedFrame:
        """The next frame, the first one a keyframe."""


class Rendition(Protocol):
    """One encoding of the picture, shared by all of its viewers."""

    @property
    def info(self) -> SourceInfo | None:
        """What runs; None while nothing does."""

    @property
    def current(self) -> bool:
        """Whether who joins now needs no keyframe of its own."""

    @property
    def problem(self) -> str:
        """Why there is no picture; empty where there is one."""

    def subscribe(
        self, ready: Callable[[EncodedFrame], None] | None = None
    ) -> contextlib.AbstractContextManager[Subscription]:
        """Take part from the next keyframe on, which is asked for; `ready` hears of every queued frame."""

    @property
    def frames_encoded(self) -> int:
        """Since the beginning."""

    @property
    def bitrate_kbps(self) -> float | None:
        """Over the last two seconds; None while nothing runs."""

    def hold(self) -> contextlib.AbstractContextManager[None]:
        """Have it run without watching it."""

    def request_keyframe(self) -> None:
        """Coalesced with everybody else's."""

    def refresh(self) -> None:
        """Have one more frame made of a still screen."""

    def set_bitrate(self, kbps: int) -> None:
        """Steer the encoder, also one that starts later."""


class SoundFan:
    """Hands every Opus packet to every viewer; who is slow, where aiortc sends, misses the oldest."""

    def __init__(self) -> None:
        self._fan_out = SoundFanOut()
        self._queues: set[asyncio.Queue[SoundPacket]] = set()

    def attach(self, link: SoundLink) -> contextlib.AbstractContextManager[SoundStream]:
        """Send to this viewer without aiortc, from the next packet on."""
        return self._fan_out.attach(link)

    def deliver(self, packet: SoundPacket) -> None:
        """Never waits; to be called in the event loop."""
        self._fan_out.deliver(packet)
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(packet)

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[SoundPacket]]:
        """The packets from now on."""
        queue: asyncio.Queue[SoundPacket] = asyncio.Queue(_AUDIO_PACKETS)
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)


class _PacketTrack(MediaStreamTrack):
    """Subscribes when the first packet is pulled, which is when the viewer is connected."""

    def __init__(self) -> None:
        super().__init__()
        self._subscribed = contextlib.ExitStack()

    def stop(self) -> None:
        """Also ends the subscription."""
        super().stop()
        self._subscribed.close()

    def _assert_live(self) -> None:
        if self.readyState != "live":
            raise MediaStreamError


class VideoTrack(_PacketTrack):
    """The picture of one viewer, from the rendition that its negotiation led to.

    `fan_out` takes a place there once the viewer is connected; where it returns None, aiortc pulls frames.
    `on_sent` is called with every frame that the fan-out sent, and its RTP timestamp; `repeat` has aiortc
    send its last packet once more.
    """

    kind = "video"

    def __init__(
        self,
        rendition: Callable[[], Rendition],
        fan_out: Callable[[], contextlib.AbstractContextManager[Seat] | None] = lambda: None,
        on_sent: Callable[[EncodedFrame, int], None] | None = None,
        repeat: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__()
        self._on_sent = on_sent
        self._repeat = repeat
        self._rendition = rendition
        self._fan_out = fan_out
        self._seat: Seat | None = None
        self._subscription: Subscription | None = None
        self._pulled = 0
        self._pulled_at = 0.0

    @property
    def rested_since(self) -> float | None:
        """When the last frame was sent, time.monotonic(); None before the first, or when one waits."""
        if self._seat:
            return self._seat.sent_at if self._seat.at_rest else None
        return self._pulled_at if self._pulled else None

    @property
    def seat(self) -> Seat | None:
        """The place at the fan-out; None where aiortc sends."""
        return self._seat

    @property
    def frames_sent(self) -> int:
        """Frames that went out to this viewer."""
        return self._seat.frames_sent if self._seat else self._pulled

    @property
    def frames_dropped(self) -> int:
        """Frames that this viewer was too slow for."""
        queue = self._seat.queue if self._seat else self._subscription
        return queue.dropped if queue else 0

    @property
    def repeated(self) -> tuple[int | None, int | None]:
        """Packets that went out again, and the bytes in them; not known where aiortc sends."""
        history = self._seat.stream.history if self._seat else None
        return (history.repeated, history.repeated_octets) if history else (None, None)

    def retransmit(self, sequences: Sequence[int]) -> bool:
        """Answer a NACK; False where aiortc sends and has to."""
        if self._seat:
            self._seat.retransmit(sequences)
        return self._seat is not None

    async def recv(self) -> _AnyPacket:
        """The next access unit; never where the fan-out sends instead of aiortc."""
        self._assert_live()
        if self._subscription is None:
            if place := self._fan_out():
                self._seat = self._subscribed.enter_context(place)
                self._seat.on_sent = self._on_sent
                await asyncio.get_running_loop().create_future()
            self._subscription = self._subscribed.enter_context(self._rendition().subscribe())
        frame = await self._next(self._subscription)
        self._pulled += 1
        self._pulled_at = time.monotonic()
        return _packet(frame.data, frame.timestamp, _VIDEO_TIME_BASE)

    async def _next(self, subscription: Subscription) -> EncodedFrame:
        """The next frame; before a pause the last packet of the one before goes out again, see Seat."""
        if self._pulled and self._repeat:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TAIL_S):
                    return await subscription.next()
            await self._repeat()
        return await subscription.next()


class SoundTrack(_PacketTrack):
    """The sound of one viewer.

    `attach` takes a place at the fan once the viewer is connected; where it returns None, aiortc pulls.
    """

    kind = "audio"

    def __init__(
        self,
        fan: SoundFan,
        attach: Callable[[], contextlib.AbstractContextManager[SoundStream] | None] = lambda: None,
    ) -> None:
        super().__init__()
        self._fan = fan
        self._attach = attach
        self._queue: asyncio.Queue[SoundPacket] | None = None

    async def recv(self) -> _AnyPacket:
        """The next Opus packet; never where we send instead of aiortc."""
        self._assert_live()
        if self._queue is None:
            if place := self._attach():
                self._subscribed.enter_context(place)
                await asyncio.get_running_loop().create_future()
            self._queue = self._subscribed.enter_context(self._fan.subscribe())
        packet = await self._queue.get()
        return _packet(packet.data, packet.timestamp, _AUDIO_TIME_BASE)


def _packet(data: bytes, timestamp: int, time_base: Fraction) -> _AnyPacket:
    packet = av.Packet(data)
    packet.pts, packet.time_base = timestamp, time_base
    return packet
