"""Mail in the memory of a server of our own."""

import asyncio
from pathlib import Path

import pytest
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
