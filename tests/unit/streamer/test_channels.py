"""One name of a data channel: who is connected to whom, and until when."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from pyee.asyncio import AsyncIOEventEmitter

from appliance.streamer.channels import Outlet, _listen
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


def test_who_waits_for_the_name_of_a_socket_finds_that_it_listens(tmp_path: Path) -> None:
    path = tmp_path / "webrtc_data_foo"
    path.touch()  # an older one
    names: list[str] = []

    class Listener(socket.socket):
        def listen(self, *backlog: int) -> None:
            names.extend(each.name for each in tmp_path.iterdir() if each.is_socket())
            super().listen(*backlog)

    with Listener(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as application:
        _listen(listener, path)
        application.connect(str(path))
    assert names == ["foo~"]
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
