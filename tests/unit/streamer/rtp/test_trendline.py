from collections.abc import Callable

import pytest

from appliance.streamer.rtp.bursts import Burst
from appliance.streamer.rtp.trendline import Trendline, Usage

pytestmark = pytest.mark.unit

FRAME_S = 1 / 30


def feed(trend: Trendline, delay: Callable[[int], float], frames: range) -> None:
    """A burst a frame, delayed by so many seconds."""
    for frame in frames:
        sent = frame * FRAME_S
        arrival = sent + delay(frame)
        trend.add(Burst(sent, sent, arrival, arrival, 5, 6000))


def test_a_constant_way_is_normal() -> None:
    trend = Trendline()
    feed(trend, lambda _: 0.2, range(100))
    assert trend.usage is Usage.NORMAL


def test_a_growing_queue_is_overuse_and_a_shrinking_one_underuse() -> None:
    trend = Trendline()
    feed(trend, lambda _: 0.1, range(30))
    feed(trend, lambda frame: 0.1 + 0.005 * (frame - 30), range(30, 50))
    assert trend.usage is Usage.OVER
    feed(trend, lambda frame: 0.2 - 0.005 * (frame - 50), range(50, 80))
    assert trend.usage is Usage.UNDER
    feed(trend, lambda _: 0.05, range(80, 140))
    assert trend.usage is Usage.NORMAL


def test_the_drift_of_a_clock_is_no_queue() -> None:
    trend = Trendline()
    feed(trend, lambda frame: 0.1 + frame * FRAME_S * 2e-4, range(300))
    assert trend.usage is Usage.NORMAL


def test_a_reset_forgets_the_trend() -> None:
    trend = Trendline()
    feed(trend, lambda frame: 0.005 * frame, range(30))
    assert trend.usage is Usage.OVER
    trend.reset()
    assert trend.usage is Usage.NORMAL
    feed(trend, lambda _: 1000.0, range(30, 60))
    assert trend.usage is Usage.NORMAL


def test_bursts_that_arrive_at_once_have_no_slope() -> None:
    trend = Trendline()
    for frame in range(40):
        trend.add(Burst(frame * FRAME_S, frame * FRAME_S, 7.0, 7.0, 5, 6000))
    assert trend.usage is Usage.NORMAL
