"""What a hand does with a mouse, arriving at the box as docs/protocol.md has it."""

import pytest
from playwright.async_api import Page

from tests.e2e.page.standin import HEIGHT, SESSION, WIDTH, StandIn, stand_in

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

SCALE = 1280 / WIDTH
BAND = (800 - HEIGHT * SCALE) / 2
"""Height of the black band above the fitted picture, in the 1280x800 window."""


async def last_move(box: StandIn, x: float, y: float) -> dict[str, float]:
    """Wait for the pointer to be at a place, video pixels."""
    near = lambda move: abs(move["x"] - x) < 1.1 and abs(move["y"] - y) < 1.1  # noqa: E731
    await box.until(lambda: any(near(move) for move in box.sent("input::mouse-move")[-1:]))
    return box.sent("input::mouse-move")[-1]


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


async def test_a_locked_pointer_sends_bare_movement(playing: Page, box: StandIn) -> None:
    await playing.hover("#handle")
    await playing.click('[data-do="lock"]')
    await playing.wait_for_function("() => document.pointerLockElement")
    await playing.mouse.move(700, 500)
    await playing.mouse.move(730, 480)
    await box.until(lambda: any("x" not in move for move in box.sent("input::mouse-move")))
    bare = [move for move in box.sent("input::mouse-move") if "x" not in move]
    assert all(isinstance(move["rx"], int) and isinstance(move["ry"], int) for move in bare)


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
