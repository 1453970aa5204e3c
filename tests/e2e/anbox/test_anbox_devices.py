"""Microphone and camera of a client that follows the dialect, as far as the box takes them."""

import pytest

from tests.e2e.anbox.clients import Client, Crowd, Gateway
from tests.e2e.anbox.conftest import TONE
from tests.support.sound_server import pitch

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def _source_of(client: Client, gateway: Gateway) -> str:
    session = await client.session()
    found = [each["id"] for each in (await gateway.box.snapshot())["instances"] if each["session"] == session]
    return f"fanlight_{found[0]}"


@pytest.mark.parametrize("version", [1, 2])
async def test_the_microphone_of_a_client_can_be_recorded_on_the_box(
    crowd: Crowd, gateway: Gateway, pattern: str, version: int
) -> None:
    client = await crowd.play(pattern, microphone=True, apiVersion=version)
    source = await _source_of(client, gateway)
    await client.until("s.log.some(([name]) => name === 'audio open')")
    await gateway.sound.until_source(source)
    recorded = await gateway.sound.record(source, 1.5)
    assert abs(pitch(recorded[48000:]) - TONE) < 4
    await client.more_frames()


async def test_the_camera_of_a_client_is_received_and_counted(
    crowd: Crowd, gateway: Gateway, pattern: str
) -> None:
    client = await crowd.play(pattern, camera=True)
    await client.page.evaluate("stream.open('video', { width: 320, height: 240 })")

    async def counted(least: int) -> int:
        viewers = await gateway.viewers(pattern)
        return max((each["camera_frames"] for each in viewers if each["camera_frames"] > least), default=0)

    first = await gateway.eventually(lambda: counted(10))
    assert await gateway.eventually(lambda: counted(first + 10)) > first
    await client.more_frames()


async def test_a_client_that_only_watches_has_no_voice(crowd: Crowd, gateway: Gateway) -> None:
    session = await gateway.session()
    watcher = await crowd.client()
    await watcher.watch(await gateway.link(session), microphone=True)
    await watcher.more_frames()
    viewers = await gateway.eventually(lambda: gateway.viewers(session))
    assert [each["microphone_packets"] for each in viewers] == [0]
    assert await watcher.page.evaluate("stream.messages.every((each) => each.type !== 'enable-microphone')")
    await gateway.api("DELETE", f"/1.0/sessions/{session}")
