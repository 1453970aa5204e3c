"""From screen pixels to I420."""

import numpy as np
import pytest

from appliance.streamer.capture import pixels
from appliance.streamer.capture.areas import NOWHERE, Area
from appliance.streamer.capture.pixels import Canvas

pytestmark = pytest.mark.unit

# Blue, green, red in memory -> Y, Cb, Cr of BT.601, limited range.
COLOURS = [((0, 0, 255), (82, 90, 240)), ((0, 255, 0), (145, 54, 34)), ((255, 0, 0), (41, 240, 110))]


@pytest.fixture(params=["libyuv", "swscale"])
def converter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "swscale":
        monkeypatch.setattr(pixels, "_libyuv", lambda: None)
    else:
        assert pixels._libyuv() is not None, "libyuv.so.0 is missing"
    return str(request.param)


@pytest.mark.parametrize(("bgr", "yuv"), COLOURS)
def test_colours(converter: str, bgr: tuple[int, int, int], yuv: tuple[int, int, int]) -> None:
    screen = np.zeros((48, 64, 4), np.uint8)
    screen[..., :3] = bgr
    canvas = Canvas(screen)
    canvas.update([Area(0, 0, 64, 48)])
    planes = canvas.picture.to_ndarray()
    assert int(planes[10, 10]) == pytest.approx(yuv[0], abs=2)
    chroma = planes[48:].reshape(2, -1)
    assert int(chroma[0, 50]) == pytest.approx(yuv[1], abs=2)
    assert int(chroma[1, 50]) == pytest.approx(yuv[2], abs=2)


def test_odd_sizes_are_rounded_down(converter: str) -> None:
    canvas = Canvas(np.zeros((51, 67, 4), np.uint8))
    canvas.update([Area(0, 0, 67, 51)])
    assert (canvas.width, canvas.height) == (66, 50)
    assert (canvas.picture.width, canvas.picture.height) == (66, 50)


def test_only_the_areas_are_converted_widened_to_whole_chroma() -> None:
    screen = np.zeros((64, 64, 4), np.uint8)
    canvas = Canvas(screen)
    canvas.update([Area(0, 0, 64, 64)])
    screen[:] = 255
    canvas.update([Area(5, 11, 21, 19), Area(40, 40, 64, 42)])
    expected = np.full((64, 64), 16)
    expected[10:20, 4:22] = expected[40:42, 40:64] = 235
    assert (canvas.picture.to_ndarray()[:64] == expected).all()


@pytest.mark.parametrize("area", [Area(0, 5, 64, 5), Area(0, 80, 64, 90), Area(-9, -9, -3, -3), NOWHERE])
def test_nothing_is_converted_outside(area: Area) -> None:
    canvas = Canvas(np.zeros((64, 64, 4), np.uint8))
    canvas.update([Area(0, 0, 64, 64)])
    canvas.update([area])
    assert (canvas.picture.to_ndarray()[:64] == 16).all()


def test_what_an_update_reads(converter: str) -> None:
    canvas = Canvas(np.zeros((64, 64, 4), np.uint8))
    part = Area(10, 10, 20, 20)
    assert canvas.converts(part, [Area(0, 0, 5, 5), Area(19, 19, 30, 30)])
    assert canvas.converts(part, [Area(21, 12, 30, 14)]) is (converter == "swscale")
    assert canvas.converts(Area(9, 9, 11, 11), [Area(11, 5, 30, 30)]), "it is widened to whole chroma"
    assert not canvas.converts(part, [])
