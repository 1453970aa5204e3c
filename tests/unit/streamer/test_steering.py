from dataclasses import dataclass

import pytest

from appliance.streamer.steering import FLOOR_KBPS, Steering, wanted_kbps

pytestmark = pytest.mark.unit


@dataclass(eq=False)
class Viewer:
    kbps: float | None
    typing: bool = False

    def controls(self) -> bool:
        return self.typing

    @property
    def target_bps(self) -> int | None:
        return None if self.kbps is None else int(self.kbps * 1000)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("viewers", "kbps"),
    [
        ([], 8000),
        ([Viewer(None, True), Viewer(1000)], 8000),
        ([Viewer(20_000, True)], 8000),
        ([Viewer(4000, True), Viewer(2000, True), Viewer(500)], 1900),
        ([Viewer(4000, True), Viewer(None, True)], 3800),
        ([Viewer(1000), Viewer(4000)], 3800),
        ([Viewer(50, True)], FLOOR_KBPS),
    ],
    ids=[
        "nobody",
        "controller unknown",
        "wide",
        "slowest controls",
        "one unknown",
        "fastest watches",
        "floor",
    ],
)
def test_the_picture_is_made_for_who_controls(viewers: list[Viewer], kbps: int) -> None:
    assert wanted_kbps(viewers, 8000) == kbps


def test_the_encoder_goes_down_at_once_and_up_with_patience() -> None:
    told: list[int] = []
    clock, viewer = Clock(), Viewer(4000, True)
    steering = Steering(told.append, 8000, clock)
    with steering.heed(viewer):
        for kbps, seconds in ((4000, 0), (3900, 0.01), (2000, 0.01), (1000, 0.01)):
            clock.now += seconds
            viewer.kbps = kbps
            steering.heard(viewer)
        assert told == [3800, 1900, 950]
        for kbps in (1020, 2000, 2500, 3000):
            clock.now += 0.11
            viewer.kbps = kbps
            steering.heard(viewer)
        assert told[3:] == [1900]
        viewer.kbps = 9000
        clock.now += 0.3
        steering.heard(viewer)
        assert told[-1] == steering.kbps == 8000


def test_who_only_watches_makes_it_worse_for_nobody() -> None:
    told: list[int] = []
    clock = Clock()
    steering = Steering(told.append, 8000, clock)
    with steering.heed(Viewer(6000, True)) as _, steering.heed(slow := Viewer(500)):
        clock.now += 1
        steering.heard(slow)
        assert told == [5700]


def test_who_leaves_is_not_heeded_any_more() -> None:
    told: list[int] = []
    clock, slow = Clock(), Viewer(1000, True)
    steering = Steering(told.append, 8000, clock)
    with steering.heed(slow):
        steering.heard(slow)
        clock.now += 1
    assert told == [950, 8000]


def test_who_leaves_right_after_a_rise_leaves_nothing_behind_to_who_tells_nothing() -> None:
    told: list[int] = []
    clock, slow = Clock(), Viewer(1000, True)
    steering = Steering(told.append, 8000, clock)
    with steering.heed(Viewer(None)):
        with steering.heed(slow):
            steering.heard(slow)
            slow.kbps = 2000
            clock.now += 0.2
            steering.heard(slow)
            clock.now += 0.01
        assert told == [950, 1900, 8000]
