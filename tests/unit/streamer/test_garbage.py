import gc
import weakref
from collections.abc import Iterator

import pytest

from appliance.streamer.garbage import Garbage

pytestmark = pytest.mark.unit


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    known = gc.get_threshold()
    yield
    gc.set_threshold(*known)
    gc.unfreeze()


def grown_old() -> weakref.ref[Cycle]:
    """What a viewer that was there for long leaves behind."""
    cycle = Cycle()
    gc.collect(1)
    return weakref.ref(cycle)


def test_of_a_few_viewers_it_is_collected_after_some_left() -> None:
    garbage = Garbage()
    garbage.begin()
    left = grown_old()
    for _ in range(15):
        garbage.left(present=3)
    gc.collect(1)
    assert left() is not None
    garbage.left(present=3)
    assert left() is None


def test_of_many_it_is_collected_once_twice_as_many_left() -> None:
    garbage = Garbage()
    left = grown_old()
    for _ in range(99):
        garbage.left(present=50)
    assert left() is not None
    garbage.left(present=50)
    assert left() is None


def test_it_is_collected_where_nothing_moves() -> None:
    garbage = Garbage()
    left = grown_old()
    garbage.nothing_moves()
    assert left() is not None
    garbage.left(present=50)
    garbage.nothing_moves()
    assert left() is None


def test_the_interpreter_looks_at_all_seldom() -> None:
    Garbage().begin()
    young, middle, all_of_it = gc.get_threshold()
    assert young * middle * all_of_it > 1_000_000
