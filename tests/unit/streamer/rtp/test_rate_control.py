import pytest

from appliance.streamer.rtp.rate_control import Evidence, RateControl

pytestmark = pytest.mark.unit

MEGABIT = 1_000_000


def calm(arriving: float, sending: float | None = None, trains: float | None = None) -> Evidence:
    return Evidence(False, True, arriving, arriving, sending or arriving, trains, False, 0.05)


def congested(arriving: float, sending: float | None = None, trains: float | None = None) -> Evidence:
    return Evidence(True, False, arriving, arriving, sending or arriving, trains, False, 0.05)


def grown(control: RateControl, since: float, until: float) -> float:
    """The rate of a flow that sends all it may."""
    for tenth in range(round(since * 10), round(until * 10)):
        control.update(calm(control.rate), tenth / 10)
    return control.rate


def test_it_grows_by_half_a_second_as_long_as_nothing_is_known() -> None:
    assert grown(RateControl(MEGABIT), 0, 2.1) == pytest.approx(2.9 * MEGABIT, rel=0.1)


def test_it_backs_off_to_less_than_what_arrives_once_in_a_reaction() -> None:
    control = RateControl(4 * MEGABIT)
    assert control.update(congested(3 * MEGABIT, 4 * MEGABIT), 1.0)
    assert control.rate == pytest.approx(2.55 * MEGABIT)
    assert not control.update(congested(2 * MEGABIT), 1.1)
    assert control.update(congested(2 * MEGABIT), 1.3)
    assert control.rate == pytest.approx(1.7 * MEGABIT)


def test_near_the_capacity_it_adds() -> None:
    control = RateControl(4 * MEGABIT)
    control.update(congested(3 * MEGABIT, 4 * MEGABIT), 0.0)
    before = grown(control, 1.0, 1.1)
    assert grown(control, 1.1, 2.1) - before == pytest.approx(32_000, rel=0.1)


def test_more_than_the_capacity_makes_it_forget_the_capacity() -> None:
    control = RateControl(4 * MEGABIT)
    control.update(congested(3 * MEGABIT, 4 * MEGABIT), 0.0)
    control.raise_to(3.5 * MEGABIT)
    assert grown(control, 1.0, 3.1) > 4.5 * MEGABIT


def test_a_probe_only_raises() -> None:
    control = RateControl(4 * MEGABIT)
    control.raise_to(3 * MEGABIT)
    assert control.rate == 4 * MEGABIT


def test_it_does_not_grow_far_beyond_what_arrives() -> None:
    control = RateControl(MEGABIT)
    for tenth in range(100):
        control.update(calm(MEGABIT), tenth / 10)
    assert control.rate == pytest.approx(1.51 * MEGABIT)


def test_without_calm_it_holds() -> None:
    control = RateControl(MEGABIT)
    uneasy = calm(MEGABIT)._replace(calm=False)
    for tenth in range(20):
        assert not control.update(uneasy, tenth / 10)
    assert control.rate == MEGABIT


def test_little_traffic_in_the_congestion_of_others_keeps_its_rate() -> None:
    control = RateControl(8 * MEGABIT)
    assert not control.update(congested(50_000, 60_000), 1.0)
    assert not control.update(congested(2 * MEGABIT), 2.0)
    assert control.rate == 8 * MEGABIT


def test_limited_traffic_that_trains_prove_too_fast_gives_way_to_their_speed() -> None:
    control = RateControl(8 * MEGABIT)
    assert control.update(congested(1.5 * MEGABIT, 2 * MEGABIT, trains=1.6 * MEGABIT), 1.0)
    assert control.rate == pytest.approx(0.85 * 1.6 * MEGABIT)


def test_limited_traffic_that_falls_behind_gives_way_step_by_step() -> None:
    control = RateControl(8 * MEGABIT)
    assert control.update(congested(0.3 * MEGABIT, 0.7 * MEGABIT), 1.0)
    assert control.rate == pytest.approx(0.85 * 0.6 * 8 * MEGABIT)


def test_trains_slower_than_what_arrives_are_not_believed() -> None:
    assert calm(2 * MEGABIT, trains=MEGABIT).capacity is None
    assert calm(2 * MEGABIT, trains=3 * MEGABIT).capacity == 3 * MEGABIT


def test_jitter_makes_more_arrive_for_a_while_than_the_link_carries() -> None:
    blurred = calm(8.5 * MEGABIT, trains=8 * MEGABIT)._replace(blurred=True)
    assert blurred.capacity == 8 * MEGABIT
    assert blurred._replace(blurred=False).capacity is None
    assert blurred._replace(arriving=10 * MEGABIT).capacity is None


def test_what_jitter_holds_back_is_not_held_against_a_link_that_carries_more_than_is_sent() -> None:
    control = RateControl(7.2 * MEGABIT)
    held_back = congested(5.5 * MEGABIT, 7 * MEGABIT, trains=8 * MEGABIT)._replace(blurred=True)
    assert control.update(held_back, 1.0)
    assert control.rate == pytest.approx(0.85 * 7 * MEGABIT)
    assert control.update(held_back._replace(blurred=False), 2.0)
    assert control.rate == pytest.approx(0.85 * 5.5 * MEGABIT)


def test_a_squeeze_is_obeyed_at_once() -> None:
    control = RateControl(8 * MEGABIT)
    assert control.update(congested(7 * MEGABIT, 8 * MEGABIT), 1.0)
    squeezed = calm(4 * MEGABIT)._replace(squeezed=1.5 * MEGABIT)
    assert control.update(squeezed, 1.06)
    assert control.rate == pytest.approx(0.85 * 1.5 * MEGABIT)


def test_a_squeeze_to_nearly_the_rate_is_left_to_what_stands() -> None:
    control = RateControl(2 * MEGABIT)
    assert not control.update(calm(2 * MEGABIT)._replace(squeezed=1.5 * MEGABIT), 1.0)
