import pytest

from appliance.streamer.rtp.receiver_estimate import ReceiverEstimate

pytestmark = pytest.mark.unit

MEGABIT = 1_000_000


def test_what_is_made_of_little_traffic_lowers_nothing() -> None:
    estimate = ReceiverEstimate()
    for second in range(20):
        assert estimate.judge(300_000, 8 * MEGABIT, 200_000, second) == 8 * MEGABIT
    assert estimate.judge(250_000, 8 * MEGABIT, 200_000, 20) == 8 * MEGABIT


def test_below_what_is_sent_it_is_obeyed_where_it_falls() -> None:
    estimate = ReceiverEstimate()
    assert estimate.judge(4 * MEGABIT, 8 * MEGABIT, 3 * MEGABIT, 0) == 8 * MEGABIT
    assert estimate.judge(4 * MEGABIT, 8 * MEGABIT, 8 * MEGABIT, 1) == 8 * MEGABIT, "it lags behind"
    assert estimate.judge(4_100_000, 8 * MEGABIT, 8 * MEGABIT, 2) == 8 * MEGABIT, "it rises"
    assert estimate.judge(3 * MEGABIT, 8 * MEGABIT, 3 * MEGABIT, 3) == 8 * MEGABIT
    assert estimate.judge(3 * MEGABIT, 8 * MEGABIT, 4 * MEGABIT, 4) == 3 * MEGABIT, "it has not risen since"


def test_the_first_one_is_obeyed_where_more_is_sent_or_nothing_known() -> None:
    assert ReceiverEstimate().judge(2 * MEGABIT, 8 * MEGABIT, 8 * MEGABIT, 0) == 2 * MEGABIT
    assert ReceiverEstimate().judge(2 * MEGABIT, 8 * MEGABIT, None, 0) == 2 * MEGABIT


def test_it_raises_the_rate_by_eight_percent_a_second() -> None:
    estimate, rate = ReceiverEstimate(), 1.0 * MEGABIT
    estimate.judge(MEGABIT, rate, rate, 0)
    for tenth in range(1, 31):
        rate = estimate.judge(8 * MEGABIT, rate, rate, tenth / 10)
    assert rate == pytest.approx(1.08**3 * MEGABIT)


def test_after_much_loss_the_rate_is_what_got_through() -> None:
    estimate = ReceiverEstimate()
    assert estimate.judge_loss(0.09, 10 * MEGABIT, 10 * MEGABIT, 0) == 10 * MEGABIT
    assert estimate.judge_loss(0.8, 10 * MEGABIT, 10 * MEGABIT, 1) == pytest.approx(1.9 * MEGABIT)
    assert estimate.judge_loss(0.5, 1.9 * MEGABIT, 2 * MEGABIT, 2) == 1.9 * MEGABIT, "of before"
    assert estimate.judge_loss(0.5, 1.9 * MEGABIT, 2 * MEGABIT, 3) == pytest.approx(0.95 * MEGABIT)


def test_loss_that_made_the_estimate_fall_is_not_counted_twice() -> None:
    estimate = ReceiverEstimate()
    assert estimate.judge(1_300_000, 10 * MEGABIT, 10 * MEGABIT, 0) == 1.3 * MEGABIT
    assert estimate.judge_loss(0.8, 1.3 * MEGABIT, 2 * MEGABIT, 0.5) == 1.3 * MEGABIT


def test_hours_of_silence_are_no_growth() -> None:
    estimate = ReceiverEstimate()
    estimate.judge(MEGABIT, MEGABIT, MEGABIT, 0)
    assert estimate.judge(99 * MEGABIT, MEGABIT, MEGABIT, 40_000) < 3 * MEGABIT
