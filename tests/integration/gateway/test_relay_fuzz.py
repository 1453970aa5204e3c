"""The gateway relays what it does not read: any text arrives as it was, and nothing of it stays."""

import gc
from pathlib import Path

import psutil
import pytest

from appliance.bus.messages import Done
from appliance.bus.peer_messages import PeerEvent
from tests.support.gateway import FakeAgent, FakeStreamer, serving, settings, street
from tests.support.signals import corpus

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

GROWTH_BYTES = 8 << 20


class Echo(FakeStreamer):
    """Says every message again, and remembers none."""

    async def _heard(self, event: PeerEvent) -> Done:
        if event.kind == "message":
            await self.say(event.peer, f"again {event.text}")
        return Done()


async def test_any_text_goes_through_unchanged_and_nothing_stays(tmp_path: Path) -> None:
    texts = corpus()
    process = psutil.Process()
    config = settings(limits={"requests_per_second": 100_000})
    async with street(tmp_path, config) as here, serving(agent := FakeAgent(here.bus)):
        session, token = await agent.ask_for_session(), await here.token()
        async with serving(Echo(here.bus, session)):
            path = f"/1.0/sessions/{session}/join"
            url = (await here.api("POST", path, token))[1]["metadata"]["url"]
            async with here.http.ws_connect(url) as ws:
                before = 0
                for number, text in enumerate([*texts[: len(texts) // 5], *texts]):
                    await ws.send_str(text)
                    assert await ws.receive_str(timeout=10) == f"again {text}"
                    if number == len(texts) // 5:
                        gc.collect()
                        before = process.memory_info().rss
            gc.collect()
            assert process.memory_info().rss - before < GROWTH_BYTES
            assert (await here.api("POST", path, token))[0] == 200
