"""Any text, through a gateway to a streamer that encodes: both live on, and nothing of it stays."""

import asyncio
import gc
import json
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiortc.mediastreams import MediaStreamTrack

from appliance.bus.messages import Role
from tests.support import room
from tests.support.gateway import FakeAgent, Street, serving, settings, street
from tests.support.signals import WHOLE, corpus
from tests.support.viewer import viewer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

CASES = 2000
GROWTH_BYTES = 12 << 20
UNKNOWN, UNKNOWN_REASON = '{"type": "settings", "api_version": 77}', "api_version: 77 is not served"


class Client:
    """A client of the Anbox dialect that says anything; a socket that was closed is opened again."""

    def __init__(self, here: Street, session: str, token: str) -> None:
        self._here = here
        self._path = f"/1.0/sessions/{session}/join"
        self._token = token
        self.sockets = 0

    async def open(self) -> aiohttp.ClientWebSocketResponse:
        status, answer = await self._here.api("POST", self._path, self._token)
        assert status == 200, answer
        self.sockets += 1
        return await self._here.http.ws_connect(answer["metadata"]["url"])

    async def say_all(self, texts: list[str]) -> None:
        """Each is dealt with before the next one is said."""
        ws = await self.open()
        for text in texts:
            await ws.send_str(text)
            await ws.send_str(UNKNOWN)
            if not await _dealt_with(ws):
                ws = await self.open()
        await ws.close()


async def _dealt_with(ws: aiohttp.ClientWebSocketResponse) -> bool:
    """Whether what was said last has its answer; False where the socket was closed instead."""
    async with asyncio.timeout(20):
        async for message in ws:
            if UNKNOWN_REASON in json.loads(message.data).get("message", ""):
                return True
    return False


async def _plays(link: str) -> None:
    """A viewer decodes the picture."""
    tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    async with viewer(link) as peer, asyncio.timeout(30):
        for each in peer.getReceivers():
            tracks.put_nowait(each.track)
        while (track := await tracks.get()).kind != "video":
            pass
        await track.recv()


async def test_a_gateway_and_a_streamer_outlive_all_that_a_client_may_say(tmp_path: Path) -> None:
    texts = corpus(CASES)
    config = settings(limits={"requests_per_second": 100_000})
    async with street(tmp_path, config) as here, serving(agent := FakeAgent(here.bus)):
        session, token = await agent.ask_for_session(), await here.token()
        spec = room.specification(here.server.address, session=session, instance="i-desktop")
        async with room.process(spec) as streamer:
            client = Client(here, session, token)
            processes = psutil.Process(), psutil.Process(streamer.pid)

            def held() -> list[int]:
                gc.collect()
                return [each.memory_info().rss for each in processes]

            await client.say_all([*map(json.dumps, WHOLE), *texts[: len(texts) // 4]])
            before = held()
            await client.say_all(texts)
            growth = [after - then for then, after in zip(before, held(), strict=True)]
            assert max(growth) < GROWTH_BYTES, growth
            assert streamer.returncode is None
            await _plays((await here.gateway.share(session, Role.VIEW, 600)).url)
