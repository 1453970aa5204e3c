import math
import random
import statistics
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.streamer.rtp.bandwidth import BandwidthEstimator
from appliance.streamer.rtp.transport_feedback import Feedback
from tests.support.bottleneck import Flow, Link, World, jain

pytestmark = pytest.mark.unit

MEGABIT = 1_000_000
START, FLOOR, CEILING = MEGABIT, 150_000, 10 * MEGABIT


def estimator(start: int = START, ceiling: int = CEILING) -> BandwidthEstimator:
    return BandwidthEstimator(start_bps=start, floor_bps=FLOOR, ceiling_bps=ceiling)


def capacity(link: Link, since: float, until: float) -> float:
    """Bits per second that the link could have carried."""
    return link.carried_bits(since, until) / (until - since)


@pytest.mark.parametrize("megabits", [1.5, 3, 8])
@pytest.mark.parametrize("fps", [30, 60])
def test_a_bottleneck_is_filled_and_its_queue_kept_short(megabits: float, fps: int) -> None:
    world = World()
    link = Link(world, [(0, int(megabits * MEGABIT))])
    flow = Flow(link, estimator(), fps=fps)
    world.run(20)
    assert flow.rate_bps(3, 20) > 0.8 * capacity(link, 3, 20)
    assert link.queue_p95(3) < 0.06


@pytest.mark.parametrize("megabits", [1.5, 3, 8])
@pytest.mark.parametrize("loss", [0.01, 0.02, 0.05])
def test_random_loss_is_not_taken_for_congestion(megabits: float, loss: float) -> None:
    world = World()
    link = Link(world, [(0, int(megabits * MEGABIT))], loss=loss)
    flow = Flow(link, estimator())
    world.run(20)
    assert flow.rate_bps(3, 20) > 0.8 * capacity(link, 3, 20)
    assert link.queue_p95(3) < 0.06
    assert flow.estimator.loss == pytest.approx(loss, abs=0.05)


def test_even_a_third_lost_at_random_is_no_congestion() -> None:
    world = World()
    link = Link(world, [(0, 3 * MEGABIT)], loss=0.3)
    flow = Flow(link, estimator())
    world.run(20)
    assert flow.rate_bps(5, 20) > 0.6 * capacity(link, 5, 20)


@pytest.mark.parametrize("megabits", [1.5, 3, 8])
def test_jitter_is_not_taken_for_a_queue(megabits: float) -> None:
    world = World()
    link = Link(world, [(0, int(megabits * MEGABIT))], jitter_s=0.1)
    flow = Flow(link, estimator())
    world.run(25)
    assert flow.rate_bps(5, 25) > 0.8 * capacity(link, 5, 25)
    assert link.queue_p95(5) < 0.1


@pytest.mark.parametrize("megabits", [1.5, 3, 8])
def test_jitter_that_holds_back_what_follows_does_not_starve_the_flow(megabits: float) -> None:
    world = World()
    flow = Flow(Link(world, [(0, int(megabits * MEGABIT))], jitter_s=0.1, reorders=False), estimator())
    world.run(20)
    assert min(target for at, target in flow.targets if at > 1) > 0.5 * START
    assert flow.rate_bps(10, 20) > 1.1 * MEGABIT


def wandering(most_s: float, seed: int) -> Callable[[float], float]:
    """A longer way by up to so much, on straight lines between random values every 0.1 s."""
    dice = random.Random(seed)  # noqa: S311
    values = [dice.random() * most_s for _ in range(1000)]

    def detour(at: float) -> float:
        before, part = divmod(at * 10, 1)
        first, second = values[int(before) : int(before) + 2]
        return first + (second - first) * part

    return detour


@pytest.mark.parametrize("megabits", [1.5, 3, 8])
@pytest.mark.parametrize("feedback_s", [0.06, 0.1])
def test_a_delay_that_wanders_is_no_queue(megabits: float, feedback_s: float) -> None:
    used, queues = [], []
    for seed in range(8):
        world = World(seed)
        link = Link(world, [(0, int(megabits * MEGABIT))], detour_s=wandering(0.1, seed), reorders=False)
        flow = Flow(link, estimator(start=8 * MEGABIT), feedback_s=feedback_s)
        world.run(20)
        used.append(flow.rate_bps(3, 20) / capacity(link, 3, 20))
        queues.append(link.queue_p95(3))
    assert statistics.mean(used) > 0.8
    assert min(used) > 0.7
    assert statistics.mean(queues) < 0.06


@pytest.mark.parametrize(("before", "after"), [(8, 3), (8, 1.5), (3, 1.5)])
def test_a_step_down_is_over_within_two_seconds(before: float, after: float) -> None:
    world = World()
    link = Link(world, [(0, int(before * MEGABIT)), (10, int(after * MEGABIT))])
    flow = Flow(link, estimator())
    world.run(20)
    assert link.longest_queue(12, 12.5) < 0.06
    assert flow.rate_bps(12.5, 20) > 0.8 * capacity(link, 12.5, 20)


@pytest.mark.parametrize(("before", "after"), [(1.5, 3), (1.5, 8), (3, 8)])
def test_a_step_up_is_found_within_four_seconds(before: float, after: float) -> None:
    world = World()
    link = Link(world, [(0, int(before * MEGABIT)), (10, int(after * MEGABIT))])
    flow = Flow(link, estimator())
    world.run(20)
    assert flow.rate_bps(14, 20) > 0.8 * capacity(link, 14, 20)


def test_a_start_far_above_the_link_does_no_lasting_harm() -> None:
    world = World()
    link = Link(world, [(0, int(1.5 * MEGABIT))])
    flow = Flow(link, estimator(start=8 * MEGABIT))
    world.run(15)
    assert link.queue_p95(3) < 0.07
    assert flow.rate_bps(3, 15) > 0.8 * capacity(link, 3, 15)


def test_a_wide_link_is_known_within_a_second() -> None:
    world = World()
    flow = Flow(Link(world, [(0, 100 * MEGABIT)], rtt_s=0.001), estimator())
    world.run(2)
    assert flow.target_at(1) == CEILING


@pytest.mark.parametrize("megabits", [3, 8])
def test_two_flows_share(megabits: int) -> None:
    fairness, queues = [], []
    for begins in (8.0, 8.7, 9.3):
        world = World()
        link = Link(world, [(0, megabits * MEGABIT)])
        first, second = Flow(link, estimator()), Flow(link, estimator(), begins=begins)
        world.run(35)
        rates = [flow.rate_bps(15, 35) for flow in (first, second)]
        fairness.append(jain(rates))
        queues.append(link.queue_p95(15))
        assert sum(rates) > 0.8 * megabits * MEGABIT
    assert statistics.mean(fairness) > 0.85
    assert statistics.median(queues) < 0.13


def test_a_source_that_wants_little_neither_lowers_the_target_nor_raises_it_without_bound() -> None:
    world = World()
    link = Link(world, [(0, 5 * MEGABIT)])
    flow = Flow(link, estimator(), demand=lambda _: 0.5 * MEGABIT)
    world.run(30)
    targets = [target for at, target in flow.targets if at > 2]
    assert min(targets) >= 0.95 * targets[0]
    assert max(targets) < 1.2 * link.capacity(0)


def test_sudden_demand_finds_the_link_open() -> None:
    world = World()
    link = Link(world, [(0, 8 * MEGABIT)])
    flow = Flow(link, estimator(), demand=lambda at: 0.02 * MEGABIT if at < 20 else math.inf)
    world.run(25)
    assert flow.rate_bps(20.5, 25) > 0.8 * capacity(link, 20.5, 25)


def test_a_still_picture_is_not_probed_for() -> None:
    world = World()
    flow = Flow(Link(world, [(0, 5 * MEGABIT)]), estimator(), fps=1, demand=lambda _: 5000)
    world.run(60)
    assert sum(probe.octets for probe in flow.probes) * 8 / 60 < 12_000


def test_less_capacity_than_a_limited_source_sends_is_noticed() -> None:
    world = World()
    link = Link(world, [(0, 8 * MEGABIT), (10, int(1.5 * MEGABIT))])
    flow = Flow(link, estimator(), demand=lambda _: 2 * MEGABIT)
    world.run(20)
    assert flow.target_at(9.9) > 5 * MEGABIT
    assert link.longest_queue(12.5, 20) < 0.15
    assert flow.rate_bps(12, 20) > 0.8 * capacity(link, 12, 20)


@pytest.mark.parametrize("queue_s", [0.02, 0.03])
def test_a_queue_too_short_to_be_seen_is_known_by_its_loss(queue_s: float) -> None:
    world = World()
    link = Link(world, [(0, 3 * MEGABIT)], queue_s=queue_s)
    flow = Flow(link, estimator(), fps=60)
    losses: list[float] = []
    for second in range(5, 25):
        world.run(second)
        losses.append(flow.estimator.loss)
    assert sum(losses) / len(losses) < 0.05
    assert flow.rate_bps(5, 25) > 0.8 * capacity(link, 5, 25)


def test_a_longer_way_is_not_a_queue_for_long() -> None:
    world = World(4)
    link = Link(world, [(0, 3 * MEGABIT)], detour_s=lambda at: 0.08 if at > 10 else 0.0)
    flow = Flow(link, estimator())
    world.run(25)
    assert flow.rate_bps(15, 25) > 0.75 * capacity(link, 15, 25)


def test_lost_feedback_is_not_lost_traffic() -> None:
    world = World()
    link = Link(world, [(0, 3 * MEGABIT)])
    flow = Flow(link, estimator(), feedback_lost=lambda _: world.dice.random() < 0.3)
    world.run(20)
    assert flow.rate_bps(3, 20) > 0.8 * capacity(link, 3, 20)
    assert link.queue_p95(3) < 0.09
    assert flow.estimator.loss < 0.01


def test_silence_makes_careful_and_is_forgotten_soon() -> None:
    world = World()
    link = Link(world, [(0, 3 * MEGABIT)])
    flow = Flow(link, estimator(), feedback_lost=lambda at: 10 < at < 13)
    world.run(20)
    assert flow.target_at(12.9) < 0.5 * flow.target_at(10)
    assert flow.rate_bps(15, 20) > 0.8 * capacity(link, 15, 20)


def test_lasting_silence_leaves_the_floor() -> None:
    world = World()
    flow = Flow(Link(world, [(0, 3 * MEGABIT)]), estimator(), feedback_lost=lambda at: at > 5)
    world.run(20)
    assert flow.target_at(20) == FLOOR


def test_a_viewer_whose_clock_jumps_is_followed() -> None:
    world = World()
    link = Link(world, [(0, 3 * MEGABIT)])
    flow = Flow(link, estimator(), lie=lambda at: at + (3600 if 8 < at < 14 else 0))
    world.run(20)
    assert min(target for at, target in flow.targets if at > 3) > 0.3 * link.capacity(0)
    assert flow.rate_bps(3, 20) > 0.8 * capacity(link, 3, 20)


@pytest.mark.parametrize(
    "lie",
    [
        lambda at: at * 1.5,
        lambda at: at / 3,
        lambda at: -at,
        lambda _: 7.0,
        lambda at: at + at % 0.7,
        lambda at: at + 1e9 * (int(at) % 2),
    ],
)
def test_a_lie_about_arrivals_stays_within_floor_and_ceiling(lie: Callable[[float], float]) -> None:
    world = World()
    flow = Flow(Link(world, [(0, 3 * MEGABIT)]), estimator(), lie=lie)
    world.run(6)
    assert all(FLOOR <= target <= CEILING for _, target in flow.targets)
    assert flow.estimator.queue_delay_s >= 0


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_feedback_about_anything_stays_within_floor_and_ceiling(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    subject, now = estimator(), 0.0
    for message in range(30):
        for sequence in range(dice.randrange(20)):
            subject.sent(message * 20 + sequence, dice.randrange(1, 1300), now, dice.choice((None, 1)))
        subject.probe_due(now)
        now += dice.random()
        arrivals = [dice.choice((None, dice.randrange(-(2**40), 2**40))) for _ in range(dice.randrange(60))]
        subject.on_feedback(Feedback(dice.randrange(256), dice.randrange(700) - 100 & 0xFFFF, arrivals), now)
        subject.on_silence(now)
        assert FLOOR <= subject.target_bps <= CEILING
        assert 0 <= subject.loss <= 1


def test_remb_is_believed_until_the_first_transport_feedback() -> None:
    subject = estimator()
    subject.on_remb(3 * MEGABIT, 0.0)
    assert subject.target_bps == 3 * MEGABIT
    subject.on_remb(50 * MEGABIT, 0.1)
    assert subject.target_bps == CEILING
    subject.on_remb(1, 0.2)
    assert subject.target_bps == FLOOR
    subject.sent(0, 1200, 1.0)
    subject.on_feedback(Feedback(0, 0, [5_000_000]), 1.05)
    subject.on_remb(5 * MEGABIT, 1.0)
    assert subject.target_bps == FLOOR
    assert subject.rtt_s == pytest.approx(0.05)


def test_a_lower_ceiling_holds_from_the_next_feedback_on() -> None:
    world = World()
    flow = Flow(Link(world, [(0, 20 * MEGABIT)]), estimator())
    world.run(5)
    assert flow.target_at(5) == CEILING
    flow.estimator.ceiling_bps = 2 * MEGABIT
    world.run(5.2)
    assert flow.target_at(5.2) == 2 * MEGABIT
    flow.estimator.ceiling_bps = CEILING
    world.run(9)
    assert flow.target_at(9) == CEILING


def told_random_loss(link: Link, flow: Flow) -> list[float | None]:
    """Each tenth of a second of the last half of 20 s."""
    told: list[float | None] = []
    for tick in range(200):
        link.world.run(tick / 10)
        told.append(flow.estimator.random_loss)
    return told[100:]


@pytest.mark.parametrize("demand", [math.inf, 2.5 * MEGABIT])
def test_loss_at_random_is_known_for_what_it_is(demand: float) -> None:
    world = World()
    link = Link(world, [(0, 8 * MEGABIT)], loss=0.05)
    told = told_random_loss(link, Flow(link, estimator(), demand=lambda _: demand))
    known = [loss for loss in told if loss is not None]
    assert len(known) > 0.8 * len(told)
    assert sum(known) / len(known) == pytest.approx(0.05, abs=0.015)


def test_loss_with_a_full_queue_is_none_at_random() -> None:
    world = World()
    link = Link(world, [(0, 3 * MEGABIT), (5, MEGABIT), (8, 300_000)], queue_s=0.3)
    flow = Flow(link, estimator())
    worst = 0.0
    for tick in range(120):
        world.run(tick / 10)
        worst = max(worst, flow.estimator.loss)
        if flow.estimator.queue_delay_s > 0.1:
            assert flow.estimator.random_loss is None
    assert worst > 0.05
