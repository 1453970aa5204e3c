"""State on three nats-servers, each of which dies once."""

import asyncio
from pathlib import Path

import pytest
from pydantic import BaseModel

from appliance.bus.connection import BusAddress, connect
from appliance.bus.mail import Mail
from appliance.bus.state import Bucket
from appliance.errors import UnavailableError
from tests.support.fleet import cluster, in_step

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


class Note(BaseModel):
    text: str
    count: int = 0


async def test_what_is_deleted_takes_nothing_along_when_servers_die(tmp_path: Path) -> None:
    async with cluster(tmp_path) as servers, connect(BusAddress(servers.url), name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        await bucket.create("kept", Note(text="kept"))

        async def churn(name: str) -> None:
            for number in range(80):
                await bucket.create(f"{name}-{number}", Note(text="brief"))
                await bucket.delete(f"{name}-{number}")

        for index in range(3):
            await asyncio.gather(*(churn(f"{index}-{each}") for each in range(4)))
            await servers.kill(index)
            await servers.restart(index)
            await in_step(bus, "notes")
            assert [(key, note.text) async for key, note in bucket.items()] == [("kept", "kept")]


async def test_of_what_several_change_at_once_nothing_is_lost(tmp_path: Path) -> None:
    async with cluster(tmp_path) as servers, connect(BusAddress(servers.url), name="test") as bus:
        bucket = await Bucket.open(bus, "notes", Note)
        await bucket.create("a", Note(text="one"))

        async def count() -> None:
            for _ in range(5):
                await bucket.update("a", lambda old: old.model_copy(update={"count": old.count + 1}))

        await asyncio.gather(*(count() for _ in range(4)))
        assert (await bucket.get("a")).count == 20


async def test_a_reader_notices_that_its_server_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.bus.mail._QUIET_SECONDS", 0.5)
    async with cluster(tmp_path) as servers:
        victim = 2
        async with connect(BusAddress(servers.one(victim)), name="first") as there:
            mail = Mail(there, "mail", "mail.>", Note, max_age_s=60, replicas=3)
            await mail.post("mail.a", Note(text="waits"))
        async with connect(BusAddress(servers.one(0)), name="test") as bus:
            mail = Mail(bus, "mail", "mail.>", Note, max_age_s=60, replicas=3)
            for _ in range(60):  # until a reader's place is kept by the server that dies
                async with mail.read("mail.a") as letters:
                    assert (await anext(letters)).content == Note(text="waits")
                    context = bus.client.jetstream()
                    consumers = await context.consumers_info("mail")
                    if not any(each.cluster and each.cluster.leader == f"n{victim}" for each in consumers):
                        continue
                    await servers.kill(victim)
                    with pytest.raises(UnavailableError):
                        await asyncio.wait_for(anext(letters), 20)
                    return
            pytest.fail("no reader was ever kept by the server that dies")
