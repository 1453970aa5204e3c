"""ICE servers of the cloud are asked for once in their lifetime."""

import asyncio

import pytest

from appliance.bus.messages import IceServer
from appliance.uplink.cloud import CloudError, Lease
from appliance.uplink.ice import IceServers

pytestmark = pytest.mark.unit

TURN = [IceServer(urls=["turn:turn.example.org"])]


async def test_many_viewers_cost_one_call_until_the_credentials_are_about_to_end() -> None:
    now, asked = [0.0], []

    async def ask() -> Lease:
        asked.append(now[0])
        await asyncio.sleep(0)
        return Lease(TURN, 300)

    servers = IceServers(ask, lambda: now[0])
    assert await asyncio.gather(*(servers.current() for _ in range(10))) == [TURN] * 10
    now[0] = 239.0
    await servers.current()
    now[0] = 240.0
    await servers.current()
    servers.forget()
    await servers.current()
    assert asked == [0.0, 240.0, 240.0]


async def test_a_failure_is_not_asked_again_for_a_second() -> None:
    now, asked = [0.0], []

    async def ask() -> Lease:
        asked.append(now[0])
        if len(asked) == 1:
            raise CloudError("Rate exceeded")
        return Lease(TURN, 30)

    servers = IceServers(ask, lambda: now[0])
    assert await servers.current() == []
    assert await servers.current() == []
    now[0] = 1.0
    assert await servers.current() == TURN
    now[0] = 15.9
    await servers.current()
    assert asked == [0.0, 1.0]
