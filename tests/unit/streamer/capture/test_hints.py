"""What x264 is told of a picture: side data of PyAV's own frame."""

import struct

import av
import pytest
from av.sidedata.sidedata import Type

from appliance.streamer.capture import hints
from appliance.streamer.capture.areas import Area
from appliance.streamer.capture.hints import tell_changes

pytestmark = pytest.mark.unit


def told(picture: av.VideoFrame) -> list[tuple[int, ...]] | None:
    """Left, top, width and height of each changed area; None where nothing is told. PyAV looks but once."""
    found = picture.side_data.get(Type.VIDEO_HINT)
    if found is None:
        return None
    raw = bytes(found)
    count, offset, size, kind = struct.unpack_from("@NNNi", raw)
    assert kind == 1
    return [struct.unpack_from("=4I", raw, offset + index * size) for index in range(count)]


def test_changes_are_told_with_the_frame_and_replace_what_was_told_before() -> None:
    picture = av.VideoFrame(640, 360, "yuv420p")
    tell_changes(picture, [Area(0, 0, 640, 360)])
    tell_changes(picture, [Area(2, 4, 10, 20), Area(100, 300, 102, 360)])
    assert told(picture) == [(2, 4, 8, 16), (100, 300, 2, 60)]


def test_that_nothing_changed_is_told_too() -> None:
    picture = av.VideoFrame(640, 360, "yuv420p")
    tell_changes(picture, [])
    assert told(picture) == []


def test_nothing_is_told_where_nothing_is_known() -> None:
    picture = av.VideoFrame(640, 360, "yuv420p")
    tell_changes(picture, [])
    tell_changes(picture, None)
    assert told(picture) is None


def test_areas_end_with_the_picture() -> None:
    picture = av.VideoFrame(640, 360, "yuv420p")
    tell_changes(picture, [Area(630, 350, 800, 600), Area(700, 0, 800, 10), Area(-4, 0, 4, 2)])
    assert told(picture) == [(630, 350, 10, 10), (0, 0, 4, 2)]


def test_frames_of_a_pyav_that_nobody_has_tried_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "__version__", "19.0.0")
    hints._libavutil.cache_clear()
    try:
        picture = av.VideoFrame(640, 360, "yuv420p")
        tell_changes(picture, [])
        assert told(picture) is None
    finally:
        hints._libavutil.cache_clear()
