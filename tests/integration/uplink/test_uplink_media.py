"""A whole box as master of a channel at a gateway of ours, which stands for the cloud."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCPeerConnection

from appliance.bus.link import BusLink
from appliance.gateway.kinesis.policies import Policy, Statement
from appliance.gateway.service import Gateway
from tests.support import box as daemon
from tests.support.cloud import Cloud
from tests.support.gateway import serving, settings, street, until
from tests.support.kvs import Watcher, open_lobby
from tests.support.ports import free_ports

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

APPLICATION = """
[[application]]
name = "pattern"
kind = "test-pattern"
autostart = true
size = "320x240"
fps = 15
"""
MASTER = [
    "kinesisvideo:DescribeSignalingChannel",
    "kinesisvideo:CreateSignalingChannel",
    "kinesisvideo:GetSignalingChannelEndpoint",
    "kinesisvideo:GetIceServerConfig",
    "kinesisvideo:ConnectAsMaster",
]


async def received(pc: RTCPeerConnection) -> int:
    """Packets of the picture so far."""
    return sum(
        each.packetsReceived
        for each in (await pc.getStats()).values()
        if each.type == "inbound-rtp" and each.kind == "video"
    )


async def sees(watcher: Watcher) -> None:
    """A frame was decoded, and the role is that of a watcher."""
    frame = await (await watcher.video).recv()
    assert (frame.width, frame.height) == (320, 240)
    assert '"view"' in str(await watcher.told.get()).replace("\\", "")


def reads(text: str) -> str:
    """The question whether the status of the uplink does."""
    return f"any(p['name'] == 'uplink' and {text!r} in p['detail'] for p in s['parts'])"


async def test_viewers_in_the_cloud_see_the_picture_and_keep_it_while_the_service_starts_anew(
    tmp_path: Path,
) -> None:
    port = free_ports(1).start
    uplink = f"""
        region = "eu-north-1"
        channel = "demo"
        create = true
        endpoint = "http://127.0.0.1:{port}"
    """
    async with street(tmp_path / "cloud") as here, contextlib.AsyncExitStack() as stack:
        cloud = Cloud(here)
        only = Statement(Effect="Allow", Action=MASTER, Resource=["demo"])
        key = await cloud.key("box", Policy(Statement=[only]))
        link = BusLink(lambda: here.server.address, "node")
        await stack.enter_async_context(serving(link))

        def node() -> contextlib.AbstractAsyncContextManager[Any]:
            where = settings(gateway={"listen": f"127.0.0.1:{port}"})
            return serving(Gateway(where, tmp_path / "node", link))

        configuration = daemon.settings(**{"kinesis.uplink": uplink}) + APPLICATION
        env = {name.upper(): value for name, value in key.items()} | {"AWS_EC2_METADATA_DISABLED": "true"}
        running = await stack.enter_async_context(daemon.box(tmp_path / "box", configuration, env=env))
        await running.until(reads("Could not connect"))
        async with node():
            await running.until(reads("connected as master of demo in eu-north-1"))
            lobby = await stack.enter_async_context(open_lobby(cloud, "demo"))
            first = await stack.enter_async_context(lobby.watcher("v1", "H264"))
            second = await stack.enter_async_context(lobby.watcher("v2", "VP8"))
            await sees(first)
            await sees(second)
            await running.until(reads("; 2 viewers"))
            labels = "sorted(v['label'] for v in s['instances'][0]['stats']['viewers'])"
            await running.until(f"{labels} == ['cloud v1', 'cloud v2']")
        await running.until(f"not {reads('connected')}")
        before = [await received(each.pc) for each in (first, second)]

        async def goes_on() -> bool:
            now = [await received(each.pc) for each in (first, second)]
            return all(new > old + 10 for new, old in zip(now, before, strict=True))

        await until(goes_on)
        async with asyncio.TaskGroup() as group:
            coming = group.create_task(stack.enter_async_context(lobby.watcher("v3", "H264")))
            await stack.enter_async_context(node())
            third = await coming
        await sees(third)
        await running.until(reads("; 3 viewers"))
        await third.pc.close()
        await running.until(reads("; 2 viewers"))
        trail = [(each["event"], each["by"]) for each in await running.cli("audit")]
        assert ("join", "cloud v1") in trail
        assert trail[-1] == ("leave", "cloud v3")
