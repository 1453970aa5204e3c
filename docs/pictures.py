"""Takes the pictures of the documentation from a running box: `python -m docs.pictures`."""

import asyncio
import tempfile
from pathlib import Path

from playwright.async_api import Browser

from appliance.control.client import ControlClient
from tests.support.box import Box, box, chromium, settings, visitor
from tui.app import FanlightApp

HERE = Path(__file__).parent
PAGE = {"width": 1280, "height": 800}
CONFIGURATION = (
    settings(box='name = "studio"', video="fps = 60")
    + """
[[application]]
name = "desktop"
kind = "desktop"
size = "1280x800"
autostart = true

[[application]]
name = "test-pattern"
kind = "test-pattern"
"""
)


async def take_page(browser: Browser, link: str) -> None:
    """The desktop in the page, with the statistics open."""
    async with visitor(browser, viewport=PAGE) as person:
        page = await person.new_page()
        await page.goto(link)
        await page.wait_for_function("() => fanlight.state === 'playing'")
        await page.locator("#toolbar [data-do=stats]").click()
        await page.wait_for_timeout(6000)
        await page.screenshot(path=HERE / "page.png")


async def take_phone(browser: Browser, link: str) -> None:
    """The same on a phone."""
    async with visitor(browser, viewport={"width": 390, "height": 780}, has_touch=True) as person:
        page = await person.new_page()
        await page.goto(link)
        await page.wait_for_function("() => fanlight.state === 'playing'")
        await page.wait_for_timeout(3000)
        await page.screenshot(path=HERE / "phone.png")


async def take_tui(browser: Browser, running: Box, size: tuple[int, int], name: str) -> None:
    """The overview of the terminal UI, fed by the daemon."""
    app = FanlightApp(ControlClient(running.directory / "run" / "control.sock"))
    async with app.run_test(size=size) as pilot:
        await pilot.pause(12)
        svg = app.export_screenshot(title="fanlight tui")
    async with visitor(browser, viewport={"width": 1400, "height": 1000}) as person:
        page = await person.new_page()
        width, height = (
            round(float(each)) for each in svg.split('viewBox="0 0 ', 1)[1].split('"')[0].split()
        )
        await page.set_viewport_size({"width": width, "height": height})
        await page.set_content(f"<style>body{{margin:0}}svg{{width:{width}px}}</style>{svg}")
        await page.screenshot(path=HERE / name)


async def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        environment = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "HOME": scratch}
        async with box(Path(scratch), CONFIGURATION, env=environment) as running, chromium() as browser:
            await running.until("s['instances'] and s['instances'][0]['state'] == 'running'")
            control = (await running.cli("share", "desktop", "--role", "control"))["url"]
            view = (await running.cli("share", "desktop"))["url"]
            async with visitor(browser, viewport=PAGE) as other:
                page = await other.new_page()
                await page.goto(view)
                await take_page(browser, control)
                await take_phone(browser, control)
                await take_tui(browser, running, (120, 36), "tui.png")
                await take_tui(browser, running, (80, 24), "tui-80x24.png")


if __name__ == "__main__":
    asyncio.run(main())
