"""From screen pixels to I420."""

import numpy as np
import pytest

from appliance.streamer.capture import pixels
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
    canvas.update(0, 48)
    planes = canvas.picture.to_ndarray()
    assert int(planes[10, 10]) == pytest.approx(yuv[0], abs=2)
    chroma = planes[48:].reshape(2, -1)
    assert int(chroma[0, 50]) == pytest.approx(yuv[1], abs=2)
    assert int(chroma[1, 50]) == pytest.approx(yuv[2], abs=2)


def test_odd_sizes_are_rounded_down(converter: str) -> None:
    canvas = Canvas(np.zeros((51, 67, 4), np.uint8))
    canvas.update(0, 51)
    assert (canvas.width, canvas.height) == (66, 50)
    assert (canvas.picture.width, canvas.picture.height) == (66, 50)


def test_only_the_band_is_converted_widened_to_even_rows() -> None:
    screen = np.zeros((64, 64, 4), np.uint8)
    canvas = Canvas(screen)
    canvas.update(0, 64)
    screen[:] = 255
    canvas.update(11, 19)
    luma = canvas.picture.to_ndarray()[:64]
    assert (luma[:10] == 16).all()
    assert (luma[10:20] == 235).all()
    assert (luma[20:] == 16).all()


@pytest.mark.parametrize("band", [(5, 5), (80, 90), (-9, -3)])
def test_nothing_is_converted_outside(band: tuple[int, int]) -> None:
    canvas = Canvas(np.zeros((64, 64, 4), np.uint8))
    canvas.update(0, 64)
    canvas.update(*band)
    assert (canvas.picture.to_ndarray()[:64] == 16).all()
