"""One of several nodes leads, and another one soon after it is gone."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from appliance.bus.connection import connect
from appliance.bus.lease import Lease
from tests.support.gateway import nats_server

pytestmark = pytest.mark.integration


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_one_leads_and_another_follows_where_it_leaves_in_peace(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="nodes") as bus:
        leases = [Lease(bus, "watch", seconds=60) for _ in range(3)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each.serve()) for each in leases]
            await until(lambda: any(each.held for each in leases))
            (first,) = [index for index, each in enumerate(leases) if each.held]
            tasks[first].cancel()
            await asyncio.wait((tasks[first],))
            late = Lease(bus, "watch", seconds=60)
            tasks.append(group.create_task(late.serve()))
            await until(lambda: late.held)
            assert not any(each.held for each in leases)
            for task in tasks:
                task.cancel()


async def test_who_is_cut_off_stops_leading_before_another_starts(tmp_path: Path) -> None:
    async with (
        nats_server(tmp_path) as server,
        connect(server.address, name="lost") as lost,
        connect(server.address, name="other") as other,
        asyncio.TaskGroup() as group,
    ):
        leader, follower = Lease(lost, "watch", seconds=1), Lease(other, "watch", seconds=1)
        tasks = [group.create_task(leader.serve())]
        await until(lambda: leader.held)
        tasks.append(group.create_task(follower.serve()))
        await lost.client.close()
        await until(lambda: follower.held)
        assert not leader.held
        for task in tasks:
            task.cancel()


async def test_one_leads_again_after_the_server_has_lost_its_memory(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="node") as bus:
        lease = Lease(bus, "watch", seconds=1)
        async with serving_lease(lease):
            await until(lambda: lease.held)
            os.kill(server.pid or 0, signal.SIGKILL)
            await until(lambda: not lease.held)
            await until(lambda: lease.held)


@contextlib.asynccontextmanager
async def serving_lease(lease: Lease) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(lease.serve())
        yield
        task.cancel()
