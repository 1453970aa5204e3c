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


def test_zero_minutes_is_for_ever() -> None:
    assert IdlePolicy(0).patience_s is None
    assert IdlePolicy(3).patience_s == 180
