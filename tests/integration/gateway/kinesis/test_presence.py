"""Who is connected to a channel, as every node knows it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.bus.channel_messages import ChannelClient, ChannelPresence
from appliance.bus.connection import Bus, connect
from appliance.bus.subjects import presence
from appliance.gateway.kinesis.errors import ClientLimitError
from appliance.gateway.kinesis.presence import Presence
from tests.support.gateway import nats_server, until

pytestmark = pytest.mark.integration


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        yield bus


@contextlib.asynccontextmanager
async def node(bus: Bus) -> AsyncIterator[Presence]:
    there = Presence(bus)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(there.serve())
        yield there
        serving.cancel()


def client(connection: str, name: str = "") -> ChannelClient:
    return ChannelClient(connection=connection, client=name, since=0.0)


def names(at: Presence) -> list[str]:
    return sorted(each.client for each in at.clients("lobby"))


async def test_nodes_tell_each_other_who_comes_and_who_leaves(bus: Bus) -> None:
    async with node(bus) as first:
        first.enter("lobby", client("c1"), viewers=2)
        first.enter("lobby", client("c2", "v1"), viewers=2)
        async with node(bus) as second:
            second.enter("lobby", client("c3", "v2"), viewers=2)
            await until(lambda: names(first) == names(second) == ["", "v1", "v2"])
            with pytest.raises(ClientLimitError, match="2 viewers"):
                first.enter("lobby", client("c4", "v3"), viewers=2)
            second.enter("lobby", client("c5", "v1"), viewers=2)
            first.leave("lobby", "c2")
            first.leave("lobby", "c1")
            await until(lambda: names(first) == names(second) == ["v1", "v2"])


async def test_a_node_that_died_holds_no_place(bus: Bus) -> None:
    now = 0.0
    there = Presence(bus, clock=lambda: now)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(there.serve())
        dead = ChannelPresence(node="dead", channel="lobby", clients=[client("c1", "v1")])

        async def heard() -> bool:
            await bus.publish(presence("lobby"), dead)
            return names(there) == ["v1"]

        await until(heard)
        now = 16.0
        assert names(there) == []
        serving.cancel()
