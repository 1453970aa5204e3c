"""A picture that is encoded in another process: for its viewers here, one source like any other."""

import asyncio
from collections.abc import Callable

from appliance.errors import UnavailableError
from appliance.streamer.frames import EncodedFrame, SourceInfo
from appliance.streamer.shard.wire import BitrateWanted, FrameWanted, FromShard, RenditionName, Watch


class RemoteSource:
    """A VideoSource fed with what the streamer sends; it may run again. `send` speaks to the streamer."""

    info: SourceInfo

    def __init__(self, name: RenditionName, send: Callable[[FromShard], None]) -> None:
        self._name = name
        self._send = send
        self._deliver: Callable[[EncodedFrame], None] | None = None
        self._started = asyncio.Event()
        self._failed: asyncio.Future[None] | None = None

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        """See VideoSource.run."""
        self._started = started
        self._failed = asyncio.get_running_loop().create_future()
        self._deliver = deliver
        self._send(Watch(rendition=self._name, wanted=True))
        try:
            await self._failed
        finally:
            self._deliver = self._failed = None
            self._send(Watch(rendition=self._name, wanted=False))

    def request_keyframe(self) -> None:
        """See VideoSource.request_keyframe."""
        self._send(FrameWanted(rendition=self._name, keyframe=True))

    def refresh(self) -> None:
        """See VideoSource.refresh."""
        self._send(FrameWanted(rendition=self._name, keyframe=False))

    def set_bitrate(self, kbps: int) -> None:
        """See VideoSource.set_bitrate."""
        self._send(BitrateWanted(rendition=self._name, kbps=kbps))

    def start(self, info: SourceInfo) -> None:
        """What comes from now on."""
        self.info = info
        if self._deliver:
            self._started.set()

    def arrive(self, frame: EncodedFrame) -> None:
        """A frame came; those that were on their way when nobody watched any more lead nowhere."""
        if self._deliver:
            self._deliver(frame)

    def fail(self, problem: str) -> None:
        """There are no frames, for this reason."""
        if self._failed and not self._failed.done():
            self._failed.set_exception(UnavailableError(problem))
