"""Named data channels: aiortc clients on one side, programs at a unix socket on the other."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiortc import RTCDataChannel

from appliance.bus.connection import connect
from appliance.bus.messages import Role
from tests.support.gateway import nats_server, until
from tests.support.room import Viewer, Visit, specification, streamer, visits

pytestmark = pytest.mark.integration

LARGE = bytes(range(256)) * 8192


@pytest.fixture
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:  # a socket's path has 107 bytes at most
        yield Path(directory)


@pytest.fixture
async def visit(tmp_path: Path, sockets: Path) -> AsyncIterator[Visit]:
    async with (
        asyncio.timeout(40),
        nats_server(tmp_path) as server,
        connect(server.address, name="gateway") as bus,
        streamer(bus, specification(server.address, channels=str(sockets))),
        visits(bus) as visit,
    ):
        yield visit


class Client:
    """A viewer with a channel of this name, and what came through it."""

    def __init__(self, viewer: Viewer, channel: RTCDataChannel) -> None:
        self.viewer = viewer
        self.channel = channel
        self.heard = asyncio.Queue[bytes]()
        channel.on("message", self.heard.put_nowait)

    @classmethod
    async def make(cls, visit: Visit, name: str, role: Role = Role.CONTROL) -> "Client":
        viewer = await visit()
        channel = viewer.pc.createDataChannel(name)
        opened = asyncio.Event()
        channel.on("open", opened.set)
        client = cls(viewer, channel)
        await viewer.open(role=role)
        await viewer.watch(data_channels=[name])
        await opened.wait()
        return client

    async def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += await self.heard.get()
        return data


@contextlib.asynccontextmanager
async def program(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """An application that waits for the socket and connects."""
    await until(path.exists)
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_bytes_flow_both_ways_and_the_end_of_the_client_is_the_end(visit: Visit, sockets: Path) -> None:
    client = await Client.make(visit, "foo")
    client.channel.send("first, ")  # nobody is connected yet: it waits
    client.channel.send(b"\xff\0")
    async with program(sockets / "webrtc_data_foo") as (reader, writer):
        assert await reader.readexactly(9) == b"first, \xff\0"
        writer.write(LARGE)
        assert await client.read(len(LARGE)) == LARGE
        client.channel.send(LARGE[:60000])
        assert await reader.readexactly(60000) == LARGE[:60000]
        await client.viewer.pc.close()
        assert await reader.read() == b""


async def test_a_program_stays_for_the_next_client(visit: Visit, sockets: Path) -> None:
    path = sockets / "webrtc_data_foo"
    first = await Client.make(visit, "foo")
    async with program(path) as (reader, writer):
        writer.write(b"here")  # who is not served yet when the last client leaves waits for the next
        assert await first.read(4) == b"here"
        first.channel.close()
        assert await reader.read() == b""
    async with program(path) as (reader, writer):
        writer.write(b"are you there?")
        second = await Client.make(visit, "foo")
        assert await second.read(14) == b"are you there?"
        second.channel.send("yes")
        assert await reader.readexactly(3) == b"yes"


async def test_all_clients_of_a_name_share_it_and_names_do_not_mix(visit: Visit, sockets: Path) -> None:
    one, two, other = [await Client.make(visit, name) for name in ("foo", "foo", "bar")]
    async with program(sockets / "webrtc_data_foo") as (reader, writer):
        writer.write(b"hello")
        assert await one.read(5) == await two.read(5) == b"hello"
        one.channel.send("1")
        assert await reader.readexactly(1) == b"1"
        two.channel.send("2")
        assert await reader.readexactly(1) == b"2"
        assert other.heard.empty()
        one.channel.close()
        two.channel.send("3")
        assert await reader.readexactly(1) == b"3"


async def test_only_who_controls_has_channels_and_only_with_good_names(visit: Visit, sockets: Path) -> None:
    watcher = await Client.make(visit, "foo", Role.VIEW)
    bad = await Client.make(visit, "../../tmp/foo")
    good = await Client.make(visit, "good")
    for client in (watcher, bad, good):
        client.channel.send("x")
    async with program(sockets / "webrtc_data_good") as (reader, _):
        assert await reader.readexactly(1) == b"x"
    assert [each.name for each in sockets.iterdir()] == ["webrtc_data_good"]


async def test_what_nobody_reads_ends_the_channel_and_leaves_the_picture(visit: Visit) -> None:
    client = await Client.make(visit, "foo")
    closed = asyncio.Event()
    client.channel.on("close", closed.set)
    for _ in range(80):
        client.channel.send(LARGE[:16384])
    await closed.wait()
    assert len(await client.viewer.frames(2)) == 2
