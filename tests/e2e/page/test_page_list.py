"""The list of what runs and what could."""

import pytest
from playwright.async_api import Page, expect

from tests.e2e.page.standin import SESSION, StandIn, instance

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_a_card_tells_what_it_is_and_plays(page: Page, box: StandIn) -> None:
    await page.goto(box.url)
    card = page.get_by_role("button", name="desktop")
    await expect(card).to_contain_text("Live")
    await expect(card).to_contain_text("1080 · 2 viewers")
    await expect(card.locator(".pane.lit")).to_have_count(2)
    await card.click()
    await page.wait_for_function("() => fanlight.state === 'playing' && fanlight.peer")
    assert page.url.endswith(f"#session={SESSION}")
    await page.go_back()
    await expect(card).to_be_visible()
    await box.until(lambda: box.sent("stream::disconnect"))


async def test_the_list_keeps_itself_fresh(page: Page, box: StandIn) -> None:
    await page.goto(box.url)
    await expect(page.locator(".room")).to_have_count(1)
    box.instances = [
        instance(SESSION, "desktop", viewers=3),
        instance("x", "kicad", status="error", message="it exited"),
    ]
    await expect(page.locator(".room")).to_have_count(2)
    await expect(page.locator(".room").first).to_contain_text("3 viewers")
    await expect(page.locator(".room").last).to_contain_text("Failed")
    await expect(page.locator(".room").last).to_contain_text("it exited")
    box.instances = []
    await expect(page.get_by_text("Nothing runs at the moment")).to_be_visible()


async def test_looking_again_leaves_nothing_behind(page: Page, box: StandIn) -> None:
    await page.add_init_script(
        """{
          window.listeners = 0;
          const { addEventListener, removeEventListener } = AbortSignal.prototype;
          AbortSignal.prototype.addEventListener = function (...listening) {
            window.listeners += 1;
            return addEventListener.apply(this, listening);
          };
          AbortSignal.prototype.removeEventListener = function (...listening) {
            window.listeners -= 1;
            return removeEventListener.apply(this, listening);
          };
        }"""
    )
    await page.goto(box.url)
    await expect(page.locator(".room")).to_have_count(1)
    for viewers in (3, 4, 5):
        box.instances = [instance(SESSION, "desktop", viewers=viewers)]
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await expect(page.locator(".room")).to_contain_text(f"{viewers} viewers")
    assert await page.evaluate("listeners") <= 1


async def test_an_application_is_launched_into_its_stream(page: Page, box: StandIn) -> None:
    await page.goto(box.url)
    await page.get_by_role("button", name="glxgears").click()
    await page.wait_for_function("() => fanlight.state === 'playing'")
    assert ("launch", {"application": "glxgears"}) in box.calls


async def test_a_failed_launch_says_why(page: Page, box: StandIn) -> None:
    await page.goto(box.url)
    button = page.get_by_role("button", name="glxgears")
    await expect(button).to_be_visible()
    await page.route("**/fanlight/instances", lambda route: route.abort())  # the button stays
    box.applications = []
    await button.click()
    await expect(page.get_by_role("status").filter(has_text="no such application")).to_be_visible()


async def test_who_may_only_watch_launches_nothing(page: Page, box: StandIn) -> None:
    box.role = "view"
    await page.goto(box.url)
    await expect(page.locator(".room")).to_have_count(1)
    await expect(page.get_by_role("button", name="glxgears")).to_be_hidden()


async def test_text_of_the_box_is_never_markup(page: Page, box: StandIn) -> None:
    box.instances = [instance(SESSION, "<img src=x onerror=window.bad=1>", message="<b>bold</b>")]
    await page.goto(box.url)
    await expect(page.locator(".room")).to_contain_text("<b>bold</b>")
    assert await page.evaluate("window.bad") is None


async def test_a_box_that_stops_answering_is_reported_and_found_again(page: Page, box: StandIn) -> None:
    await page.goto(box.url)
    await expect(page.locator(".room")).to_have_count(1)
    await page.context.set_offline(True)
    await expect(page.locator(".offline")).to_contain_text("does not answer")
    await page.context.set_offline(False)
    await expect(page.locator(".offline")).to_be_hidden()


async def test_unpairing_asks_twice(page: Page, box: StandIn) -> None:
    await page.goto(box.url)
    await page.get_by_role("button", name="Unpair this browser").click()
    await page.get_by_role("button", name="Really").click()
    await expect(page.locator("#pin")).to_be_visible()
    assert [call for call, _ in box.calls] == ["leave"]
