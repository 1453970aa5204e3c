"""A gateway on a real nats-server, with an agent and a streamer that only say what real ones say."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from appliance import lifecycle
from appliance.bus import subjects
from appliance.bus.connection import Bus, connect
from appliance.bus.link import BusLink
from appliance.bus.messages import (
    AgentAnnounce,
    ApplicationInfo,
    Done,
    InstanceInfo,
    InstanceState,
    LaunchReply,
    LaunchRequest,
    SessionGrant,
    SessionRequest,
    SessionState,
    SessionStatus,
    StopRequest,
    StreamerHello,
)
from appliance.bus.peer_messages import Opened, PeerEvent, PeerReply
from appliance.bus.server import EmbeddedServer, Listen
from appliance.bus.stats import InstanceStats, ViewerStats
from appliance.config import Config
from appliance.errors import FanlightError
from appliance.gateway.service import Gateway
from tests.support.described import Described

_END_SECONDS = 30
"""Half of what a test has."""


def settings(**sections: dict[str, Any]) -> Config:
    """Plain HTTP on a free port of loopback, unless said otherwise."""
    plain: dict[str, Any] = {
        "gateway": {"listen": "127.0.0.1:0"},
        "tls": {"mode": "off"},
        "box": {"name": "attic"},
    }
    plain["limits"] = {"requests_per_second": 1000}
    return Config.model_validate({**plain, **sections})


@contextlib.asynccontextmanager
async def serving(*services: lifecycle.Service) -> AsyncIterator[None]:
    """Run `services` for as long as the block lasts."""
    async with asyncio.TaskGroup() as group:
        tasks = []
        for service in services:
            started = asyncio.Event()
            tasks.append(group.create_task(service.serve(started)))
            waiting = group.create_task(started.wait())
            await asyncio.wait((waiting, tasks[-1]), return_when=asyncio.FIRST_COMPLETED)
            if not started.is_set():
                waiting.cancel()
                await tasks[-1]
        try:
            yield
        finally:
            for task in reversed(tasks):
                task.cancel()
                await _end_of(task)


async def _end_of(task: asyncio.Task[None]) -> None:
    """Whoever does not end is shown, with all that still runs, before the test is stopped."""
    _, hanging = await asyncio.wait((task,), timeout=_END_SECONDS)
    if hanging:
        for each in asyncio.all_tasks():
            each.print_stack()
        await asyncio.wait((task,))


@contextlib.asynccontextmanager
async def nats_server(state_dir: Path) -> AsyncIterator[EmbeddedServer]:
    """The embedded server, alone."""
    server = EmbeddedServer(state_dir)
    async with serving(server):
        yield server


@dataclass
class Street:
    """A running gateway, and a connection of our own to its bus."""

    server: EmbeddedServer
    gateway: Gateway
    bus: Bus
    http: aiohttp.ClientSession
    """Every answer it gets is held against `/openapi.json`."""
    described: Described

    @property
    def base(self) -> str:
        return self.gateway.url.rstrip("/")

    async def token(self, name: str = "client") -> str:
        """The API token of a new account."""
        return await self.gateway.create_account(name)

    async def api(
        self, method: str, path: str, token: str = "", **options: Any
    ) -> tuple[int, dict[str, Any]]:
        """One call, as the SDK makes it; status and body."""
        headers = {"Authorization": f"Macaroon root={token}"} if token else {}
        headers |= options.pop("headers", {})
        async with self.http.request(method, self.base + path, headers=headers, **options) as answer:
            return answer.status, await answer.json()


@contextlib.asynccontextmanager
async def street(
    tmp_path: Path, config: Config | None = None, listen: Listen | None = None, **options: Any
) -> AsyncIterator[Street]:
    """Everything up; where the bus is to `listen`, boxes can enrol."""
    server = EmbeddedServer(tmp_path, listen)
    link = BusLink(lambda: server.address, "gateway")
    gateway = Gateway(config or settings(), tmp_path, link, server if listen else None, **options)
    async with (
        serving(server, link, gateway),
        connect(server.address, name="test") as bus,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as stranger,
    ):
        async with stranger.get(f"{gateway.url}openapi.json") as answer:
            described = Described(await answer.json())
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, trace_configs=[described.trace()]) as http:
            yield Street(server, gateway, bus, http, described)


@dataclass
class FakeAgent:
    """Announces one application and answers launch and stop."""

    bus: Bus
    id: str = "box1"
    region: str = ""
    slots: int = 4
    draining: bool = False
    refuses: FanlightError | None = None
    silent: bool = False
    launched: list[LaunchRequest] = field(default_factory=list)
    stopped: list[StopRequest] = field(default_factory=list)
    instances: dict[str, InstanceInfo] = field(default_factory=dict)

    async def announce(self, *, leaving: bool = False) -> None:
        await self._say(leaving=leaving)
        await self.bus.client.flush()

    async def _say(self, *, leaving: bool = False) -> None:
        await self.bus.publish(
            subjects.announce(self.id),
            AgentAnnounce(
                id=self.id,
                name=f"name of {self.id}",
                region=self.region,
                applications=[ApplicationInfo(name="demo", kind="test-pattern")],
                instances=list(self.instances.values()),
                slots_free=self.slots,
                slots_total=4,
                draining=self.draining,
                leaving=leaving,
            ),
        )

    async def ask_for_session(self, session: str | None = None, application: str = "desktop") -> str:
        """Flow B: what an instance does at birth."""
        request = SessionRequest(agent=self.id, application=application, session=session)
        grant = await self.bus.request(subjects.sessions(self.id), request, SessionGrant)
        self.instances[grant.session] = InstanceInfo(
            id=subjects.id_of(self.id, application),
            application=application,
            state=InstanceState.RUNNING,
            session=grant.session,
        )
        await self.announce()
        return grant.session

    async def report(self, session: str, status: SessionStatus, message: str = "") -> None:
        news = SessionState(session=session, status=status, message=message)
        await self.bus.publish(subjects.state(session), news)

    async def _launch(self, request: LaunchRequest) -> LaunchReply:
        self.launched.append(request)
        if self.refuses:
            raise self.refuses
        instance = subjects.id_of(self.id, f"i{len(self.launched)}")
        self.instances[request.session] = InstanceInfo(
            id=instance,
            application=request.application,
            state=InstanceState.STARTED,
            session=request.session,
        )
        return LaunchReply(instance=instance)

    async def _stop(self, request: StopRequest) -> Done:
        self.stopped.append(request)
        self.instances.pop(request.session or "", None)
        return Done()

    async def serve(self, started: asyncio.Event) -> None:
        ready = [asyncio.Event(), asyncio.Event()]
        async with asyncio.TaskGroup() as group:
            launch, stop = subjects.launch(self.id), subjects.stop(self.id)
            group.create_task(self.bus.serve(launch, LaunchRequest, self._launch, started=ready[0]))
            group.create_task(self.bus.serve(stop, StopRequest, self._stop, started=ready[1]))
            for each in ready:
                await each.wait()
            await self.announce()
            started.set()
            while True:
                await asyncio.sleep(0.5)
                if not self.silent and self.bus.connected:
                    await self._say()  # a flush that a killed server does not answer would fail


@dataclass
class FakeStreamer:
    """Notes every peer event and answers each message with `{"echo": ...}`."""

    bus: Bus
    session: str
    refuses: FanlightError | None = None
    resumed: bool = False
    events: asyncio.Queue[PeerEvent] = field(default_factory=asyncio.Queue)
    seen: list[PeerEvent] = field(default_factory=list)

    @property
    def instance(self) -> str:
        """The first one that an agent launches."""
        return subjects.id_of(subjects.agent_of(self.session), "i1")

    async def serve(self, started: asyncio.Event) -> None:
        serving = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self.bus.serve(subjects.up(self.session), PeerEvent, self._heard, started=serving)
            )
            await serving.wait()
            await self.bus.publish(
                subjects.hello(self.session), StreamerHello(instance=self.instance, resumed=self.resumed)
            )
            await self.bus.client.flush()  # who comes from now on does not hear it, and opens once
            started.set()

    async def next(self, kind: str) -> PeerEvent:
        """The next event of `kind`; others before it are passed over."""
        async with asyncio.timeout(20):
            while (event := await self.events.get()).kind != kind:
                pass
        return event

    async def say(self, peer: str, text: str) -> None:
        await self.bus.publish(subjects.down(self.session, peer), PeerReply(kind="message", text=text))

    async def hang_up(self, peer: str) -> None:
        await self.bus.publish(subjects.down(self.session, peer), PeerReply(kind="close"))

    async def tell_viewers(self, *peers: str) -> None:
        stats = InstanceStats(
            instance=self.instance, session=self.session, viewers=[ViewerStats(id=peer) for peer in peers]
        )
        await self.bus.publish(subjects.stats(self.instance), stats)

    async def _heard(self, event: PeerEvent) -> Opened:
        known = any(each.kind == "open" and each.peer == event.peer for each in self.seen)
        if self.refuses and event.kind == "open":
            raise self.refuses
        self.seen.append(event)
        self.events.put_nowait(event)
        if event.kind == "message":
            await self.say(event.peer, '{"echo": ' + event.text + "}")
        return Opened(known=known)


@contextlib.asynccontextmanager
async def deaf(socket_url: str) -> AsyncIterator[asyncio.StreamWriter]:
    """A client that opens the socket and reads nothing; at the end it is gone without a word."""
    url = urlsplit(socket_url)
    _, writer = await asyncio.open_connection(url.hostname, url.port, limit=1)
    lines = (
        f"GET {url.path}?{url.query} HTTP/1.1",
        f"Host: {url.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
    )
    writer.write("\r\n".join((*lines, "", "")).encode())
    try:
        yield writer
    finally:
        writer.transport.abort()


async def until(condition: Callable[[], Any], timeout_s: float = 10.0) -> None:
    """Wait for something that has no event of its own; `condition` may be a coroutine function."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.02)


async def status_of(here: Street, token: str, session: str) -> str:
    """Of a session, as the API says it."""
    return str((await here.api("GET", f"/1.0/sessions/{session}", token))[1]["metadata"]["status"])


async def is_now(here: Street, token: str, session: str, status: str) -> bool:
    """Whether that is the status of the session."""
    return await status_of(here, token, session) == status


async def known(here: Street, token: str, application: str = "demo") -> None:
    """Wait until the gateway has heard the agent."""

    async def listed() -> bool:
        names = (await here.api("GET", "/1.0/applications", token))[1]["metadata"]
        return {"name": application} in names

    await until(listed)


async def has_agents(here: Street, token: str, number: int) -> bool:
    """Whether the gateway hears so many."""
    return bool((await here.api("GET", "/1.0/status", token))[1]["metadata"]["agents"] == number)
