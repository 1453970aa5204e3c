"""What the tests of the streamer share."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from appliance.bus.connection import Bus, connect
from appliance.bus.server import EmbeddedServer
from appliance.streamer.input.router import InputRouter
from appliance.streamer.input.x11 import X11Sink
from tests.support.room import Visit, visits
from tests.support.x_desk import SIZE, Client, running, until
from tests.support.x_server import served

_NAMES = ("XDG_RUNTIME_DIR", "DISPLAY", "XAUTHORITY")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    server, started = EmbeddedServer(tmp_path), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(started))
        await started.wait()
        yield server
        serving.cancel()


@pytest.fixture
async def bus(server: EmbeddedServer) -> AsyncIterator[Bus]:
    async with connect(server.address, name="test gateway") as bus:
        yield bus


@pytest.fixture
async def visit(bus: Bus) -> AsyncIterator[Visit]:
    async with visits(bus) as visit:
        yield visit


@pytest.fixture(scope="module")
def compositor_environment() -> Iterator[None]:
    """An environment without displays."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _NAMES:
            patch.setenv(name, "")
        yield


@pytest.fixture
def display() -> Iterator[str]:
    with served(*SIZE) as name:
        yield name


@pytest.fixture
async def router(display: str) -> AsyncIterator[InputRouter]:
    async with running(InputRouter(X11Sink(display))) as router:
        await until(lambda: router.description == f"X11 {display}: XTEST")
        yield router


@pytest.fixture
async def client(display: str, router: InputRouter) -> AsyncIterator[Client]:
    client = Client(display)
    yield client
    client.close()
