"""The main job in the other browser: a stranger pairs, sees the desktop and has it in hand."""

from pathlib import Path

import pytest

from tests.support.box import DESKTOP, box, counter, settings, x_server
from tests.support.firefox import SHIFT, firefox

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

CODEC = """__probe.peers.at(-1).getStats().then((all) => {
  const reports = [...all.values()];
  const video = reports.find((each) => each.type === 'inbound-rtp' && each.kind === 'video');
  return video && reports.find((each) => each.id === video.codecId)?.mimeType;
})"""


async def test_firefox_pairs_by_pin_plays_and_has_keys_wheel_and_mouse(tmp_path: Path) -> None:
    configuration = settings(video="fps = 30") + DESKTOP
    async with (
        x_server() as display,
        counter(display, fps="30") as drawing,
        box(tmp_path / "box", configuration % (display, "1280x720")) as running,
        firefox(tmp_path) as browser,
    ):
        await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        pin = str((await running.cli("pair"))["pin"])
        await browser.goto(running.url)
        await browser.until("document.activeElement.id === 'pin'")
        await browser.keys(pin)
        await browser.until("document.querySelector('.room') !== null")
        await browser.evaluate("document.querySelector('.room').click()")
        await browser.until("__probe.frames.length > 30")
        assert await browser.until(CODEC) in ("video/H264", "video/VP8")
        codes = [frame[0] for frame in await browser.evaluate("__probe.frames")]
        assert codes == sorted(codes)
        await browser.until("fanlight.role === 'control'")
        await browser.click(640, 400)
        await drawing.line(r"^button 1 ")
        await browser.keys("a" + SHIFT)
        for expected in ("key 38 down", "key 38 up", "key 50 down", "key 50 up"):
            await drawing.line(f"^{expected} ")
        await browser.turn(640, 400, 120)
        await drawing.line(r"^button 5 ")
