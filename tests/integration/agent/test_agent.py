import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.agent.desk import SessionDesk
from appliance.agent.service import Agent
from appliance.bus.connection import Bus, connect
from appliance.bus.messages import (
    AgentAnnounce,
    ApplicationInfo,
    Done,
    InstanceInfo,
    LaunchReply,
    LaunchRequest,
    Screen,
    SessionGrant,
    SessionRequest,
    StopRequest,
)
from appliance.bus.server import EmbeddedServer
from appliance.bus.subjects import ANNOUNCE_ALL, launch, sessions, stop
from appliance.errors import InvalidInputError, NoCapacityError, UnavailableError
from tests.support.gateway import until

pytestmark = pytest.mark.integration


class OneSlot:
    """Instances of a box with a single slot."""

    def __init__(self) -> None:
        self.draining = False
        self.running: list[str] = []
        self.stopped: list[tuple[str, str]] = []
        self.slow: asyncio.Event | None = None

    def applications(self) -> list[ApplicationInfo]:
        return [ApplicationInfo(name="desktop", kind="desktop")]

    def infos(self) -> list[InstanceInfo]:
        return []

    def encoders_free(self) -> int:
        return 0

    def slots(self) -> tuple[int, int]:
        return 1 - len(self.running), 1

    async def launch_for(self, request: LaunchRequest) -> str:
        if self.running:
            raise NoCapacityError("all 1 instances of this box are in use")
        if self.slow:
            await self.slow.wait()
        self.running.append(request.session)
        return "i1"

    async def stop(self, instance_id: str, reason: str, *, anew: bool = False) -> None:
        self.stopped.append((instance_id, reason))


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    server = EmbeddedServer(tmp_path)
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(started))
        await started.wait()
        async with connect(server.address, name="test") as connected:
            yield connected
        serving.cancel()


@contextlib.asynccontextmanager
async def serving(agent: Agent) -> AsyncIterator[None]:
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(agent.serve(started))
        await started.wait()
        yield
        task.cancel()


async def test_it_announces_launches_refuses_stops_and_says_goodbye(bus: Bus) -> None:
    instances = OneSlot()
    agent = Agent("a1", "box", "north", lambda: bus, instances)
    async with asyncio.timeout(10), bus.subscribe(ANNOUNCE_ALL, AgentAnnounce) as announced:
        async with serving(agent):
            subject, hello = await anext(announced)
            assert subject == "agent.a1.announce"
            assert (hello.name, hello.region, hello.slots_free) == ("box", "north", 1)
            request = LaunchRequest(session="s1", application="desktop")
            assert (await bus.request(launch("a1"), request, LaunchReply)).instance == "i1"
            with pytest.raises(NoCapacityError, match="in use"):
                await bus.request(launch("a1"), request, LaunchReply)
            await bus.request(stop("a1"), StopRequest(session="s1", reason="enough"), Done)
            assert instances.stopped == [("s1", "enough")]
            with pytest.raises(InvalidInputError, match="neither"):
                await bus.request(stop("a1"), StopRequest(), Done)
            agent.changed()
            while (told := (await anext(announced))[1]).slots_free:  # the beat may come at any moment
                pass
            assert not told.draining
            instances.draining = True
            agent.changed()
            while not (await anext(announced))[1].draining:
                pass
        while not (await anext(announced))[1].leaving:
            pass


async def test_who_is_to_stop_before_it_was_launched_stops_then(bus: Bus) -> None:
    instances = OneSlot()
    instances.slow = asyncio.Event()
    async with asyncio.timeout(10), serving(Agent("a1", "box", "north", lambda: bus, instances)):
        request = LaunchRequest(session="s1", application="desktop")
        with pytest.raises(UnavailableError, match="no answer"):
            await bus.request(launch("a1"), request, LaunchReply, timeout_s=0.2)
        await bus.request(stop("a1"), StopRequest(session="s1", reason="too late"), Done)
        assert instances.stopped == []
        instances.slow.set()
        await until(lambda: instances.stopped)
    assert (instances.running, instances.stopped) == (["s1"], [("s1", "too late")])


async def test_the_desk_asks_for_the_session_it_had(bus: Bus) -> None:
    asked: list[SessionRequest] = []

    async def grant(request: SessionRequest) -> SessionGrant:
        asked.append(request)
        return SessionGrant(session=request.session or "fresh")

    desk = SessionDesk("a1", "north", lambda: bus)
    with pytest.raises(UnavailableError, match="no answer"):
        await desk.grant("desktop", Screen(), resume=None, idle_time_min=0)
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bus.serve(sessions("a1"), SessionRequest, grant, started=ready))
        await ready.wait()
        assert await desk.grant("desktop", Screen(), resume="old", idle_time_min=3) == "old"
        assert await desk.grant("desktop", Screen(), resume=None, idle_time_min=0) == "fresh"
        task.cancel()
    assert (asked[0].agent, asked[0].region, asked[0].idle_time_min) == ("a1", "north", 3)
