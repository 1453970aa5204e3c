"""The mouse cursor, drawn over the pixels of a screen for as long as it takes to convert them."""

import contextlib
from collections.abc import Iterator

import numpy as np

from appliance.streamer.capture.areas import Area
from appliance.streamer.capture.pixels import Pixels


class Cursor:
    """A cursor's shape: `argb` as XFixesGetCursorImage gives it, colours already multiplied by opacity."""

    def __init__(self, argb: bytes, width: int, height: int, hot_x: int, hot_y: int) -> None:
        image = np.frombuffer(argb, "<u4").view(np.uint8).reshape(height, width, 4)
        self._colour = image[..., :3]
        self._through = 255 - image[..., 3:].astype(np.uint16)
        self._hot_x, self._hot_y = hot_x, hot_y
        self._width, self._height = width, height

    def area(self, x: int, y: int) -> Area:
        """What it covers with the pointer at (x, y)."""
        left, top = x - self._hot_x, y - self._hot_y
        return Area(left, top, left + self._width, top + self._height)

    @contextlib.contextmanager
    def drawn(self, pixels: Pixels, x: int, y: int) -> Iterator[None]:
        """Draw it with the pointer at (x, y); on leaving, `pixels` are as they were."""
        left, top, _, _ = self.area(x, y)
        rows = slice(max(top, 0), max(min(top + self._height, pixels.shape[0]), 0))
        columns = slice(max(left, 0), max(min(left + self._width, pixels.shape[1]), 0))
        part = (
            slice(rows.start - top, max(rows.stop, rows.start) - top),
            slice(columns.start - left, max(columns.stop, columns.start) - left),
        )
        under = pixels[rows, columns, :3]
        kept = under.copy()
        under[:] = self._colour[part] + (kept * self._through[part] // 255).astype(np.uint8)
        try:
            yield
        finally:
            under[:] = kept
