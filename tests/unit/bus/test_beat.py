"""The common beat."""

import time

import pytest

from appliance.bus.beat import on_beat, until_beat

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("now", "pause"), [(7.0, 2.0), (8.999, 3.001), (9.0, 3.0), (9.001, 2.999)])
def test_all_wait_for_the_same_moment(monkeypatch: pytest.MonkeyPatch, now: float, pause: float) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert until_beat(3.0) == pytest.approx(pause)


@pytest.mark.parametrize(("now", "passed"), [(8.99, False), (9.0, True), (9.2, True), (10.0, False)])
def test_one_who_wakes_each_second_knows_every_beat(
    monkeypatch: pytest.MonkeyPatch, now: float, passed: bool
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert on_beat(3.0) is passed
