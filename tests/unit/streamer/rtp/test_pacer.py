import itertools
import math

import pytest

from appliance.streamer.rtp.pacer import Pacer

pytestmark = pytest.mark.unit

MEGABIT = 1_000_000


def pacer(bps: float) -> Pacer:
    made = Pacer()
    made.set_rate(bps, 0.0)
    return made


def drained(made: Pacer, octets: int, now: float = 0.0) -> list[tuple[float, int]]:
    """When how much of a frame leaves, if it is sent as soon as there is room."""
    bursts = []
    while octets:
        room = made.room(octets, now)
        if room:
            made.spent(room, now)
            bursts.append((now, room))
            octets -= room
        else:
            now += made.wait(octets, now)
    return bursts


def test_without_a_rate_everything_leaves_at_once() -> None:
    made = Pacer()
    made.spent(10_000_000, 0)
    assert (made.open, made.room(10_000_000, 0), made.wait(1, 0), made.ahead(1, 0)) == (
        True,
        10_000_000,
        0,
        0,
    )


def test_frames_at_the_target_never_wait() -> None:
    made = pacer(8 * MEGABIT)
    for number in range(90):
        now = number / 30
        assert made.room(33_000, now) == 33_000
        made.spent(33_000, now)
    assert made.ahead(0, 3.0) < 0.05


def test_a_large_frame_is_spread_at_two_and_a_half_times_the_target() -> None:
    bursts = drained(pacer(2 * MEGABIT), 60_000)
    assert bursts[0] == (0, 10_000)
    times = [at for at, _ in bursts]
    assert max(room for _, room in bursts[1:]) <= 3500
    assert times[-1] == pytest.approx((60_000 - 10_000) * 8 / (2.5 * 2 * MEGABIT), abs=0.006)
    assert all(0.003 < after - before < 0.007 for before, after in itertools.pairwise(times[1:-1]))


def test_at_the_lowest_rate_a_packet_still_leaves_whole() -> None:
    bursts = drained(pacer(100_000), 6000)
    assert min(room for _, room in bursts[:-1]) >= 1500


def test_the_time_that_the_way_needs_is_known() -> None:
    made = pacer(MEGABIT)
    made.spent(12_500, 0)
    assert made.ahead(0, 0) == pytest.approx(0.1)
    assert made.ahead(2500, 0.05) == pytest.approx(0.07)
    assert made.ahead(0, 1) == 0


def test_what_no_bottleneck_keeps_is_forgotten() -> None:
    made = pacer(MEGABIT)
    made.spent(10_000_000, 0)
    assert made.ahead(0, 0) == pytest.approx(0.3)


def test_a_new_rate_keeps_what_is_under_way() -> None:
    made = pacer(MEGABIT)
    made.spent(12_500, 0)
    made.set_rate(MEGABIT / 2, 0)
    assert made.ahead(0, 0) == pytest.approx(0.2)
    made.set_rate(math.inf, 0)
    assert made.room(1_000_000, 0) == 1_000_000
    made.set_rate(MEGABIT, 5)
    assert made.ahead(0, 5) == 0


def test_what_is_ahead_of_a_slower_rate_is_no_more_than_a_queue_keeps() -> None:
    made = pacer(7 * MEGABIT)
    made.spent(200_000, 0.0)
    made.set_rate(0.3 * MEGABIT, 0.0)
    assert made.ahead(0, 0.0) == pytest.approx(0.3)


def test_what_stands_drains_as_the_way_carries_it_whatever_the_target() -> None:
    made = pacer(8 * MEGABIT)
    made.set_rate(0.5 * MEGABIT, 0.0, carried_bps=MEGABIT, standing=25_000)
    assert made.ahead(0, 0.0) == pytest.approx(0.2)
    assert made.ahead(0, 0.1) == pytest.approx(0.1)
    assert made.wait(10_000, 0.1) == pytest.approx(pacer(0.5 * MEGABIT).wait(10_000, 0.0))
    made.set_rate(0.5 * MEGABIT, 0.1, carried_bps=MEGABIT, standing=1_000_000)
    assert made.ahead(0, 0.1) == pytest.approx(0.3)
