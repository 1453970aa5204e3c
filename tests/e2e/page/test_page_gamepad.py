"""A gamepad at the browser becomes one of the box: messages of docs/protocol.md, events of the kernel."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from evdev import ecodes
from playwright.async_api import BrowserContext, Page, expect

from appliance.bus.messages import Role
from appliance.signaling.control import parse_control
from appliance.streamer.input.gamepad import Gamepads
from appliance.streamer.input.router import InputRouter
from appliance.streamer.input.sink import NullSink
from appliance.streamer.input.uinput import UInput
from tests.e2e.page.standin import SESSION, StandIn, stand_in

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

XBOX = "Xbox 360 Controller (STANDARD GAMEPAD Vendor: 045e Product: 028e)"
SLOTS = """
const pads = [null, null, null, null];
window.looks = 0;
navigator.getGamepads = () => { window.looks += 1; return [...pads]; };
window.plug = (index, id, { mapping = 'standard', held = -1 } = {}) => {
  const buttons = Array.from({ length: 17 }, (_, button) =>
    ({ pressed: button === held, touched: button === held, value: Number(button === held) }));
  pads[index] = { index, id, mapping, buttons, axes: [0, 0, 0, 0], connected: true, timestamp: 0 };
  window.dispatchEvent(Object.assign(new Event('gamepadconnected'), { gamepad: pads[index] }));
};
window.unplug = (index) => {
  const gamepad = { ...pads[index], connected: false };
  pads[index] = null;
  window.dispatchEvent(Object.assign(new Event('gamepaddisconnected'), { gamepad }));
};
window.press = (index, button, value = 1) =>
  Object.assign(pads[index].buttons[button], { pressed: value > 0.1, touched: value > 0, value });
window.tilt = (index, axis, value) => { pads[index].axes[axis] = value; };
"""
"""Pads as the Gamepad API shows them, for Chromium, which has none here."""
A, X, LEFT_TRIGGER, UP, RIGHT = 0, 2, 6, 12, 15


class Files:
    """Stand for /dev/uinput: each device writes into one of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.pads = Gamepads(self._make)
        self.router = InputRouter(NullSink("no screen"), self.pads)

    def hear(self, text: str) -> None:
        self.router.handle("page", Role.CONTROL, parse_control(text))

    def events(self, number: int = 1) -> list[tuple[int, int, int]]:
        """What the device was told, without reports and times."""
        path = self._folder / f"Fanlight Gamepad {number}"
        written = struct.iter_unpack("@llHHi", path.read_bytes()) if path.exists() else ()
        return [event[2:] for event in written if event[2] != ecodes.EV_SYN]

    async def until(self, question: Callable[[], bool]) -> None:
        """Devices come and go in threads, and tell nobody."""
        async with asyncio.timeout(15):
            while not question():
                await asyncio.sleep(0.01)

    def _make(self, name: str) -> UInput:
        path = self._folder / name
        path.touch()
        return UInput(name, path, lambda *_: None)


@pytest_asyncio.fixture(loop_scope="session")
async def files(box: StandIn, tmp_path: Path) -> AsyncIterator[Files]:
    made = Files(tmp_path)
    box.listener = made.hear
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.pads.run())
        yield made
        task.cancel()


@pytest_asyncio.fixture(loop_scope="session")
async def context(context: BrowserContext) -> BrowserContext:
    await context.add_init_script(SLOTS)
    return context


def told(box: StandIn) -> list[tuple[str, Any]]:
    """Messages about gamepads."""
    return [(kind, data) for kind, data in box.control if "gamepad" in kind]


async def all_of_it(box: StandIn, before: int = 0) -> None:
    """Wait until everything of one pad was told."""
    await box.until(lambda: len(told(box)) - before >= 21)


async def frames(page: Page) -> None:
    """Let the page look a few times."""
    await page.evaluate(
        "async () => { for (let i = 0; i < 4; i++) await new Promise(requestAnimationFrame); }"
    )


async def test_what_is_pressed_at_the_browser_is_pressed_at_the_box(
    playing: Page, box: StandIn, files: Files
) -> None:
    await playing.evaluate("id => plug(0, id)", XBOX)
    await all_of_it(box)
    await files.until(lambda: files.pads.description == "1 in use")
    expected: list[tuple[int, int, int]] = []
    for act, event in (
        (f"press(0, {A})", (ecodes.EV_KEY, ecodes.BTN_A, 1)),
        (f"press(0, {X})", (ecodes.EV_KEY, ecodes.BTN_X, 1)),
        (f"press(0, {A}, 0)", (ecodes.EV_KEY, ecodes.BTN_A, 0)),
        (f"press(0, {LEFT_TRIGGER}, 0.05)", (ecodes.EV_ABS, ecodes.ABS_Z, 13)),
        (f"press(0, {LEFT_TRIGGER}, 1)", (ecodes.EV_ABS, ecodes.ABS_Z, 255)),
        (f"press(0, {UP})", (ecodes.EV_ABS, ecodes.ABS_HAT0Y, -1)),
        (f"press(0, {RIGHT})", (ecodes.EV_ABS, ecodes.ABS_HAT0X, 1)),
        ("tilt(0, 0, -1)", (ecodes.EV_ABS, ecodes.ABS_X, -32767)),
        ("tilt(0, 3, 0.5)", (ecodes.EV_ABS, ecodes.ABS_RY, 16384)),
    ):
        await playing.evaluate(act)
        expected.append(event)
        await files.until(lambda: files.events() == expected)
    await playing.evaluate("unplug(0)")
    await files.until(lambda: files.pads.description == "none in use")
    rest = {(kind, code): value for kind, code, value in files.events()}
    assert not any(rest.values()), "let go of before it was unplugged"


async def test_all_of_a_pad_is_told_first_and_then_what_changes(playing: Page, box: StandIn) -> None:
    await playing.evaluate("id => plug(2, id, { held: 0 })", XBOX)
    await all_of_it(box)
    buttons = [data for kind, data in told(box) if kind == "input::gamepad-button"]
    assert [data["index"] for data in buttons] == list(range(17))
    assert [data["index"] for data in buttons if data["pressed"]] == [A]
    assert [data["index"] for data in buttons if "value" in data] == [6, 7]
    axes = [data for kind, data in told(box) if kind == "input::gamepad-axes"]
    assert axes == [{"id": 2, "index": index, "value": 0} for index in range(4)]
    await playing.evaluate("tilt(2, 1, 0.123456)")
    await frames(playing)
    await playing.evaluate("press(2, 0, 0)")
    await box.until(lambda: len(told(box)) == 23)
    assert told(box)[21:] == [
        ("input::gamepad-axes", {"id": 2, "index": 1, "value": 0.1235}),
        ("input::gamepad-button", {"id": 2, "index": 0, "pressed": False}),
    ]


async def test_nobody_looks_where_no_pad_is_plugged_in(playing: Page, box: StandIn) -> None:
    before = await playing.evaluate("looks")
    await frames(playing)
    assert await playing.evaluate("looks") == before
    await playing.evaluate("id => plug(0, id)", XBOX)
    await all_of_it(box)
    await playing.evaluate("unplug(0)")
    await box.until(lambda: box.sent("fanlight::gamepad-gone") == [{"id": 0}])
    await frames(playing)
    before = await playing.evaluate("looks")
    await frames(playing)
    assert await playing.evaluate("looks") == before


async def test_a_pad_whose_layout_nobody_knows_is_told_of_once(playing: Page, box: StandIn) -> None:
    for _ in range(2):
        await playing.evaluate("plug(1, 'Odd Pad (Vendor: 1234)', { mapping: '' }); press(1, 3);")
        await frames(playing)
        await playing.evaluate("unplug(1)")
    await expect(playing.locator(".toast")).to_have_text(
        "This browser does not know how the buttons of “Odd Pad” are laid out, so it is not passed on."
    )
    await playing.keyboard.press("a")
    await box.until(lambda: len(box.sent("fanlight::key")) == 2)
    assert told(box) == []


async def test_a_page_that_is_left_tells_nothing_and_all_when_it_is_back(
    playing: Page, box: StandIn, files: Files
) -> None:
    await playing.evaluate("id => plug(0, id, { held: 0 })", XBOX)
    await all_of_it(box)
    await files.until(lambda: files.pads.description == "1 in use")
    await playing.evaluate("document.hasFocus = () => false; window.dispatchEvent(new Event('blur'))")
    await box.until(lambda: box.sent("fanlight::release"))
    await files.until(lambda: files.events()[-1:] == [(ecodes.EV_KEY, ecodes.BTN_A, 0)])
    await playing.evaluate("press(0, 2)")
    await frames(playing)
    count = len(told(box))
    await playing.evaluate("delete document.hasFocus")
    await all_of_it(box, count)
    await files.until(lambda: len(files.events()) == 4)
    assert {event[1:] for event in files.events()[2:]} == {(ecodes.BTN_A, 1), (ecodes.BTN_X, 1)}
    assert files.pads.description == "1 in use", "it was never unplugged"


async def test_a_new_connection_is_told_all(playing: Page, box: StandIn) -> None:
    await playing.evaluate("id => plug(0, id)", XBOX)
    await all_of_it(box)
    await box.tell("fanlight::restart", reason="the application started again")
    await all_of_it(box, 21)
    assert len(box.peers) == 2


async def test_who_only_watches_passes_none_on(page: Page, context: BrowserContext) -> None:
    async with stand_in(role="view") as box:
        await page.goto(f"{box.url}/#session={SESSION}")
        await page.wait_for_function("() => fanlight.state === 'playing' && fanlight.role === 'view'")
        await box.until(lambda: box.peer.channel)
        await page.evaluate("id => { plug(0, id); press(0, 0); }", XBOX)
        await frames(page)
        assert told(box) == []
        box.role = "control"
        box.peer.say("fanlight::role", {"peer": box.peer.id, "role": "control", "width": 640, "height": 360})
        await all_of_it(box)


async def test_the_statistics_name_a_pad_in_use(playing: Page) -> None:
    await playing.evaluate("id => plug(0, id)", XBOX)
    await playing.hover("#handle")
    await playing.click('[data-do="stats"]')
    stats = playing.locator("#stats")
    await expect(stats).to_contain_text("GamepadXbox 360 Controller1 in use")
    await playing.evaluate("unplug(0)")
    await expect(stats).not_to_contain_text("Gamepad")
