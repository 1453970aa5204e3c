"""State on a real nats-server: what is written, changed, deleted and listed by several at once."""

import asyncio
from pathlib import Path

import pytest
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from appliance.bus.connection import connect
from appliance.bus.messages import Message
from appliance.bus.state import Bucket
from appliance.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from tests.support.gateway import nats_server

pytestmark = pytest.mark.integration


class Note(Message):
    """Something to remember."""

    text: str
    count: int = 0


async def test_state_survives_a_new_server_in_the_same_directory(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        await (await Bucket.open(bus, "notes", Note)).put("a", Note(text="kept"))
        address = server.address
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        assert server.address == address
        assert (await (await Bucket.open(bus, "notes", Note)).get("a")).text == "kept"


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
