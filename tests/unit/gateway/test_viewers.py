"""What streamers say of themselves is known while it is fresh."""

from typing import Any

import pytest

from appliance.bus.messages import Role
from appliance.bus.stats import InstanceStats, ViewerStats
from appliance.gateway.viewers import Viewers

pytestmark = pytest.mark.unit


class Clock:
    """Goes when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def viewers(clock: Clock) -> Viewers:
    bus: Any = None
    return Viewers(bus, clock)


def test_the_statistics_of_a_session_are_those_of_its_last_instance() -> None:
    known = viewers(Clock())
    first, second = (InstanceStats(instance=each, session="s") for each in "ab")
    for each in (first, InstanceStats(instance="c"), second):
        known.hear(each)
    assert known.of("s") == second
    assert known.of("t") is None
    assert len(known.stats()) == 3


def test_a_streamer_is_full_for_those_for_whom_it_makes_no_room() -> None:
    known, roles = viewers(Clock()), (Role.VIEW, Role.CONTROL)
    watching, driving = (ViewerStats(id=each, role=each) for each in roles)

    def full(*there: ViewerStats, most: int | None = 1) -> list[bool]:
        known.hear(InstanceStats(instance="a", session="s", viewers=list(there), viewers_max=most))
        return [known.full("s", role) for role in roles]

    assert full() == [False, False]
    assert full(watching) == [True, False]
    assert full(driving) == [True, True]
    assert full(driving, most=None) == [False, False]
    assert not known.full("t", Role.VIEW)


def test_who_fell_silent_is_not_told_of_and_then_forgotten() -> None:
    known = viewers(clock := Clock())
    known.hear(InstanceStats(instance="a", session="s"))
    clock.now = 6.0
    assert known.of("s") is None
    assert known.stats() == []
    known.hear(InstanceStats(instance="b", session="t"))
    assert list(vars(known)["_stats"]) == ["b"]
    assert vars(known)["_instances"] == {"t": "b"}
