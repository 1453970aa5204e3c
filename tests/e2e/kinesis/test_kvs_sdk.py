"""AWS's own SDK as viewer and as master, in Chromium and in Node, direct and through a relay."""

import asyncio

import pytest

from tests.e2e.kinesis.clients import TONE, Stage, hears, plays
from tests.support.sound_server import pitch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

POLICIES = pytest.mark.parametrize("policy", ["all", "relay"])


@POLICIES
@pytest.mark.parametrize("kind", ["chromium", "node"])
async def test_the_sdk_watches_an_instance_hears_it_is_heard_and_steers_it(
    stage: Stage, kind: str, policy: str
) -> None:
    client = await stage.client(kind)
    await client.call("view", await stage.doors.channel("pattern", "VIEWER", policy), "v1")
    shown = await plays(client, "v1")
    assert shown["width"] == 320
    assert policy == "all" or shown["way"] == "relay"
    await hears(client, "v1")
    async with asyncio.timeout(10):
        while not (roles := await client.call("told", "v1", "fanlight::role")):
            await asyncio.sleep(0.05)
    assert [each["role"] for each in roles] == ["control"]
    await client.call("say", "v1", "fanlight::ping", {"t": 7})
    async with asyncio.timeout(5):
        while [each["t"] for each in await client.call("told", "v1", "fanlight::pong")] != [7]:
            await asyncio.sleep(0.05)
    source = f"fanlight_{(await stage.instance())['id']}"
    await stage.sound.until_source(source)
    assert abs(pitch((await stage.sound.record(source, 1.5))[48000:]) - TONE) < 4
    found = await stage.box.until("s['instances'][0]['stats']['viewers']")
    (viewer,) = found["instances"][0]["stats"]["viewers"]
    assert (viewer["dialect"], viewer["label"]) == ("kinesis", "sdk v1")
    await client.call("leave", "v1")
    async with asyncio.timeout(10):
        while await stage.viewers():
            await asyncio.sleep(0.1)


@POLICIES
@pytest.mark.parametrize("viewing", ["chromium", "node"])
@pytest.mark.parametrize("serving", ["chromium", "node"])
async def test_the_sdk_is_master_to_a_viewer_that_came_before_it(
    stage: Stage, serving: str, viewing: str, policy: str
) -> None:
    name = f"lobby-{serving}-{viewing}-{policy}"
    viewer, master = await stage.client(viewing), await stage.client(serving)
    await viewer.call("view", await stage.doors.channel(name, "VIEWER", policy), "v1")
    await master.call("serve", await stage.doors.channel(name, "MASTER", policy))
    shown = await plays(viewer, "v1")
    assert shown["width"] == 320
    assert policy == "all" or shown["way"] == "relay"
    await hears(viewer, "v1")


async def test_a_master_that_is_loaded_again_before_it_answered_answers_then(stage: Stage) -> None:
    viewer, master = await stage.page(), await stage.page()
    await viewer.call("view", await stage.doors.channel("yard", "VIEWER"), "v1")
    asked = await stage.doors.channel("yard", "MASTER")
    assert await master.call("ignore", asked) == "v1"
    await master.reload()
    await master.call("serve", asked)
    await plays(viewer, "v1")
