"""A master on AWS's own SDK joins a storage session: it is recorded, and viewers see it from there."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.e2e.kinesis.clients import Doors, authority, hears, in_page, plays
from tests.support.box import Box, box, settings
from tests.support.recorded import play

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]


def store(doors: Doors, arn: str) -> None:
    """Let what the master of a channel sends be recorded."""
    wish = {"Status": "ENABLED", "StreamARN": arn.replace(":channel/", ":stream/")}
    video = doors._service("kinesisvideo", doors.urls[0])
    video.update_media_storage_configuration(ChannelARN=arn, MediaStorageConfiguration=wish)


def join(doors: Doors, arn: str) -> None:
    """As its master does, at the endpoint for that."""
    asked = {"Protocols": ["WEBRTC"], "Role": "MASTER"}
    (endpoint,) = doors._service("kinesisvideo", doors.urls[0]).get_signaling_channel_endpoint(
        ChannelARN=arn, SingleMasterChannelEndpointConfiguration=asked
    )["ResourceEndpointList"]
    storage = doors._service("kinesis-video-webrtc-storage", endpoint["ResourceEndpoint"])
    storage.join_storage_session(channelArn=arn)


async def recorded(running: Box, frames: int, viewers: int = 0) -> Any:
    """The instance that shows the master, once it had so many frames of it, and told of so many viewers."""
    shown = (
        f"i['stats'] and i['stats']['frames_encoded'] > {frames} and i['stats']['recording']"
        f" and len(i['stats']['viewers']) >= {viewers}"
    )
    snapshot = await running.until(f"any({shown} for i in s['instances'] if i['application'] == 'door')", 40)
    (found,) = (each for each in snapshot["instances"] if each["application"] == "door")
    return found


async def test_what_a_master_sends_is_recorded_watched_and_goes_with_its_time(
    tmp_path: Path, browser: Browser, origin: str
) -> None:
    configuration = settings(kinesis="retention_hours = 1")
    async with (
        box(tmp_path, configuration) as running,
        in_page(browser, origin) as master,
        in_page(browser, origin) as viewer,
    ):
        key = await running.cli("key", "create", "camera")
        doors = Doors([running.url], await authority(running, tmp_path / "ca.pem"), key)
        channel = await doors.channel("door", "MASTER")
        await asyncio.to_thread(store, doors, channel["arn"])
        await master.call("serve", channel)
        await asyncio.to_thread(join, doors, channel["arn"])
        first = await recorded(running, 30)
        await viewer.call("view", await doors.channel("door", "VIEWER"), "v1")
        assert (await plays(viewer, "v1"))["width"] == 320
        await hears(viewer, "v1")
        before = (await recorded(running, 30, viewers=1))["stats"]
        assert [each["dialect"] for each in before["viewers"]] == ["kinesis"]
        await master.reload()
        await master.call("serve", channel)
        await asyncio.to_thread(join, doors, channel["arn"])
        again = await recorded(running, before["frames_encoded"] + 30)
        assert again["id"] == first["id"]
        await viewer.call("leave", "v1")
        await running.cli("stop", again["id"])
        await running.until("not any(i['application'] == 'door' for i in s['instances'])")
        files = (await running.cli("recordings"))["recordings"]
        assert {(each["name"], each["kind"], each["running"]) for each in files} == {
            ("door", "channels", False)
        }
        found = [play(Path(each["file"])) for each in files]
        assert all(each.keyframes[0] == 0 for each in found)
        assert sum(len(each.pictures) for each in found) > 60
        assert len({round(bright) for each in found for _, bright in each.pictures}) > 5  # its colours change
        assert max(loud for _, loud in found[0].sounds) > 0.1
        for each in files:
            os.utime(each["file"], (each["began"] - 2 * 3600,) * 2)
    async with box(tmp_path, configuration) as running, asyncio.timeout(10):
        while (await running.cli("recordings"))["recordings"]:
            await asyncio.sleep(0.1)
