"""What is said into the page of whoever has the controls is recorded on the box, from a real PulseAudio."""

import os
import signal
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.support.box import Box, box, chromium, settings, visitor
from tests.support.sound_server import SoundServer, pitch, write_tone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

APPLICATION = """
[[application]]
name = "test-pattern"
kind = "test-pattern"
size = "320x240"
autostart = true
"""
TONE = 440
STATS = "s['instances'][0]['stats']"


async def joined(page: Page, running: Box) -> str:
    """Plays, with the controls; the name of the source of its instance."""
    found = await running.until(f"{STATS} and s['instances'][0]['state'] == 'running'", 60)
    await page.goto((await running.cli("share", "test-pattern", "--role", "control"))["url"])
    await page.wait_for_function("() => fanlight.state === 'playing' && fanlight.box")
    return f"fanlight_{found['instances'][0]['id']}"


async def test_what_is_said_into_the_page_is_recorded_on_the_box(tmp_path: Path) -> None:
    tone = tmp_path / "tone.wav"
    write_tone(tone, TONE)
    device = (
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={tone}",
    )  # fmt: skip
    sound = SoundServer(tmp_path)
    await sound.start()
    try:
        async with (
            box(tmp_path / "box", settings() + APPLICATION, env={"PULSE_SERVER": sound.address}) as running,
            chromium(options=device) as browser,
            visitor(browser) as context,
        ):
            page = await context.new_page()
            source = await joined(page, running)

            async def heard() -> float:
                return pitch((await sound.record(source, 2.0))[48000:])

            assert await page.evaluate("fanlight.box.microphone") == "nobody speaks"
            assert source not in await sound.sources()
            await page.hover("#handle")
            await page.click("[data-do=microphone]")
            await sound.until_source(source)
            assert abs(await heard() - TONE) < 4

            streamer = (await running.snapshot())["instances"][0]["stats"]["pid"]
            os.kill(streamer, signal.SIGKILL)
            await running.until(
                f"{STATS}['pid'] != {streamer} and {STATS}['microphone'] == 'source {source}'", 40
            )
            assert await page.evaluate("fanlight.connections") >= 2
            assert abs(await heard() - TONE) < 4

            await page.hover("#handle")
            await page.click("[data-do=microphone]")
            await sound.until_source(source, there=False)
            assert await page.evaluate("fanlight.state") == "playing"
    finally:
        await sound.stop()


async def test_a_box_without_a_sound_server_says_so(tmp_path: Path) -> None:
    device = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    async with (
        box(tmp_path, settings() + APPLICATION, env={"PULSE_SERVER": f"unix:{tmp_path}/none"}) as running,
        chromium(options=device) as browser,
        visitor(browser) as context,
    ):
        page = await context.new_page()
        await joined(page, running)
        await page.hover("#handle")
        await page.click("[data-do=microphone]")
        told = page.get_by_role("status").filter(
            has_text="The box cannot take your microphone: no sound server"
        )
        await expect(told).to_be_visible()
        await expect(page.locator("[data-do=microphone]")).to_have_attribute("aria-pressed", "false")
        assert await page.evaluate("fanlight.state") == "playing"
