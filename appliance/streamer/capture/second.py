"""The pictures of a source once more, half as wide and high: encoded in its thread, after its own frames."""

import asyncio
from collections.abc import Callable

import av
from av.video.reformatter import Interpolation

from appliance.errors import UnavailableError
from appliance.streamer.capture.encoder import Encoder
from appliance.streamer.frames import EncodedFrame, SourceInfo


class SecondSource:
    """A VideoSource beside another one; runs once. `wake` rouses that one's thread."""

    info: SourceInfo

    def __init__(self, encoder: Encoder, wake: Callable[[], None]) -> None:
        self.hurry = False
        """Whether a picture is wanted now."""
        self._encoder = encoder
        self._wake = wake
        self._keyframe = True
        self._kbps: int | None = None
        self._emit: Callable[[EncodedFrame], object] | None = None
        self._fail: Callable[[UnavailableError], object] | None = None

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        """See VideoSource.run. Raises UnavailableError also when the other source ends."""
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[None] = loop.create_future()

        def arrive(frame: EncodedFrame) -> None:
            started.set()
            deliver(frame)

        def fail(error: UnavailableError) -> None:
            if not failed.done():
                failed.set_exception(error)

        self._fail = lambda error: loop.call_soon_threadsafe(fail, error)
        self._emit = lambda frame: loop.call_soon_threadsafe(arrive, frame)
        self.request_keyframe()
        try:
            await failed
        finally:
            self._emit = self._fail = None

    def request_keyframe(self) -> None:
        """See VideoSource.request_keyframe."""
        self._keyframe = True
        self.refresh()

    def refresh(self) -> None:
        """See VideoSource.refresh."""
        self.hurry = True
        self._wake()

    def set_bitrate(self, kbps: int) -> None:
        """See VideoSource.set_bitrate."""
        self._kbps = kbps

    def encode(self, picture: av.VideoFrame, captured_ns: int, source: str) -> None:
        """In the thread of the other source, which is called `source`: one more picture, yuv420p."""
        emit = self._emit
        if emit is None:
            return
        if self._kbps is not None:
            self._encoder.set_bitrate(self._kbps)
            self._kbps = None
        keyframe, self._keyframe, self.hurry = self._keyframe, False, False
        width, height = picture.width // 4 * 2, picture.height // 4 * 2
        small = picture.reformat(width, height, "yuv420p", interpolation=Interpolation.AREA)
        encoder = self._encoder
        self.info = SourceInfo(source, encoder.name, "", False, encoder.codec, width, height)
        try:
            emit(encoder.encode(small, captured_ns, keyframe=keyframe))
        except UnavailableError as exc:
            self.end(exc)

    def end(self, error: UnavailableError) -> None:
        """There will be no more pictures."""
        if fail := self._fail:
            fail(error)
