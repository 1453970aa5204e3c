"""What the unit tests of the streamer share."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.lone_peer import House


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    async with asyncio.TaskGroup() as group:
        group.create_task(house.peer.run())
        yield house
        house.peer.end("the test is over")
    await house.pc.close()
