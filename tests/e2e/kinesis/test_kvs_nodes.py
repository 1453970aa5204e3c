"""A gateway is killed under masters and viewers that AWS's own SDK made: signaling moves, media goes on."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.e2e.kinesis.clients import Doors, InPage, authority, in_page, plays
from tests.support.box import fanlight
from tests.support.fleet import AUTOSTARTED, cluster, enrol, external, gateway, remote

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

TLS = 'mode = "auto"'


async def moved(client: InPage, line: str) -> None:
    """Wait until the line is open at the second gateway."""
    async with asyncio.timeout(20):
        while await client.call("at", line) % 2 != 1:
            await asyncio.sleep(0.1)


async def test_media_outlives_the_gateway_and_both_sides_come_back_by_another(
    tmp_path: Path, browser: Browser, origin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        cluster(tmp_path / "nats") as servers,
        gateway(tmp_path / "east", external(servers), tls=TLS) as east,
        gateway(tmp_path / "west", external(servers), tls=TLS) as west,
        contextlib.AsyncExitStack() as stack,
    ):
        await enrol(tmp_path / "attic", east, AUTOSTARTED)
        servers.write((await fanlight(west.directory, "enroll", "list", "--nats"))[1])
        attic = await stack.enter_async_context(remote(tmp_path / "attic"))
        await attic.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        ca = await authority(west, await authority(east, tmp_path / "ca.pem"))
        key = await east.cli("key", "create", "sdk")
        doors = Doors([east.url, west.url], ca, key)
        master, viewer, watcher, late = [
            await stack.enter_async_context(in_page(browser, origin)) for _ in range(4)
        ]
        lobby = await doors.channel("lobby", "VIEWER")
        await master.call("serve", await doors.channel("lobby", "MASTER"))
        await viewer.call("view", lobby, "v1")
        await watcher.call("view", await doors.channel("pattern", "VIEWER"), "w1")
        playing = {"v1": viewer, "w1": watcher}
        for name, client in playing.items():
            await plays(client, name)
            await client.page.evaluate("gap()")
        (seen,) = (await attic.until("s['instances'][0]['stats']['viewers']"))["instances"][0]["stats"][
            "viewers"
        ]
        os.kill(east.pid, signal.SIGKILL)
        for name, client in {**playing, "master": master}.items():
            await moved(client, name)
        alone = Doors([west.url], ca, key)
        await late.call("view", await alone.channel("lobby", "VIEWER"), "v2")
        await plays(late, "v2")
        longest = {}
        for name, client in playing.items():
            shown = await client.page.evaluate("gap()")
            longest[name] = round(shown["longest"])
            assert await client.call("states", name) == ["connecting", "connected"]
            assert shown["frames"] > 5
        with capsys.disabled():
            print(f"\nlongest gaps, ms: {longest}")
        await watcher.call("leave", "w1")
        left = f"all(v['id'] != {seen['id']!r} for v in s['instances'][0]['stats']['viewers'])"
        await attic.until(left)
