"""What a gateway costs: from the join to the offer, sessions made a second, memory and CPU for each.

`python -m bench.gateway [--sessions 1000] [--gateways 1,2,3] [--joins 200]`. Gateways are processes side by
side on one nats-server; boxes are real agents in one more process, whose instances answer at once. So
what is measured is the way of a client through gateway and bus, and nothing of a streamer.
"""

import asyncio
import contextlib
import itertools
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.gateway_boxes import APPLICATION, BUS
from bench.processes import cpu_seconds, resident_bytes
from bench.report import Column, Report, Row, arguments, quantile
from tests.support.box import running
from tests.support.gateway import nats_server, until

BOXES = 50
AT_ONCE = 16
SETTLE_S = 3.0
IDLE_S = 8.0
SOCKETS = 200
COLUMNS = (
    Column("p50_ms", "join to offer p50 ms"), Column("p99_ms", "p99"),
    Column("busy_p99_ms", f"p99, {AT_ONCE} at once"), Column("joins_s", "joins/s", 0),
    Column("join_cpu_ms", "gateway CPU ms a join", 2), Column("made_s", "sessions made/s", 0),
    Column("made_cpu_ms", "gateway CPU ms each", 2), Column("session_kb", "kB a session"),
    Column("socket_kb", "kB a socket"), Column("list_ms", "list ms", 0),
    Column("idle_percent", "idle % of a core, each"), Column("bus_percent", "nats-server"),
)  # fmt: skip


@dataclass(slots=True)
class Door:
    """One gateway: where it is, who we are there, its process."""

    url: str
    token: str
    pid: int

    @property
    def cpu(self) -> float:
        return cpu_seconds(self.pid)

    @property
    def memory(self) -> int:
        return resident_bytes(self.pid)


class Client:
    """Calls the gateways in turn."""

    def __init__(self, http: aiohttp.ClientSession, doors: Sequence[Door]) -> None:
        self._http = http
        self._doors = itertools.cycle(doors)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Metadata of an answer."""
        door = next(self._doors)
        headers = {"Authorization": f"Macaroon root={door.token}"}
        async with self._http.request(method, door.url + path, headers=headers, json=body) as answer:
            answer.raise_for_status()
            return (await answer.json())["metadata"]

    async def make(self) -> str:
        """A session that stays."""
        wish = {"app": APPLICATION, "joinable": True, "idle_time_min": 0, "ephemeral": False}
        return str((await self.call("POST", "1.0/sessions", wish))["id"])

    async def all_active(self, sessions: int) -> bool:
        """Whether all that the boxes told has been noted."""
        return len(await self.call("GET", "1.0/sessions?status=active&limit=0")) >= sessions

    async def socket(self, session: str) -> aiohttp.ClientWebSocketResponse:
        """Join and open the socket."""
        joined = await self.call("POST", f"1.0/sessions/{session}/join", {})
        return await self._http.ws_connect(joined["url"])

    async def join(self, session: str) -> float:
        """Seconds from the join to the offer, in the steps that the Anbox dialect has."""
        began = time.perf_counter()
        async with await self.socket(session) as ws:
            await ws.send_str('{"type": "discover"}')
            await _said(ws, "resp:discover")
            await ws.send_str('{"type": "settings", "api_version": 2}')
            await _said(ws, "offer")
            return time.perf_counter() - began


async def _said(ws: aiohttp.ClientWebSocketResponse, kind: str) -> None:
    while json.loads(await ws.receive_str(timeout=30))["type"] != kind:
        pass


@contextlib.asynccontextmanager
async def street(gateways: int, scratch: Path) -> AsyncIterator[tuple[list[Door], int]]:
    """So many gateways with all boxes behind them, and the process of the nats-server."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(nats_server(scratch))
        address = server.address
        env = {BUS: f"{address.url} {address.user} {address.password}"}
        module = (sys.executable, "-m")
        doors = []
        for number in range(gateways):
            folder = scratch / f"gateway{number}"
            folder.mkdir()
            node = await stack.enter_async_context(
                running([*module, "bench.gateway_node", folder, f"client{number}"], env=env)
            )
            found = await node.line(r"^ready (\S+) (\S+)")
            doors.append(Door(found[1], found[2], node.process.pid))
        boxes = await stack.enter_async_context(
            running([*module, "bench.gateway_boxes", str(BOXES)], env=env)
        )
        await boxes.line("^ready")
        assert server.pid
        yield doors, server.pid


async def at_once(work: Sequence[Any]) -> tuple[list[Any], float]:
    """Results of the coroutines, some of them at a time, and how many a second."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(each: Any) -> Any:
        async with room:
            return await each

    began = time.perf_counter()
    found = await asyncio.gather(*map(one, work))
    return found, len(found) / (time.perf_counter() - began)


async def measure(gateways: int, sessions: int, joins: int, scratch: Path) -> Row:
    """One run, from an empty bus."""
    async with (
        street(gateways, scratch) as (doors, bus),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        client = Client(http, doors)

        def spent() -> float:
            return 1000 * sum(each.cpu for each in doors)

        def held() -> float:
            return sum(each.memory for each in doors) / 1000 / gateways

        known = [await client.make()]
        await client.join(known[0])  # all is loaded
        row: Row = {}
        if sessions > 1:
            memory, cpu = held(), spent()
            known, row["made_s"] = await at_once([client.make() for _ in range(sessions - 1)])
            row["made_cpu_ms"] = (spent() - cpu) / len(known)
            await until(lambda: client.all_active(sessions), 60)
            await asyncio.sleep(SETTLE_S)
            row["session_kb"] = (held() - memory) / len(known)
        before, began = (spent(), 1000 * cpu_seconds(bus)), time.perf_counter()
        await asyncio.sleep(IDLE_S)
        elapsed = 10 * (time.perf_counter() - began)
        row["idle_percent"] = (spent() - before[0]) / elapsed / gateways
        row["bus_percent"] = (1000 * cpu_seconds(bus) - before[1]) / elapsed
        wanted = list(itertools.islice(itertools.cycle(known), joins))
        took = [1000 * await client.join(each) for each in wanted]
        row["p50_ms"], row["p99_ms"] = quantile(took, 0.5), quantile(took, 0.99)
        cpu = spent()
        busy, row["joins_s"] = await at_once([client.join(each) for each in wanted])
        row["join_cpu_ms"] = (spent() - cpu) / joins
        row["busy_p99_ms"] = 1000 * quantile(busy, 0.99)
        began = time.perf_counter()
        await client.call("GET", "1.0/sessions?recursion=true&limit=0")
        row["list_ms"] = 1000 * (time.perf_counter() - began)
        memory = held()
        sockets, _ = await at_once([client.socket(each) for each in wanted[:SOCKETS]])
        row["socket_kb"] = (held() - memory) * gateways / len(sockets)
        await asyncio.gather(*(each.close() for each in sockets))
    return row


async def main() -> None:
    parser = arguments(__doc__, seconds=None)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--gateways", default="1,2,3")
    parser.add_argument("--joins", type=int, default=200)
    options = parser.parse_args()
    report = Report(
        f"{BOXES} boxes, {options.joins} joins", COLUMNS, ratio="p50_ms", base="1 gateway, 1 session"
    )
    many = [(int(each), options.sessions) for each in options.gateways.split(",")]
    for _ in range(options.runs):
        for gateways, sessions in [(1, 1), *many]:
            name = f"{gateways} gateway{'s'[: gateways > 1]}, {sessions} session{'s'[: sessions > 1]}"
            with tempfile.TemporaryDirectory() as scratch:
                report.add(name, await measure(gateways, sessions, options.joins, Path(scratch)))
    report.finish(options)


if __name__ == "__main__":
    asyncio.run(main())
