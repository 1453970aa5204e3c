"""Few areas for many."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.streamer.capture.areas import MOST, NOWHERE, Area, together

pytestmark = pytest.mark.unit

SIDES = st.integers(0, 2000)
AREAS = st.builds(Area, SIDES, SIDES, SIDES, SIDES)


@given(st.lists(AREAS, max_size=60))
def test_they_cover_all_and_share_no_row(areas: list[Area]) -> None:
    found = together(areas)
    assert len(found) <= MOST
    assert all(above.bottom < below.top for above, below in itertools.pairwise(found))
    for each in filter(None, areas):
        assert any(
            wide.left <= each.left and wide.top <= each.top
            and each.right <= wide.right and each.bottom <= wide.bottom
            for wide in found
        )  # fmt: skip


def test_what_is_far_apart_stays_apart() -> None:
    strip, clock, line = Area(0, 0, 300, 16), Area(1800, 5, 1900, 30), Area(10, 900, 400, 916)
    assert together([line, strip, NOWHERE, clock]) == [Area(0, 0, 1900, 30), line]
    assert together([NOWHERE, Area(9, 9, 3, 20)]) == []


@pytest.mark.parametrize(
    ("area", "shown"),
    [
        (Area(3, 5, 7, 9), Area(2, 4, 8, 10)),
        (Area(-7, -9, 4, 1), Area(0, 0, 4, 2)),
        (Area(90, 90, 130, 130), Area(90, 90, 100, 100)),
    ],
)
def test_widened_and_cut(area: Area, shown: Area) -> None:
    assert area.even().within(100, 100) == shown


@pytest.mark.parametrize(
    ("other", "meets"),
    [
        (Area(5, 5, 6, 6), True),
        (Area(0, 0, 50, 50), True),
        (Area(20, 5, 30, 15), False),
        (Area(5, 0, 15, 5), False),
        (Area(19, 14, 30, 30), True),
    ],
)
def test_they_meet_where_they_share_a_pixel(other: Area, meets: bool) -> None:
    area = Area(5, 5, 20, 15)
    assert area.meets(other) == other.meets(area) == meets
