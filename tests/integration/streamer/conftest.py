"""What the tests of the streamer share."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from appliance.bus.connection import Bus, connect
from appliance.bus.server import EmbeddedServer
from tests.support.room import Visit, visits

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
