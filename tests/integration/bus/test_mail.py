"""Mail in the memory of a server of our own."""

import asyncio
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from pydantic import BaseModel

from appliance.bus.connection import connect
from appliance.bus.mail import Mail
from tests.support.gateway import nats_server

pytestmark = pytest.mark.integration


class Note(BaseModel):
    text: str


async def test_who_writes_the_first_letters_at_once_makes_one_place_for_them(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        mail = Mail(bus, "mail", "mail.>", Note, max_age_s=60)
        numbers = await asyncio.gather(*(mail.post("mail.a", Note(text=str(each))) for each in range(8)))
        assert sorted(numbers) == [*range(1, 9)]


async def test_a_letter_that_is_posted_again_is_one(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        mail = Mail(bus, "mail", "mail.>", Note, max_age_s=60)
        first = await mail.post("mail.a", Note(text="one"), once="x")
        assert await mail.post("mail.a", Note(text="one"), once="x") == first
        await mail.post("mail.a", Note(text="two"), once="y")
        async with mail.read("mail.a") as letters:
            assert [(await anext(letters)).content.text for _ in range(2)] == ["one", "two"]


async def test_a_reader_ends_that_is_cancelled_in_the_moment_in_which_a_letter_comes(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server, connect(server.address, name="test") as bus:
        mail = Mail(bus, "mail", "mail.>", Note, max_age_s=60)

        async def read(first: asyncio.Event) -> None:
            async with mail.read("mail.a") as letters:
                async for _ in letters:
                    first.set()

        await mail.post("mail.a", Note(text="first"))
        async with asyncio.TaskGroup() as group:
            for turns in range(6):
                first = asyncio.Event()
                reading = group.create_task(read(first))
                await first.wait()
                await asyncio.sleep(0)  # it waits for the next letter
                (waiting,) = (each for each in bus.client._subs.values() if each._pending_next_msgs_calls)
                waiting._pending_queue.put_nowait(Msg(bus.client, "mail.a", "", b"{}"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                reading.cancel()
                done, _ = await asyncio.wait((reading,), timeout=2)
                assert done, f"{turns} turns of the loop after the letter"
