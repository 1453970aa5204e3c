"""A fleet for tests and benchmarks: a NATS cluster, gateways and boxes, each a process of its own."""

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import nats.errors

from appliance.agent.enrolment import enroll
from appliance.bus.connection import Bus
from appliance.bus.server import find_executable
from appliance.control.client import ControlClient
from appliance.control.credentials import Code, CodeParams
from appliance.storage import remembered
from tests.support.box import Box, Running, box, configured, running, settings
from tests.support.ports import free_ports

PATTERN = """
[[application]]
name = "pattern"
kind = "test-pattern"
size = "160x120"
fps = 5
"""
"""An application that costs next to nothing."""
AUTOSTARTED = PATTERN + "autostart = true\n"
_LEADER_S = 6  # 0.3 s as a rule


class Cluster:
    """Three nats-servers with JetStream; gateways come with a password, boxes with their keys."""

    def __init__(self, directory: Path, stack: contextlib.AsyncExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._password = secrets.token_hex(8)
        self._clients, self._routes = free_ports(3), free_ports(3)
        self._nodes: list[Running] = []

    @property
    def url(self) -> str:
        """Of all three, as gateways use it."""
        return ",".join(f"nats://fanlight:{self._password}@127.0.0.1:{port}" for port in self._clients)

    def one(self, index: int) -> str:
        """Of one server alone."""
        return self.url.split(",")[index]

    def pid(self, index: int) -> int:
        """Of one server."""
        return self._nodes[index].process.pid

    async def begin(self) -> None:
        """Start all; returns when they have chosen who leads."""
        self.write("")
        self._nodes = [await self._start(index) for index in range(3)]
        async with asyncio.timeout(40):
            await asyncio.gather(*map(self._find_leader, range(3)))

    async def kill(self, index: int) -> None:
        """End one with SIGKILL."""
        os.kill(self.pid(index), signal.SIGKILL)
        await self._nodes[index].process.wait()

    async def restart(self, index: int) -> None:
        """Start a killed one again."""
        self._nodes[index] = await self._start(index)
        await self._nodes[index].line("Server is ready")

    def write(self, boxes: str) -> None:
        """What `fanlight enroll list --nats` printed is who may come in from now on."""
        ours = f'{{ user: "fanlight", password: "{self._password}" }}'
        (self._directory / "users.conf").write_text(f"users: [\n{ours}\n{boxes}\n]\n")
        for node in self._nodes:
            node.process.send_signal(signal.SIGHUP)

    async def _find_leader(self, index: int) -> None:
        """Two servers of 2.9 that begin at once may both close the other's route: one then never hears it."""
        while True:
            try:
                await self._nodes[index].line("metadata leader", _LEADER_S)
            except AssertionError:
                await self.kill(index)
                self._nodes[index] = await self._start(index)
            else:
                return

    async def _start(self, index: int) -> Running:
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self._routes)
        file = self._directory / f"n{index}.conf"
        file.write_text(f"""
            server_name: n{index}
            listen: "127.0.0.1:{self._clients[index]}"
            jetstream {{ store_dir: "{self._directory}/n{index}", max_mem: 128MB, max_file: 256MB }}
            cluster {{ name: fleet, listen: "127.0.0.1:{self._routes[index]}", routes: [{routes}] }}
            authorization {{ include "users.conf" }}
        """)
        arguments = ("/bin/sh", "-c", 'exec "$0" -c "$1" 2>&1', find_executable(), file)
        return await self._stack.enter_async_context(running(arguments))


@contextlib.asynccontextmanager
async def cluster(directory: Path) -> AsyncIterator[Cluster]:
    """Three servers that have found each other."""
    directory.mkdir(parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        made = Cluster(directory, stack)
        await made.begin()
        yield made


async def in_step(bus: Bus, bucket: str) -> None:
    """Until all servers have all of `bucket`: the next one may be killed."""
    while True:
        with contextlib.suppress(nats.errors.Error):
            found = (await bus.client.jetstream().stream_info(f"KV_{bucket}")).cluster
            if found and found.leader and all(each.current for each in found.replicas or []):
                return
        await asyncio.sleep(0.05)


def gateway(directory: Path, bus: str, **sections: str) -> contextlib.AbstractAsyncContextManager[Box]:
    """`fanlight gateway` on plain HTTP; `bus`: the section of its configuration."""
    (port,) = free_ports(1)
    plain = {
        "box": f'name = "{directory.name}"',
        "gateway": f'listen = "127.0.0.1:{port}"',
        "tls": 'mode = "off"',
        "bus": bus,
        "limits": "requests_per_second = 1000",
    }
    file = directory / "fanlight.toml"
    text = file.read_text() if file.is_file() else settings(**{**plain, **sections})
    return box(directory, text, verb="gateway")


def external(cluster: Cluster) -> str:
    """The section [bus] of a gateway on `cluster`."""
    return f'mode = "external"\nurl = "{cluster.url}"'


async def enrol(directory: Path, door: Box, applications: str = PATTERN, **sections: str) -> None:
    """Make `directory` that of a box which is enrolled at the gateway `door`; `remote` runs it."""
    plain = {
        "box": f'name = "{directory.name}"',
        "gateway": 'mode = "remote"',
        "audio": "enabled = false",
        "ice": "udp_port = 0",
    }
    configured(directory, settings(**{**plain, **sections}) + applications)
    made = await ControlClient(door.directory / "run" / "control.sock").call(
        "enroll.create", CodeParams(name=""), Code
    )
    state = directory / "state"
    state.mkdir()
    identity = remembered(state / "box-id", secrets.token_hex(8))
    await enroll(state, made.url, made.code, box=identity, name=directory.name)


def remote(directory: Path) -> contextlib.AbstractAsyncContextManager[Box]:
    """`fanlight run` of an enrolled box."""
    return box(directory, (directory / "fanlight.toml").read_text())


class Client:
    """A program that uses the API, at whichever gateway answers."""

    def __init__(self, http: aiohttp.ClientSession, token: str, bases: Sequence[str]) -> None:
        self._http = http
        self._headers = {"Authorization": f"Macaroon root={token}"}
        self.bases = list(bases)

    async def call(self, method: str, path: str, base: str = "", **options: Any) -> tuple[int, Any]:
        """Status and metadata. Raises aiohttp.ClientError where the gateway is not there."""
        url = (base or self.bases[0]).rstrip("/") + path
        async with self._http.request(method, url, headers=self._headers, **options) as answer:
            body = await answer.json()
            return answer.status, body.get("metadata", body.get("error"))

    async def ready(self) -> int:
        """What /readyz says."""
        async with self._http.get(self.bases[0].rstrip("/") + "/readyz") as answer:
            return answer.status

    async def sessions(self, base: str = "") -> dict[str, str]:
        """Status by id of all sessions."""
        status, found = await self.call("GET", "/1.0/sessions?recursion=1&limit=0", base)
        assert status == 200, found
        return {each["id"]: each["status"] for each in found}

    @contextlib.asynccontextmanager
    async def joined(self, session: str, base: str = "") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """The signaling socket of a client of `session`."""
        status, found = await self.call("POST", f"/1.0/sessions/{session}/join", base, json={})
        assert status == 200, f"join: {status}: {found}"
        async with self._http.ws_connect(found["url"]) as socket:
            yield socket


@contextlib.asynccontextmanager
async def client(token: str, *doors: Box) -> AsyncIterator[Client]:
    """With the token of an account that any of the gateways made."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http:
        yield Client(http, token, [door.url for door in doors])
