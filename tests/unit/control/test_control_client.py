"""The client: results as models, errors as they were raised."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from appliance.control.client import ControlClient, ControlUnreachableError
from appliance.control.schema import Done, IdParams, Launched, LaunchParams
from appliance.control.snapshot import Snapshot
from appliance.errors import NotFoundError, UnavailableError

pytestmark = pytest.mark.unit


async def test_a_result_is_a_model(controller: Any, socket: Path, serving: Any) -> None:
    async with serving(controller, socket):
        params = LaunchParams(application="a", width=640, height=480)
        assert await ControlClient(socket).call("launch", params, Launched) == Launched(
            instance="i1", session="s1"
        )
    assert controller.asked == [("launch", params)]


async def test_an_error_is_raised_as_it_was(controller: Any, socket: Path, serving: Any) -> None:
    async with serving(controller, socket):
        with pytest.raises(NotFoundError, match="no instance i9"):
            await ControlClient(socket).call("stop", IdParams(id="i9"), Done)


async def test_no_daemon(socket: Path) -> None:
    with pytest.raises(ControlUnreachableError, match=r"control\.sock"):
        await ControlClient(socket).call("snapshot", None, Snapshot)


async def test_a_daemon_that_says_nothing(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    path = tmp_path / "mute.sock"
    async with await asyncio.start_unix_server(mute, str(path)):
        with pytest.raises(ControlUnreachableError, match="does not answer"):
            await ControlClient(path, timeout_s=0.05).call("snapshot", None, Snapshot)
        await ended.wait()


async def test_a_daemon_of_another_version(tmp_path: Path) -> None:
    async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"house": 1}}).encode() + b"\n")
        writer.close()

    path = tmp_path / "strange.sock"
    async with await asyncio.start_unix_server(strange, str(path)):
        with pytest.raises(UnavailableError, match="differ in version"):
            await ControlClient(path).call("snapshot", None, Snapshot)


async def test_watch_yields_until_the_daemon_goes(controller: Any, socket: Path, serving: Any) -> None:
    watch = ControlClient(socket).watch()
    async with serving(controller, socket):
        assert (await anext(watch)).box.name == "edge-7"
        controller.name = "edge-8"
        controller.changed.set()
        assert (await anext(watch)).box.name == "edge-8"
    with pytest.raises(ControlUnreachableError, match="hung up"):
        async for _ in watch:
            pass
