import random
from collections.abc import Callable

import pytest

from appliance.streamer.rtp.loss import Loss

pytestmark = pytest.mark.unit

MEGABIT = 1_000_000


def run(loss: Loss, share: Callable[[float], float], since: float, until: float, rate: float) -> list[float]:
    """Rates of a flow that obeys; `share` of its packets is lost, 10 messages a second."""
    dice, rates = random.Random(3), []  # noqa: S311
    for message in range(round(since * 10), round(until * 10)):
        now = message / 10
        packets = round(rate / 8 / 1200 / 10)
        lost = sum(dice.random() < share(rate) for _ in range(packets))
        loss.add(packets - lost, lost, 0, now, queued=False)
        rate = loss.judge(rate, rate * (1 - share(rate)), now)
        rates.append(rate)
    return rates


def test_random_loss_is_tried_and_then_borne() -> None:
    loss = Loss()
    rates = run(loss, lambda _: 0.15, 0, 10, 3 * MEGABIT)
    assert min(rates) < 2.5 * MEGABIT
    assert rates[-1] == 3 * MEGABIT
    assert not loss.suspicious
    assert loss.share == pytest.approx(0.15, abs=0.05)


def test_a_policer_is_obeyed() -> None:
    loss = Loss()
    rates = run(loss, lambda rate: max(0.0, 1 - 2 * MEGABIT / rate), 0, 10, 3 * MEGABIT)
    assert 1.5 * MEGABIT < rates[-1] <= 2 * MEGABIT
    assert loss.share == 0


def test_two_percent_are_not_worth_a_trial() -> None:
    assert set(run(Loss(), lambda _: 0.02, 0, 20, 3 * MEGABIT)) == {3 * MEGABIT}


def test_a_few_packets_prove_nothing() -> None:
    loss = Loss()
    loss.add(10, 10, 0, 0.0, queued=False)
    loss.add(10, 10, 0, 0.1, queued=False)
    assert loss.judge(1000.0, 500.0, 2.0) == 1000.0
    assert not loss.suspicious


def test_what_comes_after_all_is_not_lost() -> None:
    loss = Loss()
    loss.add(90, 10, 0, 0.0, queued=False)
    assert loss.share == 0
    loss.add(100, 0, 10, 0.1, queued=False)
    loss.add(100, 0, 0, 0.2, queued=False)
    assert loss.share == 0


def test_what_does_not_come_is_lost() -> None:
    loss = Loss()
    loss.add(90, 10, 0, 0.0, queued=False)
    loss.add(100, 0, 0, 0.1, queued=False)
    assert loss.share == pytest.approx(0.05)
    for second in range(1, 4):
        loss.add(100, 0, 0, second, queued=False)
    assert loss.share == 0


def test_loss_of_before_another_reason_is_not_judged() -> None:
    loss = Loss()
    for message in range(10):
        loss.add(70, 30, 0, message / 10, queued=False)
        loss.rate_changed(message / 10)
    assert loss.judge(1000.0, 700.0, 1.0) == 1000.0
    assert loss.suspicious


def test_on_trial_it_is_not_known_where_the_loss_comes_from() -> None:
    loss = Loss()
    trials = []
    for message in range(100):
        loss.add(85, 15, 0, message / 10, queued=False)
        loss.judge(1000.0, 850.0, message / 10)
        trials.append(loss.on_trial)
    assert any(trials)
    assert not trials[-1]


def test_what_a_queue_lost_tells_nothing_about_the_link() -> None:
    loss = Loss()
    for message in range(30):
        loss.add(100, 0, 0, message / 10, queued=False)
    for message in range(30, 33):
        loss.add(50, 50, 0, message / 10, queued=True)
    loss.add(90, 0, 0, 3.3, queued=False)
    assert loss.share > 0.1
    assert loss.unexplained == 0
    assert not loss.suspicious
