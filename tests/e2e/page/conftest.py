"""One Chromium for all tests of the page; a stand-in and a fresh browser context for each."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.e2e.page.standin import SESSION, StandIn, stand_in
from tests.support.box import chromium

expect.set_options(timeout=15_000)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium(options=("--use-fake-device-for-media-stream",)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def box() -> AsyncIterator[StandIn]:
    async with stand_in() as running:
        yield running


@pytest.fixture
def options() -> dict[str, object]:
    """Of the browser context; a module overrides it for another device."""
    return {"viewport": {"width": 1280, "height": 800}}


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, options: dict[str, object]) -> AsyncIterator[BrowserContext]:
    made = await browser.new_context(**options)  # type: ignore[arg-type]
    made.set_default_timeout(15_000)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """An empty page that fails the test on an uncaught error or a breach of the content security policy."""
    troubles: list[str] = []
    made = await context.new_page()
    made.on("pageerror", lambda error: troubles.append(str(error)))
    made.on(
        "console",
        lambda message: re.search("Content Security Policy", message.text) and troubles.append(message.text),
    )
    yield made
    assert not troubles


@pytest_asyncio.fixture(loop_scope="session")
async def playing(page: Page, box: StandIn) -> Page:
    """A page that shows the picture, and has heard on the control channel who it is."""
    await page.goto(f"{box.url}/#session={SESSION}")
    await page.wait_for_function("() => fanlight.state === 'playing' && fanlight.peer")
    return page
