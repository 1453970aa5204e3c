"""Every step of a frame from screen to screen, with a real box and a real browser."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.support.box import DESKTOP, box, chromium, counter, settings, visitor, x_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

NTP_EPOCH_MS = 2_208_988_800_000
STEPS = ("capture", "encode", "send", "network", "buffer", "decode", "display")


async def test_each_step_is_shown_and_their_sum_is_known_on_the_box(tmp_path: Path) -> None:
    async with (
        x_server() as display,
        counter(display, fps="30", flash=""),
        box(tmp_path, settings(video="fps = 30") + DESKTOP % (display, "1280x720")) as running,
        chromium() as browser,
        visitor(browser) as person,
    ):
        await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
        page = await person.new_page()
        await page.goto((await running.cli("share", "desktop", "--role", "view"))["url"])
        await page.wait_for_function("() => fanlight.state === 'playing'")
        await page.hover("#handle")
        await page.click('[data-do="stats"]')
        await expect(page.locator("#stats .legend li span")).to_have_text(STEPS, timeout=15_000)
        await page.wait_for_function("() => fanlight.frames.length > 60")
        frames = await page.evaluate("fanlight.frames")
        for frame in frames:
            steps = sum(frame[step] for step in ("capture", "encode", "send", "network", "inside"))
            assert frame["total"] == pytest.approx(steps)
            assert min(frame[step] for step in ("capture", "encode", "send", "inside", "decode")) >= 0
        medians = {step: sorted(each[step] for each in frames)[len(frames) // 2] for step in frames[0]}
        print({step: round(value, 1) for step, value in medians.items() if step not in ("rtp", "captured")})
        assert -50 < medians["network"] < 500
        age = await page.evaluate(
            f"performance.timeOrigin + performance.now() + {NTP_EPOCH_MS} - __probe.peers.at(-1)"
            ".getReceivers()[0].getSynchronizationSources()[0].captureTimestamp"
        )
        assert 0 < age < 2000, "abs-capture-time tells when what was received last was captured"
        (viewer,) = (await running.until("s['instances'][0]['stats']['viewers'][0]['latency_ms']"))[
            "instances"
        ][0]["stats"]["viewers"]
        assert 0 < viewer["latency_ms"] < 2000
