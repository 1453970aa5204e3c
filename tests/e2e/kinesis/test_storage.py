"""A master on AWS's own SDK joins a storage session: what it shows is recorded, and anybody may watch it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
from aiohttp import web
from playwright.async_api import Page

from tests.e2e.kinesis.test_kvs_sdk import HERE, INTEGRITY, SDK
from tests.support.box import Box, box, chromium, settings
from tests.support.npm import package_file
from tests.support.recorded import play

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

KINESIS = "retention_hours = 1"


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[str]:
    """Where pages of clients come from."""
    sdk = await package_file(SDK, INTEGRITY, "dist/kvs-webrtc.js")

    async def script(_: web.Request) -> web.Response:
        return web.Response(body=sdk, content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/kvs-webrtc.js", script)
    app.router.add_static("/", HERE)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Cloud:
    """boto3, as it is, at the box."""

    def __init__(self, box: Box, key: dict[str, str], ca: Path) -> None:
        self._url, self._key, self._ca = box.url.rstrip("/"), key, str(ca)
        self.video = self.service("kinesisvideo")

    def service(self, name: str, url: str = "") -> Any:
        return boto3.session.Session().client(
            name,
            region_name="eu-north-1",
            endpoint_url=url or self._url,
            verify=self._ca,
            aws_access_key_id=self._key["access_key_id"],
            aws_secret_access_key=self._key["secret_access_key"],
        )

    def store(self, name: str) -> dict[str, str]:
        """A channel with media storage: its ARN and its endpoints."""
        arn = self.video.create_signaling_channel(ChannelName=name)["ChannelARN"]
        stream = arn.replace(":channel/", ":stream/")
        wish = {"Status": "ENABLED", "StreamARN": stream}
        self.video.update_media_storage_configuration(ChannelARN=arn, MediaStorageConfiguration=wish)
        found = {"arn": arn}
        for role in ("MASTER", "VIEWER"):
            asked = {"Protocols": ["WSS", "WEBRTC"], "Role": role}
            for each in self.video.get_signaling_channel_endpoint(
                ChannelARN=arn, SingleMasterChannelEndpointConfiguration=asked
            )["ResourceEndpointList"]:
                found[f"{role} {each['Protocol']}"] = each["ResourceEndpoint"]
        return found

    def join(self, channel: dict[str, str]) -> None:
        """As the master."""
        storage = self.service("kinesis-video-webrtc-storage", channel["MASTER WEBRTC"])
        storage.join_storage_session(channelArn=channel["arn"])


async def fetch(url: str, file: Path) -> None:
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(connector=connector) as http, http.get(url) as answer:
        file.write_bytes(await answer.read())


async def serve(page: Page, key: dict[str, str], channel: dict[str, str]) -> None:
    """Have the page be the master."""
    endpoint = channel["MASTER WSS"]
    client = {
        "arn": channel["arn"],
        "endpoint": endpoint,
        "endpoints": [endpoint],
        "id": key["access_key_id"],
        "secret": key["secret_access_key"],
        "rtc": {"iceServers": []},
    }
    await page.evaluate("client_ => client.serve(client_)", client)


async def test_what_a_master_shows_is_recorded_and_goes_with_its_time(tmp_path: Path) -> None:
    async with site() as origin, box(tmp_path, settings(kinesis=KINESIS)) as running, chromium() as browser:
        key = await running.cli("key", "create", "camera")
        await fetch(running.url + "ca.pem", ca := tmp_path / "ca.pem")
        cloud = await asyncio.to_thread(Cloud, running, key, ca)
        channel = await asyncio.to_thread(cloud.store, "door")
        page = await (await browser.new_context(ignore_https_errors=True)).new_page()
        await page.goto(f"{origin}/client.html")
        await page.wait_for_function("window.client")
        await serve(page, key, channel)
        await asyncio.to_thread(cloud.join, channel)
        snapshot = await running.until(
            "any(i['application'] == 'door' and i['stats'] and i['stats']['frames_encoded'] > 60"
            " and i['stats']['recording'] for i in s['instances'])",
            40,
        )
        (instance,) = (each for each in snapshot["instances"] if each["application"] == "door")
        assert (instance["stats"]["width"], instance["stats"]["viewers"]) == (320, [])
        (one,) = (await running.cli("recordings"))["recordings"]
        assert (one["name"], one["kind"], one["running"]) == ("door", "channels", True)
        await running.cli("stop", instance["id"])
        await running.until("not any(i['application'] == 'door' for i in s['instances'])")
        (one,) = (await running.cli("recordings"))["recordings"]
        recorded = play(Path(one["file"]))
        assert recorded.keyframes[0] == 0
        assert len(recorded.pictures) > 60
        brightness = {round(bright) for _, bright in recorded.pictures}
        assert len(brightness) > 5  # its colours change
        long_ago = one["began"] - 2 * 3600
        os.utime(one["file"], (long_ago, long_ago))
    async with box(tmp_path, settings(kinesis=KINESIS)) as running, asyncio.timeout(10):
        while (await running.cli("recordings"))["recordings"]:
            await asyncio.sleep(0.1)
