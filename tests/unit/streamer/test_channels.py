"""One name of a data channel: who is connected to whom, and until when."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pyee.asyncio import AsyncIOEventEmitter

from appliance.streamer.channels import Outlet
from tests.support.gateway import until

pytestmark = pytest.mark.unit


class Line(AsyncIOEventEmitter):
    """A viewer's channel with so many bytes on their way."""

    label = "foo"

    def __init__(self, buffered: int) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.sent: list[bytes] = []
        self._buffered = buffered

    @property
    def bufferedAmount(self) -> int:
        self.asked.set()
        return self._buffered

    def send(self, data: bytes) -> None:
        self.sent.append(data)


async def test_what_one_viewer_left_behind_is_not_for_the_next(tmp_path: Path) -> None:
    outlet, path = Outlet(tmp_path / "foo"), tmp_path / "foo"
    leaves: Any = Line(1 << 20)
    stays: Any = Line(0)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        serving = group.create_task(outlet.run())
        outlet.attach(leaves, lambda: True)
        await until(path.exists)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"for who leaves")
        await leaves.asked.wait()  # whose line is full
        outlet.detach(leaves)
        outlet.attach(stays, lambda: True)
        stays.emit("message", b"held")
        assert await reader.read() == b""
        assert stays.sent == []
        writer.close()
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.readexactly(4) == b"held"
        writer.close()
        serving.cancel()
