"""Viewers behind links that carry less than the configured bitrate: real boxes, queues, browsers."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.support.box import DESKTOP, Box, box, chromium, counter, settings, visitor, x_server
from tests.support.narrow import NarrowLinks, narrow_links
from tests.support.turn import coturn

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

CONFIGURED_KBPS = 8000
TURN = 3478
RECEIVED = """async () => {
  const stats = await __probe.peers.at(-1).getStats();
  return [...stats.values()].find((each) => each.type === 'inbound-rtp' && each.kind === 'video') || {};
}"""


@dataclass
class Stage:
    """A box that streams a screen which fills any bitrate."""

    box: Box
    links: NarrowLinks
    scratch: Path

    @contextlib.asynccontextmanager
    async def viewer(self, number: int, role: str) -> AsyncIterator[Page]:
        """A Chromium that plays."""
        link = str((await self.box.cli("share", "desktop", "--role", role))["url"])
        host, fragment = link.split("#")
        port = host.rstrip("/").rpartition(":")[2].split("/")[0]
        async with chromium(self.links.browser(number, self.scratch)) as browser, visitor(browser) as person:
            page = await person.new_page()
            await page.goto(f"https://{self.links.address(number)}:{port}/#{fragment}")
            await page.wait_for_function("() => document.querySelector('video')?.videoWidth", timeout=60_000)
            yield page

    async def viewers(self) -> list[dict[str, Any]]:
        """What the box knows of them."""
        return list((await self.box.snapshot())["instances"][0]["stats"]["viewers"])


async def wide(page: Page, pixels: int) -> None:
    """Wait for a picture of this width."""
    await page.wait_for_function(
        f"() => document.querySelector('video')?.videoWidth === {pixels}", timeout=60_000
    )


@contextlib.asynccontextmanager
async def staged(links: NarrowLinks, scratch: Path, **sections: str) -> AsyncIterator[Stage]:
    """A stage on these links, with more sections of configuration."""
    video = f"fps = 30\nbitrate_kbps = {CONFIGURED_KBPS}"
    async with (
        x_server() as display,
        counter(display, fps="30", mode="noise"),
        box(
            scratch,
            settings(video=video, **sections) + DESKTOP % (display, "1280x720"),
            prefix=("ip", "netns", "exec", links.box),
        ) as running,
    ):
        await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        yield Stage(running, links, scratch)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    with narrow_links(2) as links:
        async with staged(links, tmp_path) as made:
            yield made


async def does_not_collapse(stage: Stage) -> dict[str, Any]:
    """Watch for a while, at the controls and at the end of 1.5 Mb/s; what the box knows of the viewer."""
    async with stage.viewer(0, "control") as page:
        await asyncio.sleep(3)
        before = await page.evaluate(RECEIVED)
        skip = await page.evaluate("__probe.frames.length")
        await asyncio.sleep(12)
        after = await page.evaluate(RECEIVED)
        presented = (await page.evaluate("__probe.frames"))[skip:]
        (viewer,) = await stage.viewers()
    gaps = [late[1] - early[1] for early, late in itertools.pairwise(presented)]
    kbps = (after["bytesReceived"] - before["bytesReceived"]) * 8 / (after["timestamp"] - before["timestamp"])
    print(f"{len(presented) / 12:.1f} fps, {kbps:.0f} kb/s of 1500, longest gap {max(gaps):.0f} ms, {viewer}")
    assert len(presented) > 12 * 10
    assert max(gaps) < 2000
    assert kbps > 500
    assert after["packetsLost"] - before["packetsLost"] < 100
    assert viewer["target_kbps"] < 2500
    return viewer


async def test_a_narrow_way_to_who_controls_does_not_collapse(stage: Stage) -> None:
    stage.links.narrow(0, 1500)
    await does_not_collapse(stage)


async def test_nor_does_one_that_leads_through_a_relay_of_the_box(tmp_path: Path) -> None:
    with narrow_links(1) as links:
        address, prefix = links.beside(0)
        links.admit(0, TURN)
        ice = f"turn = ['turn:{address}:{TURN}']\nturn_secret = 'north'"
        options = ("use-auth-secret", "static-auth-secret=north")
        async with (
            coturn(tmp_path, address, TURN, *options, prefix=prefix),
            staged(links, tmp_path, ice=ice) as stage,
        ):
            stage.links.narrow(0, 1500)
            viewer = await does_not_collapse(stage)
    assert viewer["pair"] == "relay"


async def test_a_watcher_on_a_narrow_way_gets_a_smaller_picture_and_nobody_else_does(stage: Stage) -> None:
    stage.links.narrow(1, 1500)
    async with stage.viewer(0, "control") as wired, stage.viewer(1, "view") as narrow:
        await wide(narrow, 640)
        before = await wired.evaluate(RECEIVED)
        small = await narrow.evaluate(RECEIVED)
        await asyncio.sleep(8)
        after = await wired.evaluate(RECEIVED)
        found = await narrow.evaluate(RECEIVED)
        assert found["framesDecoded"] - small["framesDecoded"] > 8 * 10
        assert (found["frameWidth"], after["frameWidth"]) == (640, 1280)
        assert after["keyFramesDecoded"] - before["keyFramesDecoded"] <= 2
        milliseconds = after["timestamp"] - before["timestamp"]
        assert (after["bytesReceived"] - before["bytesReceived"]) * 8 / milliseconds > 2000
        stage.links.narrow(1, 100_000)
        await wide(narrow, 1280)
