"""A test pattern: colour bars, a moving square, and a counter that tells every frame from the others."""

import select
import time
from collections.abc import Callable

import av
import numpy as np
from numpy.typing import NDArray

from appliance.streamer.capture.counter import BLOCK, draw_counter
from appliance.streamer.capture.encoder import open_encoder
from appliance.streamer.capture.worker import Mailbox, ThreadedSource
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo

# White, yellow, cyan, green, magenta, red, blue at 75 %, and black: Y, Cb, Cr of BT.601.
_BARS = (
    (180, 128, 128), (162, 44, 142), (131, 156, 44), (112, 72, 58),
    (84, 184, 198), (65, 100, 212), (35, 212, 114), (16, 128, 128),
)  # fmt: skip
_SQUARE = (235, 128, 128)
_SMALLEST = 48


class PatternSource(ThreadedSource):
    """Draws and encodes at `fps`, whether anything changes or not."""

    def __init__(
        self, width: int, height: int, *, codec: Codec, fps: int, kbps: int, reason: str = ""
    ) -> None:
        super().__init__(open_encoder(codec, fps=fps, kbps=kbps))
        self._pattern = Pattern(max(width, _SMALLEST) & ~1, max(height, _SMALLEST) & ~1)
        self._fps = fps
        width, height = self._pattern.picture.width, self._pattern.picture.height
        self.info = SourceInfo(
            f"test pattern {width}x{height}", self._encoder.name, reason, False, codec, width, height
        )

    def work(self, mailbox: Mailbox, emit: Callable[[EncodedFrame], None]) -> None:
        """See ThreadedSource.work."""
        waiting = select.poll()
        waiting.register(mailbox.fd, select.POLLIN)
        keyframe = True
        number = 0
        due = time.monotonic()
        while True:
            orders = mailbox.take()
            if orders.stop:
                return
            keyframe |= orders.keyframe
            if orders.kbps is not None:
                self._encoder.set_bitrate(orders.kbps)
            remaining = due - time.monotonic()
            if remaining > 0:
                waiting.poll(remaining * 1000)
                continue
            captured_ns = time.monotonic_ns()
            self._pattern.draw(number)
            self.encode(self._pattern.picture, captured_ns, emit, keyframe=keyframe)
            keyframe = False
            number += 1
            due = max(due + 1 / self._fps, time.monotonic() - 1 / self._fps)


class Pattern:
    """The picture, drawn in place."""

    def __init__(self, width: int, height: int) -> None:
        self.picture = av.VideoFrame(width, height, "yuv420p")
        self._planes = [_view(plane) for plane in self.picture.planes]
        self._still = []
        for index, plane in enumerate(self._planes):
            bars = np.array([bar[index] for bar in _BARS], np.uint8)
            plane[:] = bars[np.arange(plane.shape[1]) * len(_BARS) // plane.shape[1]]
            self._still.append(plane[0].copy())
        self._side = max(min(width, height) // 8, 4) & ~1
        self._top = self._left = 0

    def draw(self, number: int) -> None:
        """Frame `number`: the square one step on, bouncing off the sides."""
        height, width = self._planes[0].shape
        self._fill(None)
        self._left = _bounce(number * 6, width - self._side) & ~1
        below = min(BLOCK, height - self._side)
        self._top = (below + _bounce(number * 4, height - self._side - below)) & ~1
        self._fill(_SQUARE)
        draw_counter(self._planes[0], number)

    def _fill(self, colour: tuple[int, int, int] | None) -> None:
        """Paint the square, or the bars where it was."""
        for index, plane in enumerate(self._planes):
            shift = 1 if index else 0
            rows = slice(self._top >> shift, (self._top + self._side) >> shift)
            columns = slice(self._left >> shift, (self._left + self._side) >> shift)
            plane[rows, columns] = self._still[index][columns] if colour is None else colour[index]


def _view(plane: av.video.plane.VideoPlane) -> NDArray[np.uint8]:
    rows: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _bounce(distance: int, room: int) -> int:
    """Where something is that ran `distance` to and fro in `room`."""
    if room <= 0:
        return 0
    distance %= 2 * room
    return min(distance, 2 * room - distance)
