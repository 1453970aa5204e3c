"""The bus on a real nats-server: it comes back where it was, with all it knew."""

import asyncio
import errno
import os
import signal
import socket
import struct
from pathlib import Path

import pytest
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from appliance.bus.connection import BusAddress, connect
from appliance.bus.link import BusLink
from appliance.bus.messages import Done, Message, StopRequest
from appliance.bus.server import EmbeddedServer, Listen
from appliance.bus.state import Bucket
from appliance.errors import (
    ConflictError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
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


async def test_state_survives_a_new_server_in_the_same_directory(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        await (await Bucket.open(bus, "notes", Note)).put("a", Note(text="kept"))
        address = server.address
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        assert server.address == address
        assert (await (await Bucket.open(bus, "notes", Note)).get("a")).text == "kept"


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


async def test_a_stranger_without_the_password_is_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.bus.connection._CONNECT_SECONDS", 1)
    async with nats_server(tmp_path) as server:
        with pytest.raises(UnavailableError, match="Authorization"):
            async with connect(BusAddress(server.address.url, "fanlight", "guess"), name="stranger"):
                pass
        assert (tmp_path / "bus" / "password").stat().st_mode & 0o777 == 0o600


async def test_the_reason_of_a_refusal_outlives_a_reset_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.bus.connection._CONNECT_SECONDS", 1)
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


async def test_a_listing_is_never_out_of_date(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        reader, writer = [await Bucket.open(bus, "notes", Note) for _ in range(2)]

        async def texts() -> dict[str, str]:
            return {key: note.text async for key, note in reader.items()}

        assert await texts() == {}
        await writer.create("a", Note(text="one"))
        assert await texts() == {"a": "one"}
        await writer.put("a", Note(text="two"))
        assert await texts() == {"a": "two"}
        await writer.delete("a")
        assert await texts() == {}
        await writer.put("a", Note(text="three"))
        assert await texts() == {"a": "three"}


async def test_a_listing_of_what_has_not_changed_is_one_question(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        await bucket.put("a", Note(text="kept"))
        first = [note async for _, note in bucket.items()]
        before = bus.client.stats["out_msgs"]
        assert [note async for _, note in bucket.items()] == first == [Note(text="kept")]
        assert bus.client.stats["out_msgs"] == before + 1


async def test_a_listing_parses_only_what_has_changed(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        for key in "ab":
            await bucket.put(key, Note(text="one"))
        before = {key: note async for key, note in bucket.items()}
        await bucket.put("b", Note(text="two"))
        after = {key: note async for key, note in bucket.items()}
        assert after == {"a": Note(text="one"), "b": Note(text="two")}
        assert after["a"] is before["a"]


async def test_a_listing_that_stays_incomplete_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        await bucket.put("a", Note(text="kept"))

        async def nothing(*_: int) -> dict[str, bytes]:
            return {}

        with monkeypatch.context() as patched:
            patched.setattr(bucket, "_read_newer", nothing)
            with pytest.raises(UnavailableError, match="not all"):
                assert [key async for key, _ in bucket.items()]
        assert [key async for key, _ in bucket.items()] == ["a"]


async def test_only_what_has_changed_is_read(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        for key in "abc":
            await bucket.put(key, Note(text="one"))
        assert [key async for key, _ in bucket.items()] == ["a", "b", "c"]
        await bucket.delete("a")
        await bucket.put("d", Note(text="one"))
        for text in ("two", "three"):
            await bucket.put("b", Note(text=text))
        before = bus.client.stats["out_msgs"]
        found = {key: note.text async for key, note in bucket.items()}
        assert found == {"b": "three", "c": "one", "d": "one"}
        assert bus.client.stats["out_msgs"] == before + 4  # the number of changes, two of them, the keys
        await bucket.delete("c")
        await bucket.delete("d")
        await bucket.put("c", Note(text="again"))
        assert {key: note.text async for key, note in bucket.items()} == {"b": "three", "c": "again"}


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


async def test_buckets_keep_what_concurrent_writers_change(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        await bucket.create("a", Note(text="one"))
        with pytest.raises(ConflictError):
            await bucket.create("a", Note(text="two"))
        add = lambda old: old.model_copy(update={"count": old.count + 1})  # noqa: E731
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(bucket.update("a", add))
        assert (await bucket.get("a")).count == 4


async def test_a_deleted_key_leaves_nothing_and_can_be_made_again(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        await bucket.create("a", Note(text="one"))
        await bucket.delete("a")
        await bucket.delete("a")
        with pytest.raises(NotFoundError):
            await bucket.get("a")
        assert [key async for key, _ in bucket.items()] == []
        with pytest.raises(NotFoundError):
            await bucket.update("a", lambda old: old)
        await bucket.create("a", Note(text="two"))
        assert (await bucket.get("a")).text == "two"


async def test_what_a_server_denies_that_has_just_come_to_lead_is_deleted_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        await bucket.create("a", Note(text="one"))
        read, denials = bucket._store.get, [KeyNotFoundError]

        async def behind(key: str) -> KeyValue.Entry:
            if denials:
                raise denials.pop()
            return await read(key)

        monkeypatch.setattr(bucket._store, "get", behind)
        assert await bucket.delete("a")
        with pytest.raises(NotFoundError):
            await bucket.get("a")


async def test_what_somebody_else_has_changed_is_not_deleted(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        await bucket.create("a", seen := Note(text="one"))
        await bucket.delete("a")
        await bucket.create("a", new := Note(text="two"))
        assert not await bucket.delete("a", only=seen)
        assert await bucket.get("a") == new
        assert await bucket.delete("a", only=new)
        assert await bucket.delete("a", only=new)  # there is none any more


async def test_listing_while_others_delete_never_hangs(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)

        async def churn() -> None:
            for number in range(150):
                await bucket.put(f"n{number}", Note(text="brief"))
                await bucket.delete(f"n{number}")

        async with asyncio.TaskGroup() as group:
            churning = group.create_task(churn())
            while not churning.done():
                assert all([key.startswith("n") async for key, _ in bucket.items()])
        assert [key async for key, _ in bucket.items()] == []


@pytest.mark.parametrize("key", ["", "*", ">", "a.*", "a b", "c25k:8", ".a", "a.", "a..b", "../x"])
async def test_hostile_keys_are_nobodys(tmp_path: Path, key: str) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        await bucket.put("a", Note(text="kept"))
        with pytest.raises(NotFoundError):
            await bucket.get(key)
        with pytest.raises(InvalidInputError):
            await bucket.put(key, Note(text="bad"))
        await bucket.delete(key)
        assert [name async for name, _ in bucket.items()] == ["a"]


async def test_an_unreadable_entry_hides_no_others(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        await bucket.put("a", Note(text="kept"))
        await bus.client.jetstream().publish("$KV.notes.b", b'{"text": 3}')
        assert [key async for key, _ in bucket.items()] == ["a"]
        with pytest.raises(UnavailableError, match="notes/b"):
            await bucket.get("b")


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
