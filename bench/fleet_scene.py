"""The fleet that `bench.fleet` kills part by part, and the clients that use it meanwhile."""

import asyncio
import contextlib
import functools
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from appliance.control.client import ControlClient
from appliance.control.snapshot import Instance, Snapshot
from bench.report import Row
from tests.support.box import Box, fanlight
from tests.support.fleet import PATTERN, Client, Cluster, client, cluster, enrol, external, gateway, remote
from tests.support.viewer import FrameRow, viewer

BOXES = ("attic", "cellar", "porch")
WATCHED = """
[[application]]
name = "watched"
kind = "test-pattern"
size = "160x120"
fps = 10
autostart = true
"""
SETTINGS = {
    "type": "settings", "api_version": 2, "data_channels": [], "enable_speaker": False,
    "enable_microphone": False, "enable_video": True, "enable_camera": False,
}  # fmt: skip
AT_ONCE = 4
RETRY_S = 0.3
LOOK_S = 0.05


class Watched:
    """A viewer that is told of each frame with the media, four times a second."""

    def __init__(self, box: str) -> None:
        self.box = box
        self._last = time.monotonic()
        self._gap = 0.0

    def frame(self, _: FrameRow) -> None:
        """One more came."""
        self._gap = self.gap
        self._last = time.monotonic()

    @property
    def gap(self) -> float:
        """The longest time without any since `begin`, in s."""
        return max(self._gap, time.monotonic() - self._last)

    def begin(self) -> None:
        """Anew."""
        self._gap = 0.0


@dataclass
class Fleet:
    """All that runs, and the sessions that clients know of."""

    servers: Cluster
    doors: dict[str, Box]
    boxes: dict[str, Box]
    api: Client
    stack: contextlib.AsyncExitStack
    watched: list[Watched] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    retries: int = 0

    def identities(self) -> set[str]:
        """Under which the boxes announce themselves."""
        return {self.identity(each) for each in self.boxes}

    def identity(self, name: str) -> str:
        """Of one box."""
        return (self.boxes[name].directory / "state" / "box-id").read_text().strip()

    async def restart(self, parts: dict[str, Box], name: str) -> None:
        """Kill a gateway or a box, and start it again."""
        old = parts[name]
        os.kill(old.pid, signal.SIGKILL)
        await old.running.process.wait()
        again = gateway(old.directory, "") if parts is self.doors else remote(old.directory)
        parts[name] = await self.stack.enter_async_context(again)

    async def instances(self) -> list[Instance]:
        """Of all boxes."""
        control = [ControlClient(box.directory / "run" / "control.sock") for box in self.boxes.values()]
        found = await asyncio.gather(*(each.call("snapshot", None, Snapshot) for each in control))
        return [instance for each in found for instance in each.instances]

    async def wave(self, count: int) -> None:
        """Create and join so many sessions."""
        turns = iter(range(count))
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._visit(turns))

    async def _visit(self, turns: Iterator[int]) -> None:
        bases = itertools.cycle(self.api.bases)
        for _ in turns:
            session = await self._insist(self._create, bases)
            self.sessions.append(session)
            await self._insist(functools.partial(self.join, session), bases)

    async def _insist(self, call: Callable[[str], Awaitable[str]], bases: Iterator[str]) -> str:
        async with asyncio.timeout(60):
            while True:
                try:
                    return await call(next(bases))
                except (aiohttp.ClientError, TimeoutError, AssertionError, TypeError):
                    self.retries += 1
                await asyncio.sleep(RETRY_S)

    async def _create(self, base: str) -> str:
        wish = {"app": "pattern", "joinable": True, "idle_time_min": 0}
        status, made = await self.api.call("POST", "/1.0/sessions", base, json=wish)
        assert status == 201, made
        return str(made["id"])

    async def join(self, session: str, base: str) -> str:
        """Until the streamer offers."""
        async with asyncio.timeout(20), self.api.joined(session, base) as socket:
            await socket.send_json({"type": "discover"})
            await socket.send_json(SETTINGS)
            while (await socket.receive_json())["type"] != "offer":
                pass
        return session

    async def books(self, gone: str = "-") -> Row:
        """What clients know beside what is there, apart from the sessions of box `gone`."""
        listed = await self.api.sessions()
        there = {key for key, status in listed.items() if status in ("created", "active")}
        running = [each for each in await self.instances() if each.session]
        own = {each.session for each in running if each.application == "watched"}
        kept = {each for each in self.sessions if not each.startswith(f"{gone}-")}
        return {
            "lost": len(kept - there),
            "twice": len(running) - len({each.session for each in running}),
            "stray": len(there - kept - own),
        }

    async def end_all(self) -> None:
        """Delete every session that clients made, told or not."""
        own = {each.session for each in await self.instances() if each.application == "watched"}
        ids = [each for each in await self.api.sessions() if each not in own]
        await self.api.call("DELETE", "/1.0/sessions?sync=true&force=true", json={"ids": ids})
        self.sessions.clear()


@contextlib.asynccontextmanager
async def fleet(scratch: Path) -> AsyncIterator[Fleet]:
    """Everything up, and one viewer at every box."""
    async with contextlib.AsyncExitStack() as stack:
        servers = await stack.enter_async_context(cluster(scratch / "nats"))
        doors = {
            name: await stack.enter_async_context(gateway(scratch / name, external(servers)))
            for name in ("east", "west")
        }
        for name in BOXES:
            await enrol(scratch / name, doors["east"], PATTERN + WATCHED, limits="instances = 100")
        servers.write((await fanlight(scratch / "west", "enroll", "list", "--nats"))[1])
        boxes = {name: await stack.enter_async_context(remote(scratch / name)) for name in BOXES}
        token = (await doors["west"].cli("account", "create", "clients"))["token"]
        api = await stack.enter_async_context(client(token, *doors.values()))
        running = Fleet(servers, doors, boxes, api, stack)
        for name, each in boxes.items():
            session = (await each.until("s['sessions'] and s['sessions'][0]['status'] == 'active'"))[
                "sessions"
            ][0]
            link = await doors["east"].cli("share", session["id"], "--role", "view")
            running.watched.append(watched := Watched(name))
            await stack.enter_async_context(viewer(link["url"], watched.frame))
        yield running
