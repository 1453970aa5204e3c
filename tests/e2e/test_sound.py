"""Two programs on screens of their own, each heard by its own viewer in a real browser and by no other."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page

from tests.support.box import Box, box, chromium, comes_true, settings, visitor
from tests.support.sound_server import write_tone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

APPLICATION = """
[[application]]
name = "%s"
kind = "command"
command = ["sh", "-c", "while :; do %s; done"]
size = "320x240"
"""
ENERGY = """
async () => {
  const found = [...((await __probe.peers.at(-1)?.getStats()) ?? new Map()).values()];
  return found.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'audio')?.totalAudioEnergy;
}
"""


async def listen(context: BrowserContext, running: Box, application: str) -> Page:
    """A page that takes in the sound of `application`."""
    await running.cli("launch", application)
    await running.until("s['instances'][-1]['state'] == 'running'")
    page = await context.new_page()
    await page.goto((await running.cli("share", application, "--role", "view"))["url"])
    await comes_true(page, f"async () => (await ({ENERGY})()) !== undefined")
    return page


async def test_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", "")
    tone = tmp_path / "tone.wav"
    await asyncio.to_thread(write_tone, tone, 440)
    applications = APPLICATION % ("loud", f"paplay {tone}") + APPLICATION % ("quiet", "sleep 1")
    async with (
        box(tmp_path, settings() + applications) as running,
        chromium() as browser,
        visitor(browser) as context,
    ):
        loud, quiet = [await listen(context, running, name) for name in ("loud", "quiet")]
        await comes_true(loud, f"async () => (await ({ENERGY})()) > 0.01")
        assert not await quiet.evaluate(ENERGY)
        both = ["opus 48 kHz from fanlight.monitor"] * 2
        await running.until(f"[i['stats']['audio'] for i in s['instances']] == {both}")
