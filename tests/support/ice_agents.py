"""ICE agents of the adapter, connected to each other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from appliance.streamer import aioice_adapter as adapter
from appliance.streamer.mux import Mux


@contextlib.asynccontextmanager
async def agent(**options: Any) -> AsyncIterator[adapter.Connection]:
    """An ICE agent that has gathered its candidates."""
    made = adapter.Connection(**{"ice_controlling": False} | options)
    await made.gather_candidates()
    try:
        yield made
    finally:
        await made.close()


async def pair(one: adapter.Connection, two: adapter.Connection) -> None:
    """Connect two agents."""
    for here, there in ((one, two), (two, one)):
        here.remote_username, here.remote_password = there.local_username, there.local_password
        for candidate in there.local_candidates:
            await here.add_remote_candidate(candidate)
        await here.add_remote_candidate(None)
    async with asyncio.TaskGroup() as group:
        group.create_task(one.connect())
        group.create_task(two.connect())


def tables(mux: Mux) -> int:
    """How many entries all routing tables have."""
    return sum(len(each._agents) + len(each._routes) + len(each._asked) for each in mux.sockets.values())
