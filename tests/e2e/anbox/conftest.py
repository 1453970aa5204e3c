"""One box and one browser for all tests of the Anbox dialect; the clients' page is of another origin."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser

from tests.e2e.anbox.clients import Crowd, Gateway
from tests.support.box import DESKTOP, ROOT, box, chromium, counter, settings, x_server
from tests.support.sound_server import SoundServer, write_tone

HERE = Path(__file__).parent
TONE = 440

APPLICATIONS = f"""
[[application]]
name = "test-pattern"
kind = "test-pattern"
size = "640x360"
fps = 15

[[application]]
name = "command"
kind = "command"
screen = "x11"
command = ["{sys.executable}", "-m", "tests.support.counter", "--fps", "10"]
env = {{ PYTHONPATH = "{ROOT}" }}
fps = 15

[[application]]
name = "own-desktop"
kind = "command"
screen = "x11"
command = ["xterm"]
"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    app = web.Application()
    app.router.add_static("/", HERE)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    page = f"http://127.0.0.1:{runner.addresses[0][1]}"
    configuration = settings(video="fps = 30", limits="instances = 12") + APPLICATIONS
    sound = SoundServer(tmp_path_factory.mktemp("sound"))
    await sound.start()
    environment = {"PULSE_SERVER": sound.address}
    try:
        async with (
            x_server(1280, 720) as display,
            counter(display, fps="10") as drawing,
            box(
                tmp_path_factory.mktemp("anbox"),
                configuration + DESKTOP % (display, "1280x720"),
                env=environment,
            ) as running,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http,
        ):
            await running.until("any(i['state'] == 'running' for i in s['instances'])", 60)
            token = (await running.cli("account", "create", "client"))["token"]
            yield Gateway(running, drawing, http, page, token, sound)
    finally:
        await sound.stop()
        await runner.cleanup()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """Its microphone hears a tone of TONE Hz, its camera sees a test picture."""
    tone = tmp_path_factory.mktemp("tone") / "tone.wav"
    write_tone(tone, TONE)
    devices = (
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={tone}",
    )  # fmt: skip
    async with chromium(options=devices) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def crowd(browser: Browser, gateway: Gateway) -> AsyncIterator[Crowd]:
    made = Crowd(browser, gateway)
    yield made
    await made.leave()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pattern(gateway: Gateway) -> str:
    """A session of the test pattern that all tests may join."""
    session = await gateway.session()
    await gateway.until(session, "active", 60)
    return session


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def desktop(gateway: Gateway) -> str:
    """The session that the desktop had from birth."""
    found = [each for each in await gateway.get("/1.0/sessions?recursion=true") if each["app"] == "desktop"]
    assert len(found) == 1
    return str(found[0]["id"])


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def idle(gateway: Gateway) -> AsyncIterator[asyncio.Task[Any]]:
    """The end of a session that nobody joins and that may be idle for a minute: first, as it takes so long.

    Watched all the while: a gateway does not remember it for ever.
    """
    session = await gateway.session(idle_time_min=1)
    async with asyncio.TaskGroup() as group:
        ending = group.create_task(gateway.until(session, "terminated", 90))
        yield ending
        ending.cancel()
