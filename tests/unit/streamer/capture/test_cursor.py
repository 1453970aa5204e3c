"""The cursor is drawn and taken away again."""

import numpy as np
import pytest

from appliance.streamer.capture.cursor import Cursor

pytestmark = pytest.mark.unit


def white_cursor(opacity: int = 255) -> Cursor:
    """4 x 2 pixels, premultiplied, hot spot at (1, 1)."""
    pixel = bytes((opacity, opacity, opacity, opacity))
    return Cursor(pixel * 8, 4, 2, 1, 1)


@pytest.mark.parametrize(("opacity", "expected"), [(255, 255), (0, 100), (128, 177)])
def test_it_is_blended_over_the_screen_and_leaves_no_trace(opacity: int, expected: int) -> None:
    screen = np.full((10, 10, 4), 100, np.uint8)
    with white_cursor(opacity).drawn(screen, 5, 5):
        assert screen[4, 4, 0] == expected
        assert (screen[4:6, 4:8, :3] == expected).all()
        assert (screen[3] == 100).all()
        assert (screen[:, 8] == 100).all()
    assert (screen == 100).all()


@pytest.mark.parametrize(("x", "y", "shown"), [(0, 0, 3), (9, 9, 4), (11, 5, 0), (5, 40, 0), (-9, -9, 0)])
def test_it_is_cut_at_the_edges(x: int, y: int, shown: int) -> None:
    screen = np.zeros((10, 10, 4), np.uint8)
    with white_cursor().drawn(screen, x, y):
        assert int((screen[..., 0] == 255).sum()) == shown
    assert not screen.any()


def test_area() -> None:
    assert white_cursor().area(7, 5) == (6, 4, 10, 6)
