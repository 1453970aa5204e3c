"""Token buckets."""

import pytest

from appliance.gateway.limits import RateLimit, caller_of

pytestmark = pytest.mark.unit


class Clock:
    """Goes when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    clock = Clock()
    limit = RateLimit(rate=2, burst=3, clock=clock)
    assert [limit.allows("a") for _ in range(4)] == [True, True, True, False]
    assert limit.allows("b")
    clock.now = 0.5
    assert [limit.allows("a") for _ in range(2)] == [True, False]
    clock.now = 100.0
    assert [limit.allows("a") for _ in range(4)] == [True, True, True, False]


def test_whether_it_is_too_much_can_be_asked_without_being_counted() -> None:
    clock = Clock()
    limit = RateLimit(rate=1, burst=2, clock=clock)
    assert not any(limit.exhausted("a") for _ in range(5))
    assert [limit.allows("a"), limit.allows("a"), limit.exhausted("a")] == [True, True, True]
    clock.now = 1.0
    assert not limit.exhausted("a")


def test_things_may_cost_more_or_less() -> None:
    limit = RateLimit(rate=1, burst=10, clock=Clock())
    assert [limit.allows("a", 6), limit.allows("a", 6), limit.allows("a", 4)] == [True, False, True]


def test_callers_are_not_remembered_for_ever() -> None:
    limit = RateLimit(rate=1, burst=1, clock=Clock())
    for number in range(10_000):
        limit.allows(str(number))
    assert len(limit._left) <= 4096


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("fd00:1:2:3:4:5:6:7", "fd00:1:2:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        (None, ""),
        ("odd", "odd"),
    ],
)
def test_who_counts_as_one_caller(address: str | None, caller: str) -> None:
    assert caller_of(address) == caller
