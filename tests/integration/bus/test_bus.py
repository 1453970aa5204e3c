"""The bus on a real nats-server: it comes back where it was, with all it knew."""

import asyncio
import errno
import os
import signal
import socket
import struct
from pathlib import Path

import pytest

from appliance.bus.connection import BusAddress, connect
from appliance.bus.link import BusLink
from appliance.bus.messages import Done, Message, StopRequest
from appliance.bus.server import EmbeddedServer, Listen
from appliance.bus.state import Bucket
from appliance.errors import (
    InvalidInputError,
    LimitExceededError,
    UnavailableError,
)
from appliance.gateway import certificates
from tests.support.gateway import nats_server, serving, until

pytestmark = pytest.mark.integration


class Nonsense(Message):
    """Looks like a StopRequest from afar."""

    reason: int = 7


class Note(Message):
    """Something to remember."""

    text: str
    count: int = 0


async def test_a_server_with_somebody_s_certificate_is_reached_by_its_own_gateway(tmp_path: Path) -> None:
    ca = certificates.new_ca("authority")
    leaf = certificates.new_leaf(ca, "gateway", ["gateway.example.org"])
    (tmp_path / "cert.pem").write_bytes(leaf.certificate_pem)
    (tmp_path / "key.pem").write_bytes(leaf.key_pem)
    server = EmbeddedServer(tmp_path, Listen("127.0.0.1", 0, tmp_path / "cert.pem", tmp_path / "key.pem"))
    async with serving(server), connect(server.address, name="gateway") as bus:
        assert bus.connected


async def test_a_killed_server_comes_back_on_the_same_port_with_its_state(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        await bucket.put("a", Note(text="kept"))
        before, address = server.pid, server.address
        assert before
        os.kill(before, signal.SIGKILL)
        assert await asyncio.wait_for(bus.reconnected(1), 10) == 2
        assert server.pid != before
        assert server.address == address
        assert (await bucket.get("a")).text == "kept"
        await bucket.put("b", Note(text="new"))
        assert {key async for key, _ in bucket.items()} == {"a", "b"}


async def test_calls_made_right_after_the_kill_wait_for_the_server(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        await bucket.put("a", Note(text="kept"))
        os.kill(server.pid or 0, signal.SIGKILL)
        await until(lambda: not bus.connected)
        assert (await bucket.get("a")).text == "kept"


async def test_a_port_that_another_program_took_is_given_up_at_the_start(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server:
        before = server.address
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(before.url.rpartition(":")[2])))
        other.listen()
        async with nats_server(tmp_path) as server, connect(server.address, name="test"):
            assert server.address != before


@pytest.mark.parametrize("name", ["port", "password"])
async def test_a_file_that_a_full_disk_left_empty_is_made_anew(tmp_path: Path, name: str) -> None:
    (tmp_path / "bus").mkdir()
    (tmp_path / "bus" / name).touch()
    async with nats_server(tmp_path) as server, connect(server.address, name="test"):
        assert len(server.address.password) > 30
        assert (tmp_path / "bus" / name).read_text()


async def test_a_full_disk_is_no_trouble_for_a_server_that_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        monkeypatch.setattr("appliance.bus.server.write_atomic", full)
        os.kill(server.pid or 0, signal.SIGKILL)
        assert await asyncio.wait_for(bus.reconnected(1), 10) == 2


async def test_a_call_during_an_outage_says_that_the_bus_is_away(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server:
        address = server.address
        async with connect(address, name="test") as bus:
            bucket = await Bucket.open(bus, "notes", Note)
            os.kill(server.pid or 0, signal.SIGSTOP)
            await until(lambda: _stopped(server.pid or 0))
            try:
                with pytest.raises(UnavailableError):
                    await bucket.get("a")
            finally:
                os.kill(server.pid or 0, signal.SIGCONT)


def _stopped(pid: int) -> bool:
    states = [task.joinpath("stat").read_text().rpartition(")")[2].split()[0] for task in _tasks(pid)]
    return set(states) == {"T"}


def _tasks(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())


async def test_the_server_of_a_box_alone_has_one_thread_for_its_work(tmp_path: Path) -> None:
    async def environment(server: EmbeddedServer) -> str:
        started = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(started))
            await started.wait()
            found = await asyncio.to_thread(Path(f"/proc/{server.pid}/environ").read_bytes)
            serving.cancel()
        return found.decode()

    assert "GOMAXPROCS=1\0" in await environment(EmbeddedServer(tmp_path / "box"))
    assert "GOMAXPROCS" not in await environment(EmbeddedServer(tmp_path / "boxes", Listen("127.0.0.1", 0)))


async def test_a_stranger_without_the_password_is_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.bus.connection._CONNECT_SECONDS", 3)
    async with nats_server(tmp_path) as server:
        with pytest.raises(UnavailableError, match="Authorization"):
            async with connect(BusAddress(server.address.url, "fanlight", "guess"), name="stranger"):
                pass
        assert (tmp_path / "bus" / "password").stat().st_mode & 0o777 == 0o600


async def test_the_reason_of_a_refusal_outlives_a_reset_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.bus.connection._CONNECT_SECONDS", 3)
    calls = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.write(b'INFO {"server_id":"x","version":"2.9.0","max_payload":1000,"auth_required":true}\r\n')
        while b"PING" not in await reader.readline():
            continue
        if calls == 1:
            writer.write(b"-ERR 'Authorization Violation'\r\n")
            await writer.drain()
            writer.close()
        else:
            reset = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            writer.transport.abort()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UnavailableError, match="Authorization"):
            async with connect(BusAddress(f"nats://127.0.0.1:{port}", "fanlight", "guess"), name="stranger"):
                pass
    assert calls > 1


async def test_requests_carry_answers_and_errors(tmp_path: Path) -> None:
    async def answer(request: StopRequest) -> Done:
        if request.reason == "full":
            raise LimitExceededError("too many")
        if request.reason == "bug":
            raise ZeroDivisionError
        return Done()

    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        started = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bus.serve("desk", StopRequest, answer, started=started))
            await started.wait()
            assert await bus.request("desk", StopRequest(), Done) == Done()
            with pytest.raises(LimitExceededError, match="too many"):
                await bus.request("desk", StopRequest(reason="full"), Done)
            with pytest.raises(Exception, match="internal error"):
                await bus.request("desk", StopRequest(reason="bug"), Done)
            await bus.client.publish("desk", b"not json")
            with pytest.raises(InvalidInputError):
                await bus.request("desk", Nonsense(), Done)
            with pytest.raises(UnavailableError, match="nobody"):
                await bus.request("nobody", StopRequest(), Done)
            task.cancel()


async def test_who_serves_is_done_once_the_connection_is_closed(tmp_path: Path) -> None:
    async def answer(_: StopRequest) -> Done:
        return Done()

    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        started = asyncio.Event()
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(bus.serve("desk", StopRequest, answer, started=started))
            await started.wait()
            assert await bus.request("desk", StopRequest(), Done) == Done()
            await bus.client.close()


async def test_one_of_a_queue_group_answers(tmp_path: Path) -> None:
    answered: list[str] = []

    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:

        async def answer(_: StopRequest) -> Done:
            answered.append("x")
            return Done()

        async with asyncio.TaskGroup() as group:
            ready = [asyncio.Event(), asyncio.Event()]
            tasks = [
                group.create_task(bus.serve("desk", StopRequest, answer, queue="q", started=each))
                for each in ready
            ]
            for each in ready:
                await each.wait()
            for _ in range(5):
                await bus.request("desk", StopRequest(), Done)
            for task in tasks:
                task.cancel()
    assert len(answered) == 5


async def test_a_server_that_refuses_us_for_good_ends_the_link(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server:
        link = BusLink(lambda: server.address, "test")
        started = asyncio.Event()

        async def refuse() -> None:
            await started.wait()
            # nats-py acts upon most errors by closing the client, and never opens it again.
            await link().client._process_err("'User Authentication Expired'")

        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(refuse())
            with pytest.raises(UnavailableError, match="User Authentication Expired"):
                await link.serve(started)
