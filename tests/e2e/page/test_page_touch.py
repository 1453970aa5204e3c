"""A phone: fingers, and the on-screen keyboard."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import CDPSession, Page, expect

from tests.e2e.page.standin import HEIGHT, SESSION, WIDTH, StandIn

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

SCALE = 390 / WIDTH
BAND = (844 - HEIGHT * SCALE) / 2


@pytest.fixture
def options() -> dict[str, object]:
    return {
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 2,
    }


async def fingers(cdp: CDPSession, kind: str, *places: tuple[float, float]) -> None:
    points = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(places)]
    await cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


async def open_keyboard(page: Page) -> None:
    """By its button, also where the toolbar has gone away by itself."""
    await page.dispatch_event("#bar", "pointerenter", {"pointerType": "mouse"})
    await page.tap('[data-do="keyboard"]')


def buttons(box: StandIn) -> list[tuple[int, bool]]:
    return [(event["button"], event["pressed"]) for event in box.sent("input::mouse-button")]


def at(move: dict[str, Any], x: float, y: float) -> bool:
    """Whether a move is at a place of the screen, CSS pixels."""
    return abs(move["x"] - x / SCALE) < 2 and abs(move["y"] - (y - BAND) / SCALE) < 2


async def test_a_tap_clicks_where_it_lands(playing: Page, box: StandIn) -> None:
    await playing.touchscreen.tap(195, 422)
    await box.until(lambda: len(buttons(box)) == 2)
    assert buttons(box) == [(1, True), (1, False)]
    assert box.control[0][0] == "input::mouse-move"
    assert at(box.control[0][1], 195, 422)


async def test_a_drag_holds_the_left_button(playing: Page, box: StandIn) -> None:
    cdp = await playing.context.new_cdp_session(playing)
    # At once: a finger that stays where it is for half a second presses the right button.
    await asyncio.gather(fingers(cdp, "touchStart", (100, 400)), fingers(cdp, "touchMove", (120, 420)))
    for x in (160, 220):
        await fingers(cdp, "touchMove", (x, 420))
    await fingers(cdp, "touchEnd")
    await box.until(lambda: len(buttons(box)) == 2)
    assert buttons(box) == [(1, True), (1, False)]
    kinds = box.kinds("input::")
    moves = box.sent("input::mouse-move")
    assert kinds[:2] == ["input::mouse-move", "input::mouse-button"]
    assert kinds[-1] == "input::mouse-button"
    assert at(moves[0], 100, 400)
    assert at(moves[-1], 220, 420)


async def test_a_long_press_is_the_right_button(playing: Page, box: StandIn) -> None:
    cdp = await playing.context.new_cdp_session(playing)
    await fingers(cdp, "touchStart", (200, 430))
    await box.until(lambda: len(buttons(box)) == 2)
    await fingers(cdp, "touchEnd")
    await playing.touchscreen.tap(100, 400)
    await box.until(lambda: len(buttons(box)) == 4)
    assert buttons(box) == [(3, True), (3, False), (1, True), (1, False)]


async def test_two_fingers_turn_the_wheel(playing: Page, box: StandIn) -> None:
    cdp = await playing.context.new_cdp_session(playing)
    await fingers(cdp, "touchStart", (150, 500), (230, 500))
    for y in range(490, 390, -10):
        await fingers(cdp, "touchMove", (150, y), (230, y))
    await fingers(cdp, "touchEnd")
    await box.until(lambda: sum(turn["dy"] for turn in box.sent("fanlight::wheel")) > 60)
    assert buttons(box) == []


async def test_two_fingers_apart_magnify_here_and_map_on(playing: Page, box: StandIn) -> None:
    cdp = await playing.context.new_cdp_session(playing)
    await fingers(cdp, "touchStart", (185, 422), (205, 422))
    for spread in range(15, 100, 5):
        await fingers(cdp, "touchMove", (195 - spread, 422), (195 + spread, 422))
    await fingers(cdp, "touchEnd")
    rect = await playing.locator("#screen").bounding_box()
    assert rect is not None
    assert rect["width"] > 390 * 2
    assert box.sent("fanlight::wheel") == []
    await playing.touchscreen.tap(60, 430)
    await box.until(lambda: len(buttons(box)) == 2)
    move = box.sent("input::mouse-move")[-1]
    assert abs(move["x"] - (60 - rect["x"]) * WIDTH / rect["width"]) < 1


async def test_the_on_screen_keyboard_types_text_and_keys(playing: Page, box: StandIn) -> None:
    await open_keyboard(playing)
    await expect(playing.locator("#typing")).to_be_focused()
    cdp = await playing.context.new_cdp_session(playing)
    await cdp.send("Input.insertText", {"text": "Grüß"})
    await box.until(lambda: box.sent("input::ime-event") == [{"type": 1, "data": {"text": "Grüß"}}])
    await playing.keyboard.press("Backspace")
    await playing.keyboard.press("Enter")
    await box.until(lambda: len(box.sent("fanlight::key")) == 4)
    assert [key["code"] for key in box.sent("fanlight::key")] == ["Backspace", "Backspace", "Enter", "Enter"]


async def test_an_emoji_goes_with_one_press(playing: Page, box: StandIn) -> None:
    await open_keyboard(playing)
    cdp = await playing.context.new_cdp_session(playing)
    await cdp.send("Input.insertText", {"text": "hi😀"})
    await box.until(lambda: box.sent("input::ime-event") == [{"type": 1, "data": {"text": "hi😀"}}])
    await playing.keyboard.press("Backspace")
    await playing.keyboard.press("Enter")
    await box.until(lambda: any(key["code"] == "Enter" for key in box.sent("fanlight::key")))
    assert [key["code"] for key in box.sent("fanlight::key")][:3] == ["Backspace", "Backspace", "Enter"]


async def test_a_sticky_modifier_makes_a_shortcut(playing: Page, box: StandIn) -> None:
    await open_keyboard(playing)
    await playing.tap('#keys [data-code="ControlLeft"]')
    await expect(playing.locator('#keys [data-code="ControlLeft"]')).to_have_attribute("aria-pressed", "true")
    cdp = await playing.context.new_cdp_session(playing)
    await cdp.send("Input.insertText", {"text": "c"})
    await box.until(lambda: len(box.sent("fanlight::key")) == 4)
    assert [(key["code"], key["pressed"]) for key in box.sent("fanlight::key")] == [
        ("ControlLeft", True), ("KeyC", True), ("KeyC", False), ("ControlLeft", False),
    ]  # fmt: skip
    await playing.tap('#keys [data-code="Escape"]')
    await box.until(lambda: len(box.sent("fanlight::key")) == 6)
    await expect(playing.locator("#typing")).to_be_focused()


async def test_composition_is_followed_by_its_changes(playing: Page, box: StandIn) -> None:
    await open_keyboard(playing)
    cdp = await playing.context.new_cdp_session(playing)
    for text in ("h", "he", "hel", "help"):
        await cdp.send(
            "Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)}
        )
    await cdp.send("Input.insertText", {"text": "held"})
    typed = lambda: "".join(  # noqa: E731
        data["data"]["text"] if kind == "input::ime-event" else "<" if data["pressed"] else ""
        for kind, data in box.control
    )
    await box.until(lambda: typed().endswith("d"))
    assert typed() == "help<d"


@pytest.mark.parametrize("width", [390, 320])
async def test_everything_fits_a_narrow_screen_and_a_finger(playing: Page, width: int) -> None:
    await playing.set_viewport_size({"width": width, "height": 844})
    await playing.wait_for_function("(width) => document.documentElement.scrollWidth === width", arg=width)
    for button in await playing.locator("#toolbar button:visible").all():
        rect = await button.bounding_box()
        assert rect is not None
        assert rect["x"] >= 0
        assert rect["x"] + rect["width"] <= width
        assert rect["height"] >= 44


async def test_a_phone_that_is_turned_shows_no_less_than_fits(playing: Page) -> None:
    cdp = await playing.context.new_cdp_session(playing)
    await fingers(cdp, "touchStart", (155, 422), (235, 422))
    for spread in range(42, 62, 2):
        await fingers(cdp, "touchMove", (195 - spread, 422), (195 + spread, 422))
    await fingers(cdp, "touchEnd")
    assert 390 < (await playing.locator("#screen").bounding_box() or {})["width"] < 844
    await playing.set_viewport_size({"width": 844, "height": 390})
    await expect(playing.locator("#screen")).to_have_css("height", "390px")


async def test_the_row_of_keys_is_above_the_keyboard_of_ios(page: Page, box: StandIn) -> None:
    await page.add_init_script(
        """Object.defineProperty(window, 'visualViewport', {
          value: Object.assign(new EventTarget(), { height: 844, offsetTop: 0, scale: 1 }) })"""
    )
    await page.goto(f"{box.url}/#session={SESSION}")
    await page.wait_for_function("() => fanlight.state === 'playing'")
    await open_keyboard(page)
    await page.evaluate(
        """() => {
          Object.assign(visualViewport, { height: 450, offsetTop: 30 });
          visualViewport.dispatchEvent(new Event('resize'));
        }"""
    )
    row = await page.locator("#keys").bounding_box()
    assert row is not None
    assert row["y"] + row["height"] == 480
    await page.evaluate("document.querySelector('[data-do=\"keyboard\"]').click()")
    await expect(page.locator("#stage")).to_have_css("height", "844px")


async def test_the_caret_of_the_field_cannot_go_back(playing: Page, box: StandIn) -> None:
    await open_keyboard(playing)
    cdp = await playing.context.new_cdp_session(playing)
    await cdp.send("Input.insertText", {"text": "ab"})
    field = await playing.query_selector("#typing")
    await playing.evaluate("(field) => field.setSelectionRange(3, 3)", field)
    await playing.wait_for_function("(field) => field.selectionEnd === field.value.length", arg=field)
    await cdp.send("Input.insertText", {"text": "c"})
    await box.until(lambda: len(box.sent("input::ime-event")) == 2)
    assert box.sent("fanlight::key") == []


async def test_modifiers_of_a_real_keyboard_make_letters_only(playing: Page, box: StandIn) -> None:
    await open_keyboard(playing)
    await playing.keyboard.press("Shift+A")
    await playing.keyboard.press("Alt")
    await playing.keyboard.press("Enter")
    await box.until(lambda: len(box.sent("fanlight::key")) >= 2)
    assert [key["code"] for key in box.sent("fanlight::key")] == ["Enter", "Enter"]
    assert box.sent("input::ime-event") == [{"type": 1, "data": {"text": "A"}}]
