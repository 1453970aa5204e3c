"""AWS's own SDK for browsers, unmodified, against the gateway of a box."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page

from appliance.streamer.aioice_adapter import host_addresses
from tests.support.box import Box, box, chromium, settings
from tests.support.npm import package_file
from tests.support.ports import free_ports
from tests.support.turn import coturn

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

HERE = Path(__file__).parent
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


@dataclass
class Stage:
    """A box, and pages of another origin that load the SDK."""

    box: Box
    browser: Browser
    origin: str
    key: dict[str, str]

    async def page(self) -> Page:
        page = await (await self.browser.new_context(ignore_https_errors=True)).new_page()
        await page.goto(f"{self.origin}/client.html")
        await page.wait_for_function("window.client")
        return page

    async def channel(self, name: str, role: str, policy: str) -> dict[str, Any]:
        """What the SDK has to know, and which candidates it may use."""
        return await asyncio.to_thread(self._channel, name, role, policy)

    def _channel(self, name: str, role: str, policy: str) -> dict[str, Any]:
        video = self._service("kinesisvideo")
        try:
            arn = video.describe_signaling_channel(ChannelName=name)["ChannelInfo"]["ChannelARN"]
        except video.exceptions.ResourceNotFoundException:
            arn = video.create_signaling_channel(ChannelName=name)["ChannelARN"]
        endpoints = video.get_signaling_channel_endpoint(
            ChannelARN=arn, SingleMasterChannelEndpointConfiguration={"Protocols": ["WSS"], "Role": role}
        )["ResourceEndpointList"]
        found = self._service("kinesis-video-signaling").get_ice_server_config(ChannelARN=arn)
        servers = [
            {"urls": each["Uris"], "username": each["Username"], "credential": each["Password"]}
            for each in found["IceServerList"]
        ]
        return {
            "arn": arn,
            "endpoint": endpoints[0]["ResourceEndpoint"],
            "id": self.key["access_key_id"],
            "secret": self.key["secret_access_key"],
            "rtc": {"iceServers": servers, "iceTransportPolicy": policy},
        }

    def _service(self, name: str) -> Any:
        return boto3.session.Session().client(
            name,
            region_name="eu-north-1",
            endpoint_url=self.box.url.rstrip("/"),
            verify=str(self.box.directory / "ca.pem"),
            aws_access_key_id=self.key["access_key_id"],
            aws_secret_access_key=self.key["secret_access_key"],
        )

    async def viewers(self) -> list[Any]:
        """Who watches the instance."""
        instance = (await self.box.snapshot())["instances"][0]
        return list((instance["stats"] or {}).get("viewers", []))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("kvs")
    sdk = await package_file(SDK, INTEGRITY, "dist/kvs-webrtc.js")

    async def script(_: web.Request) -> web.Response:
        return web.Response(body=sdk, content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/kvs-webrtc.js", script)
    app.router.add_static("/", HERE)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        address, (port,) = host_addresses()[0], free_ports(1)
        ice = f'turn = ["turn:{address}:{port}?transport=udp"]\nturn_secret = "{SECRET}"'
        secret = ("use-auth-secret", f"static-auth-secret={SECRET}")
        async with (
            coturn(directory, address, port, *secret),
            box(directory, settings(ice=ice) + APPLICATION) as running,
            chromium() as browser,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http,
        ):
            async with http.get(running.url + "ca.pem") as answer:
                (directory / "ca.pem").write_bytes(await answer.read())
            await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
            key = await running.cli("key", "create", "browser")
            yield Stage(running, browser, f"http://127.0.0.1:{runner.addresses[0][1]}", key)
    finally:
        await runner.cleanup()


async def plays(page: Page, name: str) -> Any:
    """Wait until frames are decoded, and go on being so."""
    shown: Any = {"frames": 0}
    async with asyncio.timeout(20):
        for more in (5, 10):
            goal = shown["frames"] + more
            while (shown := await page.evaluate("name => client.picture(name)", name))["frames"] < goal:
                await asyncio.sleep(0.1)
    return shown


POLICIES = pytest.mark.parametrize("policy", ["all", "relay"])


@POLICIES
async def test_the_sdk_watches_an_instance_and_steers_it(stage: Stage, policy: str) -> None:
    page = await stage.page()
    channel = await stage.channel("pattern", "VIEWER", policy)
    await page.evaluate("channel => client.view(channel, 'v1')", channel)
    assert (await plays(page, "v1"))["width"] == 320
    role = await page.evaluate("told.find(text => JSON.parse(text).type === 'fanlight::role')")
    assert '\\"control\\"' in role
    (viewer,) = await stage.viewers()
    assert (viewer["dialect"], viewer["label"]) == ("kinesis", "browser v1")
    assert policy == "all" or viewer["pair"] != "host"
    await page.evaluate("leave()")
    async with asyncio.timeout(10):
        while await stage.viewers():
            await asyncio.sleep(0.1)


@POLICIES
async def test_the_sdk_is_master_to_a_viewer_that_came_before_it(stage: Stage, policy: str) -> None:
    watching, serving = await stage.page(), await stage.page()
    viewer = await stage.channel(f"lobby-{policy}", "VIEWER", policy)
    await watching.evaluate("channel => client.view(channel, 'v1')", viewer)
    master = await stage.channel(f"lobby-{policy}", "MASTER", policy)
    await serving.evaluate("channel => client.serve(channel)", master)
    assert (await plays(watching, "v1"))["width"] == 320
    await watching.close()
    await serving.close()
