"""Tells x264 which part of a picture has changed, so that it need not look for changes in the rest.

FFmpeg's libx264 takes it as side data of the frame (`AVVideoHint` in libavutil/video_hint.h, with its option
`mb_info`), and PyAV has no way to attach any. So this reaches for the frame itself, where PyAV's own
`frame.pxd` says that it is, and in the versions of PyAV alone that the tests have seen.
"""

import ctypes
import functools
from collections.abc import Sequence

import av
import av.frame
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from appliance.streamer.capture.areas import Area

_PYAV = "18."
_FRAME_OFFSET = 3 * ctypes.sizeof(ctypes.c_void_p)  # behind CPython's head of two words and Cython's table
_CHANGED = 1  # AV_VIDEO_HINT_TYPE_CHANGED


class _Hint(ctypes.Structure):
    """AVVideoHint."""

    _fields_ = (
        ("rects", ctypes.c_size_t),
        ("rect_offset", ctypes.c_size_t),
        ("rect_size", ctypes.c_size_t),
        ("type", ctypes.c_int),
    )


_Rect = ctypes.c_uint32 * 4
"""AVVideoRect: left, top, width, height."""


def tell_changes(picture: VideoFrame, areas: Sequence[Area] | None) -> None:
    """What differs from the picture encoded before; None: nothing is known.

    Replaces what was told of it, or of the one that it was scaled from: FFmpeg does not look whether those
    areas are in the picture, and writes to memory where they are.
    """
    library = _libavutil()
    if library is None:
        return
    frame = ctypes.c_void_p.from_address(id(picture) + _FRAME_OFFSET).value
    if not frame or ctypes.c_void_p.from_address(frame).value != picture.planes[0].buffer_ptr:
        return  # no AVFrame: those begin with the pointer to their first plane
    library.av_frame_remove_side_data(frame, Type.VIDEO_HINT.value)
    if areas is None:
        return
    shown = [area for each in areas if (area := each.within(picture.width, picture.height))]
    if told := library.av_video_hint_create_side_data(frame, len(shown)):
        hint = told.contents
        hint.type = _CHANGED
        first = ctypes.addressof(hint) + hint.rect_offset
        for index, (left, top, right, bottom) in enumerate(shown):
            rect = _Rect(left, top, right - left, bottom - top)
            ctypes.memmove(first + index * hint.rect_size, rect, ctypes.sizeof(rect))


@functools.cache
def _libavutil() -> ctypes.CDLL | None:
    """The library that PyAV itself is bound to; None where frames cannot be reached for."""
    if not av.__version__.startswith(_PYAV):
        return None
    try:
        library = ctypes.CDLL(av.frame.__file__)
        create, remove = library.av_video_hint_create_side_data, library.av_frame_remove_side_data
    except (OSError, AttributeError):  # a build of PyAV with an older FFmpeg
        return None
    create.argtypes, create.restype = (ctypes.c_void_p, ctypes.c_size_t), ctypes.POINTER(_Hint)
    remove.argtypes, remove.restype = (ctypes.c_void_p, ctypes.c_int), None
    return library
