"""A box that drains goes on with who is there; nobody new is led to it, by whichever door."""

from pathlib import Path

import pytest

from appliance.gateway.tokens import Principal
from tests.support.gateway import FakeAgent, FakeStreamer, serving, street, until

pytestmark = pytest.mark.integration


async def test_no_door_leads_to_a_box_that_drains(tmp_path: Path) -> None:
    async with street(tmp_path) as here:
        closing, open_one = FakeAgent(here.bus, id="box1"), FakeAgent(here.bus, id="box2", slots=1)
        async with serving(closing, open_one):
            token = await here.token()
            _, made = await here.api("POST", "/1.0/sessions", token, json={"app": "demo"})
            session = made["metadata"]["id"]
            path = f"/1.0/sessions/{session}"
            _, shared = await here.api("POST", f"{path}/share", token, json={"type": "view"})
            link = shared["metadata"]["url"].removeprefix(here.base)
            assert (await here.api("GET", link))[0] == 200

            here.gateway.drain(closed=True)
            closing.draining, closing.slots = True, 0
            await closing.announce()

            async def refused() -> bool:
                status, answer = await here.api("POST", f"{path}/join", token)
                return status == 503 and "drained" in answer["error"]

            await until(refused)
            assert (await here.api("GET", link))[0] == 503
            watch = f"/fanlight/sessions/{session}/watch"
            pin, _ = await here.gateway.new_pin()
            assert (await here.api("POST", "/fanlight/pair", json={"pin": pin, "name": "phone"}))[0] == 200
            assert (await here.api("POST", watch))[0] == 503
            (device,) = await here.gateway.devices()
            there = Principal("device", device.id, device.name, device.role).new_peer()

            async def comes_back() -> bool:
                await FakeStreamer(here.bus, session).tell_viewers(there)
                return (await here.api("POST", watch))[0] == 200

            await until(comes_back)
            assert (await here.api("GET", "/readyz"))[0] == 503
            assert (await here.api("GET", "/healthz"))[0] == 200
            assert (await here.api("GET", path, token))[1]["metadata"]["status"] == "created"
            status, _ = await here.api("POST", "/1.0/sessions", token, json={"app": "demo"})
            assert (status, len(closing.launched), len(open_one.launched)) == (201, 1, 1)
            async with here.http.get(f"{here.base}/metrics") as metrics:
                text = await metrics.text()
            assert "fanlight_draining 1.0" in text
            assert 'fanlight_gateway_refused_total{reason="draining"}' in text
