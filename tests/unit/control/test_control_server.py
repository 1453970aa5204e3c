"""The control socket: its file, its callers, its protocol, its stream."""

import asyncio
import json
import os
import socket as sockets
import stat
from pathlib import Path
from typing import Any

import pytest

from appliance.control import access, server
from appliance.control.access import Door, Peer
from appliance.control.schema import LogRecord, Logs
from appliance.control.server import LINE_BYTES
from appliance.errors import ConfigError, ConflictError

pytestmark = pytest.mark.unit


async def _ask(path: Path, *lines: bytes, answers: int | None = None) -> list[dict[str, Any]]:
    """Send raw lines; read as many answers, or to the end."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(b"".join(lines))
        if answers is None:
            return [json.loads(line) for line in (await reader.read()).splitlines()]
        return [json.loads(await reader.readline()) for _ in range(answers)]
    finally:
        writer.close()
        await writer.wait_closed()


def _call(method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode() + b"\n"


async def test_the_file_is_0660_and_goes_at_the_end(controller: Any, socket: Path, serving: Any) -> None:
    async with serving(controller, socket):
        assert stat.S_IMODE(socket.stat().st_mode) == 0o660
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o750
    assert not socket.exists()


async def test_a_stale_socket_is_replaced(controller: Any, socket: Path, serving: Any) -> None:
    socket.parent.mkdir()
    with sockets.socket(sockets.AF_UNIX) as dead:
        dead.bind(str(socket))
    async with serving(controller, socket):
        (answer,) = await _ask(socket, _call("snapshot"), answers=1)
        assert answer["result"]["box"]["name"] == "edge-7"


async def test_a_second_daemon_is_told_of_the_first(controller: Any, socket: Path, serving: Any) -> None:
    async with serving(controller, socket):
        with pytest.raises(ConflictError, match="another daemon"):
            await asyncio.to_thread(Door.open, socket)
        assert socket.exists()


def test_a_file_that_is_no_socket_is_left_alone(socket: Path) -> None:
    socket.parent.mkdir()
    socket.write_text("precious")
    with pytest.raises(ConflictError, match="not a socket"):
        Door.open(socket)
    assert socket.read_text() == "precious"


def test_a_folder_of_a_stranger_is_refused(socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket.parent.mkdir()
    monkeypatch.setattr(access.os, "geteuid", lambda: os.getuid() + 1)
    if socket.parent.stat().st_uid == 0:
        os.chown(socket.parent, 12345, -1)
    with pytest.raises(ConfigError, match="belongs to uid"):
        Door.open(socket)


def test_who_is_admitted(socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access.os, "geteuid", lambda: 1000)
    with sockets.socket(sockets.AF_UNIX) as listener:
        door, groupless = Door(socket, listener, 0, 990), Door(socket, listener, 0, None)
    assert door.admits(Peer(1, 0, frozenset({0})))
    assert door.admits(Peer(1, 1000, frozenset({1000})))
    assert door.admits(Peer(1, 1001, frozenset({1001, 990})))
    assert not door.admits(Peer(1, 1001, frozenset({1001})))
    assert not groupless.admits(Peer(1, 1001, frozenset({1001, 990})))


def test_the_kernel_vouches_for_the_peer() -> None:
    here, there = sockets.socketpair(sockets.AF_UNIX)
    with here, there:
        peer = Peer.of(here)
    assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())
    assert {os.getegid(), *os.getgroups()} <= peer.groups


async def test_a_stranger_is_refused(
    controller: Any, socket: Path, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Door, "admits", lambda *_: False)
    async with serving(controller, socket):
        (answer,) = await _ask(socket, _call("stop", id="i1"))
    assert answer["error"]["data"]["code"] == "refused"
    assert answer["id"] is None
    assert controller.asked == []


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (b"{nonsense\n", -32700),
        (b"\xff\xfe\n", -32700),
        (b"[" * 100_000 + b"\n", -32700),
        (b"[]\n", -32600),
        (b"12\n", -32600),
        (b'{"jsonrpc":"1.0","id":7,"method":"snapshot"}\n', -32600),
        (b'{"jsonrpc":"2.0","id":7,"method":"snapshot","params":[1]}\n', -32600),
        (b'{"jsonrpc":"2.0","id":7,"method":"destroy"}\n', -32601),
        (b'{"jsonrpc":"2.0","id":7,"method":"stop"}\n', -32602),
        (b'{"jsonrpc":"2.0","id":7,"method":"launch","params":{"application":"a","fps":9000}}\n', -32602),
    ],
)
async def test_bad_input_is_answered_and_the_next_call_works(
    controller: Any, socket: Path, serving: Any, line: bytes, number: int
) -> None:
    async with serving(controller, socket):
        bad, good = await _ask(socket, line, _call("snapshot"), answers=2)
    assert bad["error"]["code"] == number
    assert bad["error"]["data"]["code"] == "invalid"
    assert good["id"] == 7
    assert good["result"]["box"]["id"] == "b1"


async def test_an_error_keeps_its_code(controller: Any, socket: Path, serving: Any) -> None:
    async with serving(controller, socket):
        gone, broken = await _ask(socket, _call("stop", id="i9"), _call("stop", id="broken"), answers=2)
    assert gone["error"]["data"]["code"] == "not_found"
    assert gone["error"]["message"] == "no instance i9"
    assert broken["error"]["data"]["code"] == "internal"
    assert "ZeroDivision" not in broken["error"]["message"]


async def test_a_notification_is_done_and_not_answered(controller: Any, socket: Path, serving: Any) -> None:
    silent = b'{"jsonrpc":"2.0","method":"stop","params":{"id":"i1"}}\n'
    async with serving(controller, socket):
        (answer,) = await _ask(socket, silent, _call("snapshot"), answers=1)
    assert answer["id"] == 7
    assert controller.asked == [("stop", "i1")]


async def test_a_line_too_long_ends_the_connection(controller: Any, socket: Path, serving: Any) -> None:
    async with serving(controller, socket):
        reader, writer = await asyncio.open_unix_connection(str(socket))
        writer.write(b"x" * (LINE_BYTES + 2))
        answer = json.loads(await reader.readline())
        writer.close()
    assert answer["error"]["data"]["code"] == "invalid"


async def test_http_is_refused_with_whatever_its_body_says(
    controller: Any, socket: Path, serving: Any
) -> None:
    request = b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + _call("stop", id="i1")
    async with serving(controller, socket):
        (answer,) = await _ask(socket, request)
    assert answer["error"]["data"]["code"] == "refused"
    assert controller.asked == []


async def test_watch_pushes_on_change(
    controller: Any, socket: Path, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_PERIOD_SECONDS", 3600)
    async with serving(controller, socket):
        reader, writer = await asyncio.open_unix_connection(str(socket))
        writer.write(_call("watch"))
        first = json.loads(await reader.readline())
        assert first["result"]["box"]["name"] == "edge-7"
        controller.name = "edge-8"
        controller.changed.set()
        pushed = json.loads(await reader.readline())
        assert pushed["method"] == "snapshot"
        assert pushed["params"]["box"]["name"] == "edge-8"
        writer.close()


async def test_watch_pushes_by_the_clock(controller: Any, socket: Path, serving: Any) -> None:
    loop = asyncio.get_running_loop()
    async with serving(controller, socket):
        reader, writer = await asyncio.open_unix_connection(str(socket))
        began = loop.time()
        writer.write(_call("watch"))
        await reader.readline()
        assert json.loads(await reader.readline())["method"] == "snapshot"
        assert 0.4 < loop.time() - began < 3
        writer.close()


async def test_a_burst_of_changes_is_few_pushes(controller: Any, socket: Path, serving: Any) -> None:
    async with serving(controller, socket):
        reader, writer = await asyncio.open_unix_connection(str(socket))
        writer.write(_call("watch"))
        await reader.readline()
        for number in range(50):
            controller.name = f"n{number}"
            controller.changed.set()
            await asyncio.sleep(0)
        pushed = 0
        while json.loads(await reader.readline())["params"]["box"]["name"] != "n49":
            pushed += 1
        assert pushed <= 1
        writer.close()


async def test_a_listener_that_does_not_read_is_disconnected(
    controller: Any, socket: Path, serving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    controller.padding = "x" * 200_000
    async with serving(controller, socket):
        with sockets.socket(sockets.AF_UNIX) as deaf:
            deaf.connect(str(socket))
            deaf.sendall(_call("watch"))
            async with asyncio.timeout(15):
                while "does not read" not in caplog.text:
                    controller.changed.set()
                    await asyncio.sleep(0.02)
        controller.padding = ""
        (answer,) = await _ask(socket, _call("snapshot"), answers=1)
    assert answer["result"]


async def test_what_cannot_be_written_as_json_is_an_answer_and_no_end(
    controller: Any, socket: Path, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = LogRecord(seq=1, time=0, level="INFO", name="x", text="y").model_copy(update={"text": "\ud800"})
    monkeypatch.setattr(controller, "logs", lambda _: Logs.model_construct(records=[record]))
    async with serving(controller, socket):
        (fault,) = await _ask(socket, _call("logs", after=0), answers=1)
        assert fault["error"]["message"].startswith("internal error")
        (answer,) = await _ask(socket, _call("snapshot"), answers=1)
        assert answer["result"]["box"]["name"] == "edge-7"
