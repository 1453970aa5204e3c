"""One box, one browser and one coturn for all tests of a module; the clients' page is of another origin."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser

from appliance.streamer.aioice_adapter import host_addresses
from tests.e2e.kinesis.clients import HERE, Doors, Stage, authority
from tests.support.box import box, chromium, settings
from tests.support.npm import package_file
from tests.support.ports import free_ports
from tests.support.sound_server import SoundServer
from tests.support.turn import coturn

SDK = "amazon-kinesis-video-streams-webrtc@2.9.0"
INTEGRITY = "sha512-GIAni+KW7TVWPd4LWHSr/0HtYnIDAgFqSaVxk17UKfX15hmXWpf2XyHSCBz1nI6pY076jIn1U4uYuxPNbaWhTw=="
SECRET = "north"
APPLICATION = """
[[application]]
name = "pattern"
kind = "test-pattern"
autostart = true
size = "320x240"
fps = 15
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origin() -> AsyncIterator[str]:
    """Where client.html is."""
    sdk = await package_file(SDK, INTEGRITY, "dist/kvs-webrtc.js")

    async def script(_: web.Request) -> web.Response:
        return web.Response(body=sdk, content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/kvs-webrtc.js", script)
    app.router.add_static("/", HERE)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theatre(
    tmp_path_factory: pytest.TempPathFactory, browser: Browser, origin: str
) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("kvs")
    address, (port,) = host_addresses()[0], free_ports(1)
    ice = f'turn = ["turn:{address}:{port}?transport=udp"]\nturn_secret = "{SECRET}"'
    secret = ("use-auth-secret", f"static-auth-secret={SECRET}")
    sound = SoundServer(tmp_path_factory.mktemp("sound"))
    await sound.start()
    try:
        async with (
            coturn(directory, address, port, *secret),
            box(directory, settings(ice=ice) + APPLICATION, env={"PULSE_SERVER": sound.address}) as running,
        ):
            await sound.play(1000, "speakers")
            await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
            doors = Doors(
                [running.url],
                await authority(running, directory / "ca.pem"),
                await running.cli("key", "create", "sdk"),
            )
            yield Stage(running, sound, browser, origin, doors)
    finally:
        await sound.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def stage(theatre: Stage) -> AsyncIterator[Stage]:
    """Its clients leave at the end of the test."""
    async with theatre.stack:
        yield theatre
