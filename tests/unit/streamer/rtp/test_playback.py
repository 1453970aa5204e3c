"""What a viewer sees behind a narrow link: seat, pacer, estimator and steering together, simulated."""

import pytest

from tests.support.bottleneck import Link, World
from tests.support.playback import Playback

pytestmark = pytest.mark.unit

MEGABIT = 1_000_000


def stepped(before: float, after: float, step_s: float, queue_s: float) -> Playback:
    """14 s behind a link that carries so many megabits before and after the step."""
    world = World()
    link = Link(world, [(0, int(before * MEGABIT)), (step_s, int(after * MEGABIT))], queue_s=queue_s)
    playback = Playback(link)
    world.run(14)
    return playback


@pytest.mark.parametrize(("before", "after"), [(8, 1.5), (8, 3), (3, 1.5)])
@pytest.mark.parametrize("step_s", [8, 8.02, 8.04])
def test_a_sudden_bottleneck_freezes_no_picture(before: float, after: float, step_s: float) -> None:
    playback = stepped(before, after, step_s, 0.3)
    assert playback.longest_gap(step_s - 1, 14) < 0.4
    assert max(latency for at, latency in playback.latencies if at > step_s + 1) < 0.2
    assert playback.rate_bps(step_s + 2, 14) > 0.8 * after * MEGABIT
    assert playback.link.queue_p95(step_s + 2) < 0.06


@pytest.mark.parametrize("queue_s", [0.1, 1.0])
def test_neither_does_one_with_a_short_queue_or_a_long_one(queue_s: float) -> None:
    playback = stepped(8, 1.5, 8, queue_s)
    assert playback.longest_gap(7, 14) < 0.5
    assert max(latency for at, latency in playback.latencies if at > 9.5) < 0.2
    assert playback.rate_bps(10, 14) > 0.8 * 1.5 * MEGABIT


@pytest.mark.parametrize("megabits", [1.5, 3, 8])
def test_without_transport_feedback_a_bottleneck_makes_no_collapse(megabits: float) -> None:
    world = World()
    link = Link(world, [(0, int(megabits * MEGABIT))], queue_s=0.3)
    playback = Playback(link, transport_wide=False)
    world.run(20)
    assert playback.longest_gap(3, 20) < 0.8
    assert playback.rate_bps(5, 20) > 0.6 * megabits * MEGABIT
    assert len([at for at, _ in playback.latencies if at > 3]) > 17 * 24


@pytest.mark.parametrize("after", [1.5, 3])
def test_without_transport_feedback_a_step_down_makes_none_either(after: float) -> None:
    world = World()
    link = Link(world, [(0, 8 * MEGABIT), (8, int(after * MEGABIT))], queue_s=0.3)
    playback = Playback(link, transport_wide=False)
    world.run(20)
    assert playback.longest_gap(8, 20) < 3.5
    assert playback.rate_bps(14, 20) > 0.25 * after * MEGABIT
    assert len([at for at, _ in playback.latencies if at > 14]) > 6 * 15


def test_what_a_receiver_makes_of_little_traffic_lowers_nothing() -> None:
    world = World()

    def demand(at: float) -> float:
        return 0.3 * MEGABIT if at < 12 else 20 * MEGABIT

    playback = Playback(Link(world, [(0, 50 * MEGABIT)]), transport_wide=False, demand=demand)
    world.run(16)
    assert {target for at, target in playback.targets if at > 5} == {10 * MEGABIT}
    assert playback.rate_bps(12.5, 16) > 8 * MEGABIT
    assert playback.longest_gap(3, 16) < 0.1
