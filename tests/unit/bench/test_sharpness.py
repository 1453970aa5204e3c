"""How far a picture is from what was drawn."""

import math

import numpy as np
import pytest

from bench.sharpness import psnr

pytestmark = pytest.mark.unit


def test_psnr_is_of_the_mean_square_whatever_the_shape_of_the_rows() -> None:
    drawn = np.full((100, 200), 40.0)
    assert psnr(drawn + 2, drawn.reshape(-1)) == pytest.approx(10 * math.log10(255**2 / 4), abs=0.5)
    assert psnr(drawn, drawn) > 90


def test_the_pointer_in_the_middle_does_not_count() -> None:
    drawn = np.full((100, 200), 40.0)
    pointed = drawn.copy()
    pointed[45:60, 95:110] = 255
    assert psnr(pointed, drawn) > 90
    pointed[0, 0] = 255
    assert psnr(pointed, drawn) < 60
