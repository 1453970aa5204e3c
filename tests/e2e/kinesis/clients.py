"""AWS's own SDK, unmodified: in a page of Chromium, and in Node with a WebRTC of its own."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import boto3
from playwright.async_api import Browser, Page

from tests.support.box import Box, end
from tests.support.npm import installed
from tests.support.sound_server import SoundServer

HERE = Path(__file__).parent
TONE = 440
"""What clients say, in Hz."""
_LOADED = "window.client && window.stage"


class Client(Protocol):
    """Runs client.js."""

    async def call(self, function: str, *arguments: Any) -> Any:
        """What the exported `function` answers."""


class InPage:
    """In Chromium."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def call(self, function: str, *arguments: Any) -> Any:
        """See Client."""
        return await self.page.evaluate("([name, given]) => client[name](...given)", [function, arguments])

    async def reload(self) -> None:
        """Forget everything."""
        await self.page.reload()
        await self.page.wait_for_function(_LOADED)


class InNode:
    """In a process of Node."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def call(self, function: str, *arguments: Any) -> Any:
        """See Client; one at a time."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([function, arguments]).encode() + b"\n")
        answer = json.loads(await self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer.get("value")


@contextlib.asynccontextmanager
async def in_page(browser: Browser, origin: str) -> AsyncIterator[InPage]:
    """A page of another origin than the gateway's."""
    context = await browser.new_context(ignore_https_errors=True)
    try:
        page = await context.new_page()
        await page.goto(f"{origin}/client.html")
        await page.wait_for_function(_LOADED)
        yield InPage(page)
    finally:
        await context.close()


@contextlib.asynccontextmanager
async def in_node(ca: Path) -> AsyncIterator[InNode]:
    """A process that trusts `ca`, as Node is told to."""
    process = await asyncio.create_subprocess_exec(
        "node", str(HERE / "node.js"), str(await installed(HERE)),
        env=os.environ | {"NODE_EXTRA_CA_CERTS": str(ca)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20,
    )  # fmt: skip
    try:
        yield InNode(process)
    finally:
        await end(process)


@dataclass
class Doors:
    """The gateways that clients may use, all with one CA in `ca`, and the access key that they have."""

    urls: Sequence[str]
    ca: Path
    key: dict[str, str]

    async def channel(self, name: str, role: str, policy: str = "all") -> dict[str, Any]:
        """What the SDK has to know, and which candidates it may use; makes the channel if need be."""
        return await asyncio.to_thread(self._channel, name, role, policy)

    def _channel(self, name: str, role: str, policy: str) -> dict[str, Any]:
        video = self._service("kinesisvideo", self.urls[0])
        try:
            arn = video.describe_signaling_channel(ChannelName=name)["ChannelInfo"]["ChannelARN"]
        except video.exceptions.ResourceNotFoundException:
            arn = video.create_signaling_channel(ChannelName=name)["ChannelARN"]
        asked = {"Protocols": ["WSS", "HTTPS"], "Role": role}
        endpoints = []
        for url in self.urls:
            answer = self._service("kinesisvideo", url).get_signaling_channel_endpoint(
                ChannelARN=arn, SingleMasterChannelEndpointConfiguration=asked
            )
            endpoints.append(
                {each["Protocol"]: each["ResourceEndpoint"] for each in answer["ResourceEndpointList"]}
            )
        ice = self._service("kinesis-video-signaling", endpoints[0]["HTTPS"])
        servers = [
            {"urls": each["Uris"], "username": each["Username"], "credential": each["Password"]}
            for each in ice.get_ice_server_config(ChannelARN=arn)["IceServerList"]
        ]
        return {
            "arn": arn,
            "endpoints": [each["WSS"] for each in endpoints],
            "id": self.key["access_key_id"],
            "secret": self.key["secret_access_key"],
            "rtc": {"iceServers": servers, "iceTransportPolicy": policy},
        }

    def _service(self, name: str, url: str) -> Any:
        return boto3.session.Session().client(
            name,
            region_name="eu-north-1",
            endpoint_url=url.rstrip("/"),
            verify=str(self.ca),
            aws_access_key_id=self.key["access_key_id"],
            aws_secret_access_key=self.key["secret_access_key"],
        )


@dataclass
class Stage:
    """A box that streams `pattern`, its sound server, and where clients run: `origin` has their page."""

    box: Box
    sound: SoundServer
    browser: Browser
    origin: str
    doors: Doors
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    """Of the clients of one test."""

    async def client(self, kind: str) -> Client:
        """A new client, in `chromium` or `node`."""
        if kind == "node":
            return await self.stack.enter_async_context(in_node(self.doors.ca))
        return await self.page()

    async def page(self) -> InPage:
        """A new client in Chromium."""
        return await self.stack.enter_async_context(in_page(self.browser, self.origin))

    async def instance(self) -> Any:
        """What is known of the instance."""
        return (await self.box.snapshot())["instances"][0]

    async def viewers(self) -> list[Any]:
        """Who watches the instance."""
        return list(((await self.instance())["stats"] or {}).get("viewers", []))


async def authority(box: Box, file: Path) -> Path:
    """`file` with the CA of the box's gateway added."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http,
        http.get(box.url + "ca.pem") as answer,
    ):
        with file.open("ab") as certificates:
            certificates.write(await answer.read())
    return file


async def plays(client: Client, name: str) -> Any:
    """Wait until frames are decoded, and go on being so."""
    shown: Any = {"frames": 0}
    try:
        async with asyncio.timeout(20):
            for more in (5, 10):
                goal = shown["frames"] + more
                while (shown := await client.call("report", name))["frames"] < goal:
                    await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"viewer {name} does not play: {shown}") from None
    return shown


async def hears(client: Client, name: str) -> None:
    """Wait until sound that is no silence comes in."""
    async with asyncio.timeout(20):
        while (await client.call("report", name))["energy"] < 0.01:
            await asyncio.sleep(0.1)
