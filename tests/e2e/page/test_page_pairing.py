"""A stranger pairs by PIN, or comes by a share link."""

import pytest
from playwright.async_api import Page, expect

from tests.e2e.page.standin import PIN, SESSION, StandIn

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(autouse=True)
def stranger(box: StandIn) -> None:
    box.role = None


async def visit(page: Page, address: str) -> None:
    """Up to where the PIN can be typed."""
    await page.goto(address)
    await expect(page.locator("#pin")).to_be_focused()


async def test_the_right_pin_pairs_and_shows_what_runs(page: Page, box: StandIn) -> None:
    await visit(page, box.url)
    await expect(page.get_by_role("heading", name="atelier")).to_be_visible()
    await expect(page.get_by_label("PIN shown by the box")).to_have_attribute("inputmode", "numeric")
    await page.keyboard.type(PIN)
    await expect(page.locator(".room")).to_have_count(1)
    assert box.calls[0] == ("pair", {"pin": PIN, "name": "Chrome on Linux PC"})


async def test_a_wrong_pin_says_so_and_counts(page: Page, box: StandIn) -> None:
    await visit(page, box.url)
    for wrong in ("111111", "222222"):
        await page.keyboard.type(wrong)
        await box.until(
            lambda wrong=wrong: any(call == "pair" and said["pin"] == wrong for call, said in box.calls)
        )
        await expect(page.get_by_role("alert")).to_contain_text("wrong or has expired")
        await expect(page.locator("#pin")).to_have_value("")
    await expect(page.get_by_role("alert")).to_contain_text("2 tries")
    await expect(page.locator("#pin")).to_be_focused()
    await page.keyboard.type(PIN)
    await expect(page.locator(".room")).to_have_count(1)


async def test_too_many_tries_say_what_to_do(page: Page, box: StandIn) -> None:
    box.pair_status = 429
    await visit(page, box.url)
    await page.keyboard.type(PIN)
    await expect(page.get_by_role("alert")).to_contain_text("Wait a minute")


async def test_only_digits_are_taken_and_the_name_can_be_chosen(page: Page, box: StandIn) -> None:
    await visit(page, box.url)
    await page.get_by_label("Name of this browser").fill("Küche")
    await page.locator("#pin").focus()
    await page.keyboard.type("24a68-1")
    await expect(page.locator("#pin")).to_have_value("24681")
    await page.keyboard.type("0")
    await expect(page.locator(".room")).to_have_count(1)
    assert box.calls[0][1]["name"] == "Küche"


async def test_a_session_link_plays_after_pairing(page: Page, box: StandIn) -> None:
    await visit(page, f"{box.url}/#session={SESSION}")
    await page.keyboard.type(PIN)
    await page.wait_for_function("() => fanlight.state === 'playing'")


async def test_a_share_link_goes_straight_into_the_stream_and_leaves_no_token(
    page: Page, box: StandIn
) -> None:
    await page.goto(f"{box.url}/#share=good")
    await page.wait_for_function("() => fanlight.state === 'playing' && fanlight.role === 'view'")
    await expect(page.locator("#watching")).to_be_visible()
    assert page.url == f"{box.url}/#session={SESSION}"
    await page.reload()
    await page.wait_for_function("() => fanlight.state === 'playing'")
    assert [call for call, _ in box.calls].count("guest") == 1


async def test_a_dead_share_link_says_so(page: Page, box: StandIn) -> None:
    await page.goto(f"{box.url}/#share=old")
    await expect(page.get_by_role("alert")).to_contain_text("This link no longer works")
    await page.get_by_role("button", name="Go to the box").click()
    await expect(page.locator("#pin")).to_be_visible()


async def test_a_pin_is_pasted_as_the_box_shows_it(page: Page, box: StandIn) -> None:
    await visit(page, box.url)
    await page.keyboard.insert_text(f"{PIN[:3]} {PIN[3:]}")
    await expect(page.locator(".room")).to_have_count(1)
