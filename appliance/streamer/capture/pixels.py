"""From the X server's pixels to what encoders take, area by area."""

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace, Interpolation
from numpy.typing import NDArray

from appliance.streamer.capture.areas import Area

Pixels = NDArray[np.uint8]


class Canvas:
    """A yuv420p picture that is kept up to date area by area: BT.601, limited range.

    `pixels` is the screen: rows of 4 bytes a pixel (blue, green, red, unused); only its even part is shown.
    """

    def __init__(self, pixels: Pixels) -> None:
        rows, columns, _ = pixels.shape
        self.width, self.height = columns & ~1, rows & ~1
        self._pixels = pixels
        self._start, self._stride = pixels.ctypes.data, pixels.strides[0]
        self._convert = _libyuv()
        self.picture = av.VideoFrame(self.width, self.height, "yuv420p")
        self._planes = [(plane.buffer_ptr, plane.line_size) for plane in self.picture.planes]

    def update(self, areas: Sequence[Area]) -> Sequence[Area]:
        """Convert areas of the screen: all that changed, maybe none. Returns what of the picture is new."""
        shown = [area for each in areas if (area := each.even().within(self.width, self.height))]
        if self._convert is None:
            if shown:
                self._reformat()
            return shown
        start, stride = self._start, self._stride
        (y, y_stride), (u, u_stride), (v, v_stride) = self._planes
        for left, top, right, bottom in shown:
            self._convert(
                start + top * stride + left * 4, stride,
                y + top * y_stride + left, y_stride,
                u + top // 2 * u_stride + left // 2, u_stride,
                v + top // 2 * v_stride + left // 2, v_stride,
                right - left, bottom - top,
            )  # fmt: skip
        return shown

    def converts(self, part: Area, areas: Sequence[Area]) -> bool:
        """Whether an update of these areas reads any of `part`."""
        if self._convert is None:
            return bool(areas)
        return any(part.meets(area.even()) for area in areas)

    def _reformat(self) -> None:
        """The slower way, by swscale and always whole."""
        shown = np.ascontiguousarray(self._pixels[: self.height, : self.width])
        source = av.VideoFrame.from_ndarray(shown, format="bgra")
        self.picture = source.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU601, interpolation=Interpolation.POINT
        )


@functools.cache
def _libyuv() -> Callable[..., Any] | None:
    """libyuv's ARGBToI420 (its ARGB is blue first in memory), or None where the library is missing."""
    try:
        convert = ctypes.CDLL("libyuv.so.0").ARGBToI420
    except (OSError, AttributeError):
        return None
    plane = (ctypes.c_void_p, ctypes.c_int)
    convert.argtypes = [*plane, *plane, *plane, *plane, ctypes.c_int, ctypes.c_int]
    convert.restype = ctypes.c_int
    return convert
