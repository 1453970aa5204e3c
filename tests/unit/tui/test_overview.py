"""What the overview says of the box."""

import pytest

from tests.unit.tui.conftest import snapshot
from tui.screens.overview import _box

pytestmark = pytest.mark.unit


def test_where_the_box_is() -> None:
    told = snapshot()
    assert "place" not in str(_box(told))
    placed = told.model_copy(update={"box": told.box.model_copy(update={"location": "second floor"})})
    assert "second floor" in str(_box(placed))
