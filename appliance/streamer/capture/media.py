"""Cameras and files: decoded, fitted to the screen, encoded again at their own pace."""

import logging
import select
import time
from collections.abc import Callable, Iterator

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace

from appliance.errors import UnavailableError
from appliance.streamer.capture.encoder import open_encoder
from appliance.streamer.capture.worker import Mailbox, ThreadedSource
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo

logger = logging.getLogger(__name__)

_OPEN_SECONDS = 10.0
_READ_SECONDS = 2.0
_LONGEST_PAUSE_S = 1.0


class MediaSource(ThreadedSource):
    """What FFmpeg can open. A `live` one sets the pace itself; a file keeps its own and loops."""

    def __init__(
        self,
        url: str,
        *,
        size: tuple[int, int],
        codec: Codec,
        fps: int,
        kbps: int,
        live: bool = False,
        format: str | None = None,  # noqa: A002 - FFmpeg's word
        options: dict[str, str] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(open_encoder(codec, fps=fps, kbps=kbps))
        self._url = url
        self._format = format
        self._options = options or {}
        self._live = live
        self._largest = size
        self._reason = reason

    def work(self, mailbox: Mailbox, emit: Callable[[EncodedFrame], None]) -> None:
        """See ThreadedSource.work."""
        waiting = select.poll()
        waiting.register(mailbox.fd, select.POLLIN)
        keyframe = True
        for due, picture in self._pictures():
            while True:
                orders = mailbox.take()
                if orders.stop:
                    return
                keyframe |= orders.keyframe
                if orders.kbps is not None:
                    self._encoder.set_bitrate(orders.kbps)
                remaining = due - time.monotonic()
                if remaining <= 0:
                    break
                waiting.poll(remaining * 1000)
            self.encode(self._fit(picture), time.monotonic_ns(), emit, keyframe=keyframe)
            keyframe = False

    def _pictures(self) -> Iterator[tuple[float, VideoFrame]]:
        """Decoded pictures, each with the monotonic time when it is due."""
        try:
            with av.open(
                self._url, format=self._format, options=self._options, timeout=(_OPEN_SECONDS, _READ_SECONDS)
            ) as container:
                if not container.streams.video:
                    raise UnavailableError(f"{self._url}: there is no picture in it")
                container.streams.video[0].thread_type = "AUTO"
                yield from _live(container) if self._live else _looped(container, self._url)
        except av.error.FFmpegError as exc:
            raise UnavailableError(f"{self._url}: {exc.strerror}") from exc

    def _fit(self, picture: VideoFrame) -> VideoFrame:
        """No larger than asked, of even size, yuv420p in BT.601."""
        width, height = self._largest
        scale = min(width / picture.width, height / picture.height, 1)
        width, height = (max(round(side * scale) & ~1, 2) for side in (picture.width, picture.height))
        self.info = SourceInfo(
            f"{self._url} {width}x{height}",
            self._encoder.name,
            self._reason,
            False,
            self._encoder.codec,
            width,
            height,
        )
        return picture.reformat(width, height, "yuv420p", dst_colorspace=Colorspace.ITU601)


def open_camera(
    device: str, *, size: tuple[int, int], codec: Codec, fps: int, kbps: int, reason: str = ""
) -> MediaSource:
    """The V4L2 camera `device`, asked for `size` and `fps`; it may give what it has instead."""
    options = {"video_size": f"{size[0]}x{size[1]}", "framerate": str(fps)}
    return MediaSource(
        device,
        size=size,
        codec=codec,
        fps=fps,
        kbps=kbps,
        live=True,
        format="v4l2",
        options=options,
        reason=reason,
    )


def _live(container: InputContainer) -> Iterator[tuple[float, VideoFrame]]:
    for picture in container.decode(video=0):
        yield 0.0, picture


def _looped(container: InputContainer, url: str) -> Iterator[tuple[float, VideoFrame]]:
    """From the start again at the end; a jump in the time stamps is no pause."""
    due = time.monotonic()
    while True:
        before: float | None = None
        for picture in container.decode(video=0):
            stamp = picture.time
            if stamp is not None and before is not None and 0 < stamp - before < _LONGEST_PAUSE_S:
                due += stamp - before
            before = stamp
            due = max(due, time.monotonic() - _LONGEST_PAUSE_S)
            yield due, picture
        if before is None:
            raise UnavailableError(f"{url}: no picture could be decoded")
        due += 1 / 30
        container.seek(0)
