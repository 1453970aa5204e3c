"""AWS's SDK is master in a page, and ours plays it in another: the box asks for it once, whoever watches."""

import contextlib

import pytest
from playwright.async_api import Page, expect

from tests.e2e.kinesis.clients import InPage, Stage
from tests.support.box import comes_true, visitor
from tests.support.viewer import viewer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

COUNT = """() => {
  const Peer = window.RTCPeerConnection;
  window.made = 0;
  window.RTCPeerConnection = class extends Peer {
    constructor(...given) { super(...given); window.made += 1; }
  };
}"""
ENERGY = """async () => {
  for (const each of (await __probe.peers.at(-1).getStats()).values())
    if (each.type === 'inbound-rtp' && each.kind === 'audio') return each.totalAudioEnergy;
  return 0;
}"""
DECODED = "fanlight.stats().then((s) => s?.framesDecoded ?? 0)"


async def plays(page: Page) -> None:
    """Wait until frames are decoded, and go on being so."""
    await page.wait_for_function("window.fanlight?.state === 'playing'", timeout=20_000)
    seen = await page.evaluate(DECODED)
    await comes_true(page, "async (seen) => (await fanlight.stats())?.framesDecoded > seen + 10", seen)


async def test_our_page_plays_a_master_of_the_sdk(stage: Stage) -> None:
    camera = await stage.page()
    assert isinstance(camera, InPage)
    channel = await stage.doors.channel("porch", "MASTER")
    await camera.page.evaluate(COUNT)
    await camera.call("serve", channel)
    await stage.box.until("('porch', 'channel') in [(a['name'], a['kind']) for a in s['applications']]")
    async with visitor(stage.browser, bypass_csp=True) as guest, contextlib.AsyncExitStack() as others:
        page = await guest.new_page()
        await page.goto(stage.box.url)
        await page.locator("#pin").wait_for()
        await page.keyboard.type((await stage.box.cli("pair"))["pin"])
        tile = page.locator("[data-application=porch]")
        await expect(tile).to_contain_text("camera")
        await tile.click()
        await plays(page)
        assert await page.evaluate("document.querySelector('video').videoWidth") == 320
        await comes_true(page, f"async () => await ({ENERGY})() > 0.01")
        launched = await stage.box.cli("launch", "porch")  # there is one already
        link = (await stage.box.cli("share", launched["instance"], "--role", "view"))["url"]
        for _ in range(4):
            await others.enter_async_context(viewer(link))
        found = await stage.box.until(
            f"any(i['id'] == {launched['instance']!r} and i['stats'] and len(i['stats']['viewers']) == 5 "
            "for i in s['instances'])"
        )
        (stats,) = [each["stats"] for each in found["instances"] if each["id"] == launched["instance"]]
        assert stats["encoder"] == "the camera's own"
        assert stats["audio"] == "opus from the camera"
        assert await camera.page.evaluate("made") == 1, "five viewers, one way from the camera"

        await camera.reload()
        await expect(page.locator("#toasts")).to_contain_text("the camera is away", timeout=20_000)
        assert await page.evaluate("fanlight.state") == "playing", "the last picture stays"
        await camera.call("serve", await stage.doors.channel("porch", "MASTER", "relay"))
        await plays(page)
        assert await page.evaluate("fanlight.connections") == 1
        assert (await camera.call("report", f"fanlight-{stats['session']}"))["way"] == "relay"
