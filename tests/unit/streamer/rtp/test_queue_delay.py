import random
from collections.abc import Callable

import pytest

from appliance.streamer.rtp.queue_delay import StandingQueue

pytestmark = pytest.mark.unit

OFFSET_S = -777.0


def feed(queue: StandingQueue, delay: Callable[[float], float], since: float, until: float) -> list[bool]:
    """A message of 30 packets every 100 ms."""
    said = []
    for message in range(round(since * 10), round(until * 10)):
        now = message / 10
        least = OFFSET_S + delay(now)
        said.append(queue.add(least, least + 0.005, 30, now))
    return said


def test_what_stands_above_the_least_is_a_queue() -> None:
    queue = StandingQueue()
    feed(queue, lambda _: 0.02, 0, 5)
    assert queue.calm
    assert not queue.noticed
    feed(queue, lambda _: 0.08, 5, 5.5)
    assert queue.delay_s == pytest.approx(0.06)
    assert queue.noticed
    assert queue.long
    assert queue.excess_s == pytest.approx(0.05, abs=0.01)


def test_a_single_late_message_is_no_standing_queue_where_it_has_few_packets() -> None:
    queue = StandingQueue()
    for message in range(50):
        queue.add(0.02, 0.02, 5, message / 10)
    queue.add(0.2, 0.2, 5, 5.0)
    assert queue.delay_s == 0


def test_jitter_blurs_the_sight() -> None:
    queue, dice = StandingQueue(), random.Random(1)  # noqa: S311
    feed(queue, lambda _: dice.uniform(0, 0.03), 0, 10)
    assert queue.blur_s > 0.01
    feed(queue, lambda _: 0.02, 10, 10.3)
    assert queue.delay_s > 0.018
    assert not queue.noticed


def test_a_queue_that_does_not_move_is_the_way() -> None:
    queue = StandingQueue()
    feed(queue, lambda _: 0.02, 0, 5)
    assert not any(feed(queue, lambda _: 0.12, 5, 7))
    assert any(feed(queue, lambda _: 0.12, 7, 8))
    assert queue.calm
    feed(queue, lambda _: 0.02, 8, 8.5)
    feed(queue, lambda _: 0.12, 8.5, 9)
    assert queue.long


def test_a_queue_that_drains_or_grows_is_a_queue() -> None:
    queue = StandingQueue()
    feed(queue, lambda _: 0.02, 0, 5)
    assert not any(feed(queue, lambda now: 0.2 + (now - 5) / 5, 5, 9))
    assert not any(feed(queue, lambda now: 1.0 - (now - 9) / 5, 9, 13))
    assert queue.long


def test_the_least_of_long_ago_is_forgotten() -> None:
    queue = StandingQueue()
    feed(queue, lambda _: 0.02, 0, 1)
    feed(queue, lambda _: 0.05, 1, 25)
    assert queue.delay_s == 0


def test_a_reset_forgets_the_way() -> None:
    queue = StandingQueue()
    feed(queue, lambda _: 0.02, 0, 5)
    queue.reset()
    feed(queue, lambda _: 3600.0, 5, 6)
    assert queue.calm
