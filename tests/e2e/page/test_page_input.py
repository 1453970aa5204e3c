"""What hands do on a desk: keys, mouse, wheel, clipboard, arriving at the box as docs/protocol.md has it."""

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.e2e.page.standin import HEIGHT, SESSION, WIDTH, StandIn, stand_in
from tests.support.box import comes_true

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

SCALE = 1280 / WIDTH
BAND = (800 - HEIGHT * SCALE) / 2
"""Height of the black band above the fitted picture, in the 1280x800 window."""
STRIKE = """
  (event) => document.activeElement.dispatchEvent(
    new KeyboardEvent(event.type, { bubbles: true, cancelable: true, ...event }))
"""
STRIKE_PASTE = f"({STRIKE})({{ type: 'keydown', code: 'KeyV', key: 'v', ctrlKey: true }});"
"""The page waits a tenth of a second for what belongs to it: that is in the same call."""


async def last_move(box: StandIn, x: float, y: float) -> dict[str, float]:
    """Wait for the pointer to be at a place, video pixels."""
    near = lambda move: abs(move["x"] - x) < 1.1 and abs(move["y"] - y) < 1.1  # noqa: E731
    await box.until(lambda: any(near(move) for move in box.sent("input::mouse-move")[-1:]))
    return box.sent("input::mouse-move")[-1]


def pressed(box: StandIn) -> list[tuple[str, bool]]:
    return [(key["code"], key["pressed"]) for key in box.sent("fanlight::key")]


async def test_keys_go_by_code_down_and_up(playing: Page, box: StandIn) -> None:
    await playing.keyboard.down("Shift")
    await playing.keyboard.press("a")
    await playing.keyboard.up("Shift")
    await playing.keyboard.press("F5")
    await playing.keyboard.press("Tab")
    await playing.keyboard.press("Escape")
    await box.until(lambda: len(box.sent("fanlight::key")) == 10)
    keys = [(key["code"], key["pressed"]) for key in box.sent("fanlight::key")]
    assert keys == [
        ("ShiftLeft", True), ("KeyA", True), ("KeyA", False), ("ShiftLeft", False),
        ("F5", True), ("F5", False), ("Tab", True), ("Tab", False), ("Escape", True), ("Escape", False),
    ]  # fmt: skip
    assert await playing.evaluate("fanlight.connections") == 1, "F5 went to the box, not to the browser"


async def test_a_held_key_is_sent_once(playing: Page, box: StandIn) -> None:
    for _ in range(4):
        await playing.keyboard.down("x")
    await playing.keyboard.up("x")
    await box.until(lambda: len(box.sent("fanlight::key")) == 2)


async def test_losing_focus_lets_go_of_everything(playing: Page, box: StandIn) -> None:
    await playing.keyboard.down("Control")
    await playing.evaluate("window.dispatchEvent(new Event('blur'))")
    await box.until(lambda: box.sent("fanlight::release"))
    await playing.keyboard.up("Control")
    await playing.keyboard.press("b")
    await box.until(lambda: len(box.sent("fanlight::key")) == 3)
    assert [key["code"] for key in box.sent("fanlight::key")] == ["ControlLeft", "KeyB", "KeyB"]


@pytest.mark.parametrize(
    ("place", "pixel"),
    [
        ((640, 400), (WIDTH / 2, HEIGHT / 2)),
        ((0, BAND), (0, 0)),
        ((1279, BAND + HEIGHT * SCALE - 1), (WIDTH - 1, HEIGHT - 1)),
        ((100, 100), (100 / SCALE, (100 - BAND) / SCALE)),
        ((640, 5 + BAND / 2), (WIDTH / 2, 0)),
    ],
)
async def test_a_fitted_picture_maps_places_through_its_bands(
    playing: Page, box: StandIn, place: tuple[float, float], pixel: tuple[float, float]
) -> None:
    await playing.evaluate("document.querySelector('#bar').hidden = true")
    await playing.mouse.move(*place)
    move = await last_move(box, *pixel)
    assert 0 <= move["x"] <= WIDTH - 1
    assert 0 <= move["y"] <= HEIGHT - 1


async def test_a_small_picture_at_its_own_size_lies_in_the_middle(playing: Page, box: StandIn) -> None:
    await playing.hover("#handle")
    await playing.click('[data-do="size"]')
    left, top = (1280 - WIDTH) / 2, (800 - HEIGHT) / 2
    await playing.mouse.move(left + 33, top + 44)
    await last_move(box, 33, 44)
    rect = await playing.locator("#screen").bounding_box()
    assert rect == {"x": left, "y": top, "width": WIDTH, "height": HEIGHT}


async def test_a_large_picture_at_its_own_size_follows_the_pointer(page: Page) -> None:
    async with stand_in(width=1600, height=1000) as box:
        await page.goto(f"{box.url}/#session={SESSION}")
        await page.wait_for_function("() => fanlight.state === 'playing' && fanlight.peer")
        await page.evaluate("document.querySelector('[data-do=\"size\"]').click()")
        await page.mouse.move(400, 300)
        await last_move(box, 400, 300)
        await page.mouse.move(1275, 795)
        await box.until(lambda: box.sent("input::mouse-move")[-1]["x"] >= 1594)
        await last_move(box, 1595, 995)
        await page.mouse.move(640, 400)
        await last_move(box, 640 + 320, 400 + 200)
        assert (await page.locator("#screen").bounding_box() or {})["width"] == 1600


async def test_buttons_come_after_the_move_and_in_order(playing: Page, box: StandIn) -> None:
    await playing.mouse.move(640, 400)
    await last_move(box, 320, 180)
    box.control.clear()
    await playing.mouse.move(700, 400)
    await playing.mouse.down()
    await playing.mouse.down(button="right")
    await playing.mouse.up()
    await playing.mouse.up(button="right")
    await playing.mouse.down(button="middle")
    await playing.mouse.up(button="middle")
    await box.until(lambda: len(box.sent("input::mouse-button")) == 6)
    assert [(event["button"], event["pressed"]) for event in box.sent("input::mouse-button")] == [
        (1, True), (3, True), (1, False), (3, False), (2, True), (2, False),
    ]  # fmt: skip
    first = next(index for index, (kind, _) in enumerate(box.control) if kind == "input::mouse-button")
    kind, move = box.control[first - 1]
    assert kind == "input::mouse-move"
    assert abs(move["x"] - 350) < 1


async def test_a_press_is_lifted_even_outside_of_the_picture(playing: Page, box: StandIn) -> None:
    await playing.mouse.move(640, 400)
    await playing.mouse.down()
    await playing.mouse.move(-50, 1000)
    await playing.mouse.up()
    await box.until(lambda: len(box.sent("input::mouse-button")) == 2)
    assert box.sent("input::mouse-button")[-1] == {"button": 1, "pressed": False}


async def test_moves_are_one_a_frame_and_none_is_lost_at_the_end(playing: Page, box: StandIn) -> None:
    counts = await playing.evaluate(
        """async () => {
          const surface = document.querySelector('#surface');
          let frames = 0;
          const began = performance.now();
          for (let step = 0; step < 20; step++) {
            for (let each = 0; each < 10; each++) {
              surface.dispatchEvent(new PointerEvent('pointermove', {
                clientX: 300 + step * 10 + each, clientY: 300, pointerType: 'mouse', buttons: 0 }));
            }
            await new Promise(requestAnimationFrame);
            frames++;
          }
          return frames;
        }"""
    )
    await last_move(box, 499 / SCALE, (300 - BAND) / SCALE)
    assert len(box.sent("input::mouse-move")) <= counts + 2


async def test_what_is_flushed_may_mark_the_next_frame(page: Page, box: StandIn) -> None:
    await page.goto(box.url)
    counts = await page.evaluate(
        """async () => {
          const { perFrame } = await import('/input/coalesce.js');
          const counts = [];
          let flushed = 0;
          const move = perFrame(() => {
            flushed += 1;
            if (flushed < 20) move.mark();
          });
          move.mark();
          for (let frame = 0; frame < 3; frame++) {
            counts.push(flushed);
            await new Promise(requestAnimationFrame);
          }
          return counts;
        }"""
    )
    assert counts == [1, 2, 3], "the border of a large picture pushes it step by step"


async def test_the_wheel_is_in_pixels_down_positive(playing: Page, box: StandIn) -> None:
    await playing.mouse.move(640, 400)
    await playing.mouse.wheel(0, 120)
    await box.until(lambda: sum(turn["dy"] for turn in box.sent("fanlight::wheel")) == 120)
    await playing.evaluate(
        "document.querySelector('#surface').dispatchEvent(new WheelEvent('wheel',"
        " {deltaY: -3, deltaMode: WheelEvent.DOM_DELTA_LINE, cancelable: true}))"
    )
    await box.until(lambda: sum(turn["dy"] for turn in box.sent("fanlight::wheel")) == 0)


async def test_the_context_menu_stays_away(playing: Page) -> None:
    prevented = await playing.evaluate(
        "!document.querySelector('#screen').dispatchEvent("
        "new MouseEvent('contextmenu', {bubbles: true, cancelable: true}))"
    )
    assert prevented


async def test_who_only_watches_sends_nothing(page: Page, box: StandIn) -> None:
    box.role = "view"
    await page.goto(f"{box.url}/#session={SESSION}")
    await page.wait_for_function("() => fanlight.state === 'playing' && fanlight.role === 'view'")
    await page.wait_for_function("() => fanlight.peer")
    await expect(page.locator("#watching")).to_be_visible()
    await page.mouse.click(640, 400)
    await page.mouse.wheel(0, 120)
    await page.keyboard.press("a")
    for control in ("lock", "keyboard", "clipboard"):
        await expect(page.locator(f'[data-do="{control}"]').first).to_be_hidden()
    box.role = "control"
    box.peer.say("fanlight::role", {"peer": box.peer.id, "role": "control", "width": WIDTH, "height": HEIGHT})
    await expect(page.locator("#watching")).to_be_hidden()
    await page.keyboard.press("b")
    await box.until(lambda: len(box.sent("fanlight::key")) == 2)
    assert box.kinds() == ["fanlight::key", "fanlight::key"], "nothing before the role changed"


async def test_the_text_is_there_before_the_paste_key(
    playing: Page, box: StandIn, context: BrowserContext
) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await playing.evaluate("navigator.clipboard.writeText('Grüße 🎐')")
    await playing.keyboard.press("Control+v")
    await box.until(lambda: len(box.sent("fanlight::key")) == 4)
    kinds = [(kind, data.get("code"), data.get("pressed")) for kind, data in box.control]
    assert kinds == [
        ("fanlight::key", "ControlLeft", True), ("fanlight::clipboard", None, None),
        ("fanlight::key", "KeyV", True), ("fanlight::key", "KeyV", False),
        ("fanlight::key", "ControlLeft", False),
    ]  # fmt: skip
    assert box.sent("fanlight::clipboard") == [{"text": "Grüße 🎐"}]


async def test_the_same_text_is_brought_along_again(
    playing: Page, box: StandIn, context: BrowserContext
) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await playing.evaluate("navigator.clipboard.writeText('twice')")
    for times in (1, 2):  # somebody else may have put another text there in between
        await playing.keyboard.press("Control+v")
        await box.until(lambda: len(box.sent("fanlight::clipboard")) == times)  # noqa: B023


async def test_the_clipboard_of_the_box_arrives(playing: Page, box: StandIn, context: BrowserContext) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await playing.mouse.click(640, 400)
    box.peer.say("fanlight::clipboard", {"text": "from the box"})
    await comes_true(playing, "async () => (await navigator.clipboard.readText()) === 'from the box'")


async def test_what_was_copied_elsewhere_meanwhile_stays(playing: Page, box: StandIn) -> None:
    await playing.evaluate(
        """() => {
          window.refuses = true;
          window.refused = 0;
          window.written = [];
          navigator.clipboard.writeText = async (text) => {
            if (window.refuses) {
              window.refused += 1;
              throw new Error('not without a gesture');
            }
            window.written.push(text);
          };
        }"""
    )
    await playing.mouse.click(640, 400)
    for refused, (text, leaves) in enumerate((("stays", False), ("leaves", True)), 1):
        box.peer.say("fanlight::clipboard", {"text": text})
        await playing.wait_for_function(f"() => window.refused === {refused}")
        if leaves:
            await playing.evaluate("window.dispatchEvent(new Event('blur'))")
        await playing.evaluate("window.refuses = false")
        await playing.keyboard.press("a")
        await playing.evaluate("window.refuses = true")
    await box.until(lambda: len(box.sent("fanlight::key")) == 4)
    assert await playing.evaluate("written") == ["stays"]


async def test_the_clipboard_dialog_sends_text_and_takes_the_keys(playing: Page, box: StandIn) -> None:
    await playing.hover("#handle")
    await playing.click('[data-do="clipboard"]')
    await playing.keyboard.type("typed here")
    await playing.get_by_role("button", name="Send to the box").click()
    await box.until(lambda: box.sent("fanlight::clipboard") == [{"text": "typed here"}])
    assert box.sent("fanlight::key") == []
    await expect(playing.locator("#screen")).to_be_focused()


async def test_text_that_is_too_long_is_refused_here(playing: Page, box: StandIn) -> None:
    await playing.hover("#handle")
    await playing.click('[data-do="clipboard"]')
    await playing.locator("#clipboard-content").fill("x" * 300_000)
    await playing.get_by_role("button", name="Send to the box").click()
    await expect(playing.get_by_role("status").filter(has_text="too long")).to_be_visible()
    assert box.sent("fanlight::clipboard") == []


async def test_text_that_cannot_go_at_the_moment_is_kept_with_a_word(playing: Page, box: StandIn) -> None:
    await playing.hover("#handle")
    await playing.click('[data-do="clipboard"]')
    box.silent = True
    await box.peer.pc.close()
    await playing.wait_for_function("() => fanlight.state === 'reconnecting'")
    await playing.locator("#clipboard-content").fill("late")
    await playing.get_by_role("button", name="Send to the box").click()
    await expect(playing.get_by_role("status").filter(has_text="no connection")).to_be_visible()
    await expect(playing.locator("#clipboard-content")).to_have_value("late")


async def test_a_locked_pointer_sends_bare_movement(playing: Page, box: StandIn) -> None:
    await playing.hover("#handle")
    await playing.click('[data-do="lock"]')
    await playing.wait_for_function("() => document.pointerLockElement")
    await playing.mouse.move(700, 500)
    await playing.mouse.move(730, 480)
    await box.until(lambda: any("x" not in move for move in box.sent("input::mouse-move")))
    bare = [move for move in box.sent("input::mouse-move") if "x" not in move]
    assert all(isinstance(move["rx"], int) and isinstance(move["ry"], int) for move in bare)


async def test_of_two_shifts_the_last_lifted_is_both(playing: Page, box: StandIn) -> None:
    await playing.keyboard.down("ShiftLeft")
    await playing.keyboard.down("ShiftRight")
    await playing.keyboard.up("ShiftRight")  # all that Windows tells
    await box.until(lambda: len(pressed(box)) == 4)
    assert set(pressed(box)[2:]) == {("ShiftLeft", False), ("ShiftRight", False)}


@pytest.mark.parametrize(
    ("kind", "code", "key"),
    [
        ("keydown", "Backquote", "Zenkaku"),
        ("keydown", "CapsLock", "Alphanumeric"),
        ("keyup", "PrintScreen", "PrintScreen"),
    ],
)
async def test_keys_of_which_windows_tells_one_half(
    playing: Page, box: StandIn, kind: str, code: str, key: str
) -> None:
    await playing.evaluate(STRIKE, {"type": kind, "code": code, "key": key})
    await box.until(lambda: len(pressed(box)) == 2)
    assert pressed(box) == [(code, True), (code, False)]


async def test_a_paste_key_that_waits_as_the_focus_goes_is_not_pressed(playing: Page, box: StandIn) -> None:
    await playing.evaluate(
        f"""() => {{
          {STRIKE_PASTE}
          window.dispatchEvent(new Event('blur'));
          return new Promise((resolve) => {{ setTimeout(resolve, 100); }});  // as the key would wait
        }}"""
    )
    await playing.keyboard.press("b")
    await box.until(lambda: ("KeyB", False) in pressed(box))
    assert pressed(box) == [("KeyB", True), ("KeyB", False)]


async def test_lines_of_windows_end_as_those_of_the_box(playing: Page, box: StandIn) -> None:
    await playing.evaluate(
        f"""() => {{
          {STRIKE_PASTE}
          const clipboardData = new DataTransfer();
          clipboardData.setData('text/plain', 'one\\r\\ntwo\\r\\n');
          document.activeElement.dispatchEvent(
            new ClipboardEvent('paste', {{ bubbles: true, cancelable: true, clipboardData }}));
        }}"""
    )
    await box.until(lambda: box.sent("fanlight::clipboard"))
    assert box.sent("fanlight::clipboard") == [{"text": "one\ntwo\n"}]


async def test_a_press_that_began_on_the_toolbar_is_none_here(playing: Page, box: StandIn) -> None:
    await playing.hover("#handle")
    await playing.hover('[data-do="leave"]')
    await playing.mouse.down()
    await playing.mouse.move(640, 400)
    await playing.mouse.up()
    await playing.mouse.click(640, 400, button="right")
    await box.until(lambda: {"button": 3, "pressed": False} in box.sent("input::mouse-button"))
    assert [event["button"] for event in box.sent("input::mouse-button")] == [3, 3]


async def test_a_place_that_was_dropped_is_told_before_the_press(page: Page, box: StandIn) -> None:
    await page.goto(box.url)
    said = await page.evaluate(
        """async () => {
          const { attachPointer } = await import('/input/pointer.js');
          const surface = document.createElement('div');
          surface.setPointerCapture = () => undefined;
          const said = [];
          const send = (type, data, droppable = false) => {
            if (!droppable) said.push([type, data.x ?? null]);
            return !droppable;
          };
          const view = { follow: () => false, toVideo: (x, y) => ({ x, y }) };
          const clipboard = { gesture: () => undefined };
          attachPointer({ surface, screen: surface, view, clipboard, send }, new AbortController().signal);
          for (const [type, buttons] of [['pointermove', 0], ['pointerdown', 1]]) {
            const what = { pointerType: 'mouse', clientX: 7, clientY: 8, buttons };
            surface.dispatchEvent(new PointerEvent(type, what));
          }
          return said;
        }"""
    )
    assert said == [["input::mouse-move", 7], ["input::mouse-button", None]]


async def test_who_may_only_watch_any_more_has_the_pointer_and_no_dialog(playing: Page, box: StandIn) -> None:
    view = {"peer": box.peer.id, "role": "view", "width": WIDTH, "height": HEIGHT}
    await playing.hover("#handle")
    await playing.click('[data-do="lock"]')
    await playing.wait_for_function("() => document.pointerLockElement")
    box.peer.say("fanlight::role", view)
    await playing.wait_for_function("() => !document.pointerLockElement")
    box.peer.say("fanlight::role", view | {"role": "control"})
    await playing.hover("#handle")
    await playing.click('[data-do="clipboard"]')
    await expect(playing.locator("#clipboard-content")).to_be_visible()
    box.peer.say("fanlight::role", view)
    await expect(playing.locator("#clipboard-content")).to_be_hidden()
