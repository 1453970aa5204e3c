"""The chart is drawn from zero, and a gap is not a zero."""

import pytest

from tui.widgets.chart import draw

pytestmark = pytest.mark.unit


def test_the_newest_sample_is_at_the_right_edge() -> None:
    assert draw([1, 2, 4, 8], width=6, height=1) == ["  ▁▂▄█"]


def test_what_does_not_fit_falls_out_on_the_left() -> None:
    assert draw([8, 8, 1], width=2, height=1) == ["█▁"]


def test_a_gap_is_empty_and_a_zero_is_not() -> None:
    assert draw([None, 0, 8], width=3, height=1) == [" ▁█"]


def test_the_ceiling_leaves_room_above() -> None:
    assert draw([30], width=1, height=2, ceiling=60) == [" ", "█"]


def test_nothing_known_draws_nothing() -> None:
    assert draw([None, None], width=3, height=2) == ["   ", "   "]


def test_no_room_is_no_error() -> None:
    assert draw([1, 2], width=0, height=1) == [""]
