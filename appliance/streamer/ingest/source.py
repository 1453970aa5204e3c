"""The pictures of a master, as a source whose encoder is elsewhere."""

import asyncio
import time
from collections.abc import Callable

from appliance.errors import UnavailableError
from appliance.streamer.frames import VIDEO_CLOCK, Codec, EncodedFrame, SourceInfo
from appliance.streamer.ingest.assembly import Arrived
from appliance.streamer.ingest.ingest import Ingest
from appliance.streamer.ingest.timeline import Timeline

_REFRESH_S = 2.0


class IngestSource:
    """A VideoSource: `captured_ns` is when a frame's first packet came, `encoded_ns` when its last did."""

    def __init__(self, ingest: Ingest, codec: Codec, name: str) -> None:
        self._ingest = ingest
        self._codec = codec
        self._name = name
        self._timeline = Timeline(VIDEO_CLOCK)
        self._refreshed_at = float("-inf")
        self._size: tuple[int, int] | None = None
        self._started = asyncio.Event()
        self._deliver: Callable[[EncodedFrame], None] = lambda _: None

    @property
    def info(self) -> SourceInfo:
        """See VideoSource.info."""
        if self._size is None:
            raise UnavailableError("nothing came yet")
        width, height = self._size
        return SourceInfo(
            source=f"{self._name} {width}x{height}",
            encoder="the camera's own",
            reason="",
            software_fallback=False,
            codec=self._codec,
            width=width,
            height=height,
            scalable=False,
        )

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        """See VideoSource.run. Whoever sends, and how often that changes, it is one line of time."""
        self._deliver, self._started = deliver, started
        with self._ingest.watch(self):
            await asyncio.get_running_loop().create_future()

    def show(self, arrived: Arrived) -> None:
        """See Watcher."""
        picture = arrived.picture
        if picture.keyframe:
            self._size = picture.size
        if self._size is None:
            return
        now_ns = time.monotonic_ns()
        self._started.set()
        self._deliver(
            EncodedFrame(
                data=picture.data,
                keyframe=picture.keyframe,
                timestamp=self._timeline.place(arrived.timestamp, arrived.first_ns),
                captured_ns=arrived.first_ns,
                encode_start_ns=arrived.first_ns,
                encoded_ns=now_ns,
            )
        )

    def request_keyframe(self) -> None:
        """See VideoSource.request_keyframe."""
        self._ingest.request_keyframe()

    def refresh(self) -> None:
        """See VideoSource.refresh: only a keyframe can be had, for which nobody else should pay too often."""
        now = time.monotonic()
        if now - self._refreshed_at >= _REFRESH_S:
            self._refreshed_at = now
            self._ingest.request_keyframe()

    def set_bitrate(self, kbps: int) -> None:
        """See VideoSource.set_bitrate."""
        self._ingest.set_bitrate(kbps)
