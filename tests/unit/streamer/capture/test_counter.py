"""The counter that tells frames apart."""

import numpy as np
import pytest

from appliance.streamer.capture.counter import draw_counter, read_counter

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("width", [456, 640, 200])
@pytest.mark.parametrize("number", [0, 1, 2, 12345, 65535])
def test_what_is_drawn_is_read(width: int, number: int) -> None:
    luma = np.full((100, width), 90, np.uint8)
    draw_counter(luma, number)
    assert read_counter(luma) == number


def test_it_wraps_at_16_bits() -> None:
    luma = np.zeros((30, 460), np.uint8)
    draw_counter(luma, 65536 + 7)
    assert read_counter(luma) == 7


def test_a_picture_without_one_is_not_taken_for_one() -> None:
    assert read_counter(np.full((100, 640), 235, np.uint8)) is None
    assert read_counter(np.zeros((100, 640), np.uint8)) is None
    assert read_counter(np.zeros((8, 8), np.uint8)) is None
