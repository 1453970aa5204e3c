import asyncio

import pytest

from appliance.instances import idle
from appliance.instances.idle import IdlePolicy

pytestmark = pytest.mark.unit


async def test_an_ephemeral_instance_ends_after_its_client_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "_LEFT_SECONDS", 0.01)
    policy = IdlePolicy(ephemeral=True)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        expired = group.create_task(policy.expired())
        policy.watched_by(1)
        await asyncio.wait((expired,), timeout=0.05)
        assert not expired.done(), "it is being watched"
        policy.watched_by(0)
        assert await expired == "idle"


def test_one_that_nobody_joined_waits_longer_than_one_that_was_left() -> None:
    policy = IdlePolicy(ephemeral=True)
    before = policy.patience_s
    policy.watched_by(1)
    assert policy.patience_s is None
    policy.watched_by(0)
    assert before
    assert policy.patience_s
    assert policy.patience_s < before


def test_a_visit_too_short_to_be_counted_among_the_viewers_counts() -> None:
    policy = IdlePolicy(ephemeral=True)
    unvisited = policy.patience_s
    policy.watched_by(0, visits=1)
    assert unvisited
    assert policy.patience_s
    assert policy.patience_s < unvisited


def test_who_takes_leave_is_not_waited_for() -> None:
    policy = IdlePolicy(ephemeral=True)
    policy.watched_by(2)
    policy.watched_by(1, visits=1, farewells=1)
    assert policy.patience_s is None, "another one still watches"
    policy.watched_by(0, visits=2, farewells=1)
    assert policy.patience_s, "and went without a word"
    policy.watched_by(0, visits=3, farewells=2)
    assert policy.patience_s == 0
    policy.watched_by(0, visits=4, farewells=2)
    assert policy.patience_s == 0, "until somebody watches again"
    policy.watched_by(1, visits=4, farewells=2)
    policy.watched_by(0, visits=5, farewells=2)
    assert policy.patience_s
    assert IdlePolicy(0).patience_s is None


def test_a_joinable_instance_outlives_farewells() -> None:
    policy = IdlePolicy(3)
    policy.watched_by(0, visits=1, farewells=1)
    assert policy.patience_s == 180


def test_zero_minutes_is_for_ever() -> None:
    assert IdlePolicy(0).patience_s is None
    assert IdlePolicy(3).patience_s == 180
