import pytest

from appliance.streamer.budget import Budget

pytestmark = pytest.mark.unit


def test_a_burst_is_free_and_then_it_is_one_a_period() -> None:
    now = 0.0
    budget = Budget(3, 2.0, clock=lambda: now)
    assert [budget.spend() for _ in range(5)] == [True, True, True, False, False]
    now = 1.9
    assert not budget.spend()
    now = 2.0
    assert [budget.spend() for _ in range(2)] == [True, False]
    now = 1000.0
    assert [budget.spend() for _ in range(4)] == [True, True, True, False]


def test_what_costs_more_takes_more_or_nothing() -> None:
    budget = Budget(100, 1.0, clock=lambda: 0.0)
    assert [budget.spend(60), budget.spend(60), budget.spend(40), budget.spend()] == [
        True,
        False,
        True,
        False,
    ]
