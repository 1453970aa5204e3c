"""Players that others wrote, against the gateway of a box, and a browser that takes what it publishes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page

from appliance.streamer.aioice_adapter import host_addresses
from tests.support.box import Box, box, chromium, running, settings
from tests.support.npm import package_file
from tests.support.ports import free_ports
from tests.support.sound_server import SoundServer
from tests.support.turn import coturn

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

HERE = Path(__file__).parent
PLAYER = "whip-whep@1.2.0"
INTEGRITY = "sha512-CP+Tht3O/N6QLebW5LxsNKgzFN5KX6WinLr1SLs74feagYu+Gqy+0dw48p5RQuE+FlrM4xyOlOdW2UOQwljImA=="
SECRET = "north"
APPLICATION = """
[[application]]
name = "pattern"
kind = "test-pattern"
autostart = true
size = "320x240"
fps = 15
env = { PULSE_SERVER = "%s" }
"""


@dataclass
class Theatre:
    """A box with a picture and a sound, and pages of another origin."""

    box: Box
    browser: Browser
    origin: str
    token: str
    ca: Path

    @property
    def endpoint(self) -> str:
        return f"{self.box.url}whep/pattern"

    async def page(self) -> Page:
        """A page that has loaded its player."""
        page = await (await self.browser.new_context(ignore_https_errors=True)).new_page()
        await page.goto(f"{self.origin}/player.html")
        await page.wait_for_function("window.player")
        return page

    async def viewers(self) -> list[Any]:
        """As `fanlight viewers` lists them."""
        return list(await self.box.cli("viewers"))

    async def viewer(self) -> Any:
        """The only one, once it is told of."""
        async with asyncio.timeout(20):
            while not (found := await self.viewers()):
                await asyncio.sleep(0.1)
        (viewer,) = found
        return viewer

    async def empty(self) -> None:
        async with asyncio.timeout(20):
            while await self.viewers():
                await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theatre(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Theatre]:
    directory = tmp_path_factory.mktemp("whep")
    player = await package_file(PLAYER, INTEGRITY, "whep.js")

    async def script(_: web.Request) -> web.Response:
        return web.Response(body=player, content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/whep.js", script)
    app.router.add_static("/", HERE)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sound = SoundServer(directory)
    try:
        await sound.start()
        await sound.play(440, "speakers")
        address, port = host_addresses()[0], free_ports(1).start
        ice = f'turn = ["turn:{address}:{port}?transport=udp"]\nturn_secret = "{SECRET}"'
        secret = ("use-auth-secret", f"static-auth-secret={SECRET}")
        async with (
            coturn(directory, address, port, *secret),
            box(directory, settings(ice=ice) + APPLICATION % sound.address) as running_box,
            chromium() as browser,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http,
        ):
            await running_box.until("s['instances'] and s['instances'][0]['state'] == 'running'")
            token = (await running_box.cli("account", "create", "player"))["token"]
            origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
            async with http.get(running_box.url + "ca.pem") as answer:
                (directory / "ca.pem").write_bytes(await answer.read())
            yield Theatre(running_box, browser, origin, token, directory / "ca.pem")
    finally:
        await sound.stop()
        await runner.cleanup()


async def plays(page: Page) -> Any:
    """Wait until picture and sound have come for a while; what is known of them."""
    async with asyncio.timeout(20):
        while (shown := await page.evaluate("player.playing()"))["frames"] < 15 or shown["samples"] < 48000:
            await asyncio.sleep(0.1)
    assert shown["width"] == 320
    return shown


@pytest.mark.parametrize(("codec", "policy"), [("H264", "all"), ("VP8", "relay")])
async def test_an_npm_player_plays_in_a_browser(theatre: Theatre, codec: str, policy: str) -> None:
    page = await theatre.page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.evaluate("args => player.play(...args)", [theatre.endpoint, theatre.token, codec, policy])
    shown = await plays(page)
    assert sorted(shown["codecs"]) == ["audio/opus", f"video/{codec}"]
    assert policy == "all" or shown["local"] == "relay"
    viewer = await theatre.viewer()
    assert (viewer["dialect"], viewer["label"], viewer["role"]) == ("whep", "player", "view")
    assert viewer["address"]
    await page.evaluate("player.stop()")
    await theatre.empty()
    assert not faults


async def test_gstreamer_plays(theatre: Theatre) -> None:
    program = ("/usr/bin/python3", HERE / "gst_player.py")
    async with running((*program, theatre.endpoint, theatre.token, theatre.ca)) as player:
        told = {(await player.line(r"^(video H264|audio OPUS)$"))[0] for _ in range(2)}
        assert told == {"video H264", "audio OPUS"}
        assert (await theatre.viewer())["dialect"] == "whep"
        player.process.terminate()
        await player.line(r"^left 200$")
        await theatre.empty()


async def test_a_browser_takes_what_is_published(theatre: Theatre) -> None:
    page = await theatre.page()
    ended = asyncio.Event()
    taken: list[str] = []

    async def take(request: web.Request) -> web.Response:
        if request.headers["Authorization"] != "Bearer let-me-in":
            return web.Response(status=401)
        taken.append(await request.text())
        answer = await page.evaluate("offer => player.take(offer)", taken[-1])
        return web.Response(
            status=201, text=answer, content_type="application/sdp", headers={"Location": "/whip/1"}
        )

    async def end(_: web.Request) -> web.Response:
        ended.set()
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/whip", take), web.delete("/whip/1", end)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/whip"
        await theatre.box.cli("publish", "pattern", "--whip", url, "--token", "let-me-in")
        shown = await plays(page)
        assert sorted(shown["codecs"]) == ["audio/opus", "video/H264"]
        await theatre.box.until("s['instances'][0]['stats']['published'] == '127.0.0.1: connected'")
        (published,) = await theatre.box.cli("publish")
        assert published["application"] == "pattern"
        assert not await theatre.viewers()
        streamer = (await theatre.box.snapshot())["instances"][0]["stats"]["pid"]
        os.kill(streamer, signal.SIGKILL)
        await theatre.box.until(f"(s['instances'][0]['stats'] or {{}}).get('pid', {streamer}) != {streamer}")
        await theatre.box.until("s['instances'][0]['stats']['published'] == '127.0.0.1: connected'")
        assert len(taken) >= 2
        assert not any(
            "let-me-in" in str(each) or "/whip" in str(each) for each in await theatre.box.cli("audit")
        )
        await theatre.box.cli("publish", "pattern", "--stop")
        async with asyncio.timeout(5):
            await ended.wait()
        await theatre.box.until("not s['instances'][0]['stats']['published']")
        assert await theatre.box.cli("publish") == []
    finally:
        await runner.cleanup()
