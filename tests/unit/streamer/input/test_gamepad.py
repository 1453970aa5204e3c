"""Whose gamepads there are, and what they show."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Callable, Iterable

import pytest
from evdev import ecodes

from appliance.signaling.control import GamepadAxis, GamepadButton
from appliance.streamer.input.gamepad import MOST, Gamepads
from appliance.streamer.input.uinput import Event

pytestmark = pytest.mark.unit

A, START = 0, 9
LEFT_TRIGGER, RIGHT_TRIGGER = 6, 7
UP, DOWN, LEFT, RIGHT = 12, 13, 14, 15


class FakeDevice:
    """Notes what it is told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reports: list[list[Event]] = []
        self.plugged = True
        self.broken = False

    @property
    def events(self) -> list[Event]:
        return [event for report in self.reports for event in report]

    def emit(self, events: Iterable[Event]) -> None:
        if self.broken:
            raise OSError(errno.ENODEV, "No such device")
        assert self.plugged
        self.reports.append(list(events))

    def close(self) -> None:
        assert self.plugged
        self.plugged = False


class Plugs:
    """The kernel, and whoever waits for it."""

    def __init__(self) -> None:
        self.devices: list[FakeDevice] = []
        self.tries = 0
        self.refuses: OSError | None = None
        self.pads = Gamepads(self._make)

    @property
    def plugged(self) -> list[str]:
        return [each.name for each in self.devices if each.plugged]

    async def until(self, question: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not question():
                await asyncio.sleep(0)

    async def pressed(self, viewer: str = "ada", gamepad: int = 0) -> FakeDevice:
        """A pad that is there, on which A is pressed."""
        count = len(self.devices)
        self.pads.take(viewer, GamepadButton(gamepad, A, True))
        await self.until(lambda: len(self.devices) > count and self.devices[-1].reports)
        return self.devices[-1]

    def _make(self, name: str) -> FakeDevice:
        self.tries += 1
        if self.refuses:
            raise self.refuses
        self.devices.append(FakeDevice(name))
        return self.devices[-1]


@pytest.fixture
async def plugs() -> AsyncIterator[Plugs]:
    made = Plugs()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.pads.run())
        yield made
        task.cancel()


BUTTONS = {
    0: ecodes.BTN_A, 1: ecodes.BTN_B, 2: ecodes.BTN_X, 3: ecodes.BTN_Y, 4: ecodes.BTN_TL, 5: ecodes.BTN_TR,
    8: ecodes.BTN_SELECT, 9: ecodes.BTN_START, 10: ecodes.BTN_THUMBL, 11: ecodes.BTN_THUMBR,
    16: ecodes.BTN_MODE,
}  # fmt: skip


async def test_every_button_of_the_standard_layout_is_that_of_the_kernel(plugs: Plugs) -> None:
    device = await plugs.pressed(gamepad=1)
    device.reports.clear()
    for index in BUTTONS:
        plugs.pads.take("ada", GamepadButton(1, index, index != A))
    assert device.events == [(ecodes.EV_KEY, code, int(index != A)) for index, code in BUTTONS.items()]


async def test_directions_are_a_hat_whose_two_sides_cancel_out(plugs: Plugs) -> None:
    device = await plugs.pressed()
    device.reports.clear()
    for index, pressed in ((UP, True), (LEFT, True), (RIGHT, True), (LEFT, False), (UP, False), (DOWN, True)):
        plugs.pads.take("ada", GamepadButton(0, index, pressed))
    x, y = ecodes.ABS_HAT0X, ecodes.ABS_HAT0Y
    assert [event[1:] for event in device.events] == [(y, -1), (x, -1), (x, 0), (x, 1), (y, 0), (y, 1)]
    assert {event[0] for event in device.events} == {ecodes.EV_ABS}


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (GamepadButton(0, LEFT_TRIGGER, False, 0.2), (ecodes.ABS_Z, 51)),
        (GamepadButton(0, RIGHT_TRIGGER, True, 1.0), (ecodes.ABS_RZ, 255)),
        (GamepadButton(0, RIGHT_TRIGGER, True), (ecodes.ABS_RZ, 255)),
        (GamepadAxis(0, 0, -1.0), (ecodes.ABS_X, -32767)),
        (GamepadAxis(0, 1, 1.0), (ecodes.ABS_Y, 32767)),
        (GamepadAxis(0, 2, 0.5), (ecodes.ABS_RX, 16384)),
        (GamepadAxis(0, 3, -0.00001), None),
    ],
)
async def test_triggers_and_sticks_have_values(
    message: GamepadButton | GamepadAxis, event: tuple[int, int] | None, plugs: Plugs
) -> None:
    device = await plugs.pressed()
    device.reports.clear()
    plugs.pads.take("ada", message)
    assert device.events == ([(ecodes.EV_ABS, *event)] if event else [])


async def test_what_is_not_new_or_has_no_place_is_not_said(plugs: Plugs) -> None:
    device = await plugs.pressed()
    for message in (GamepadButton(0, A, True), GamepadButton(0, 17, True), GamepadAxis(0, 4, 1.0)):
        plugs.pads.take("ada", message)
    assert device.reports == [[(ecodes.EV_KEY, ecodes.BTN_A, 1)]]


async def test_what_was_pressed_before_the_device_was_there_is_shown_in_one_report(plugs: Plugs) -> None:
    plugs.pads.take("ada", GamepadButton(0, A, True))
    plugs.pads.take("ada", GamepadAxis(0, 1, 1.0))
    plugs.pads.take("ada", GamepadButton(0, START, False))
    await plugs.until(lambda: plugs.devices and plugs.devices[0].reports)
    assert plugs.devices[0].reports == [
        [(ecodes.EV_KEY, ecodes.BTN_A, 1), (ecodes.EV_ABS, ecodes.ABS_Y, 32767)]
    ]


async def test_each_pad_of_each_viewer_is_a_device_and_goes_at_rest(plugs: Plugs) -> None:
    mine, other, hers = await plugs.pressed(), await plugs.pressed("ada", 1), await plugs.pressed("bob")
    assert plugs.plugged == ["Fanlight Gamepad 1", "Fanlight Gamepad 2", "Fanlight Gamepad 3"]
    await plugs.until(lambda: plugs.pads.description == "3 in use")
    plugs.pads.unplug("ada", 1)
    assert other.reports[-1] == [(ecodes.EV_KEY, ecodes.BTN_A, 0)]
    await plugs.until(lambda: not other.plugged)
    plugs.pads.unplug("bob")
    await plugs.until(lambda: not hers.plugged)
    assert mine.plugged
    assert (plugs.pads.has("ada"), plugs.pads.has("bob")) == (True, False)
    await plugs.until(lambda: plugs.pads.description == "1 in use")
    assert (await plugs.pressed("eve")).name == "Fanlight Gamepad 2"


async def test_letting_go_leaves_it_plugged_in(plugs: Plugs) -> None:
    device = await plugs.pressed()
    for message in (GamepadAxis(0, 0, -1.0), GamepadButton(0, UP, True)):
        plugs.pads.take("ada", message)
    plugs.pads.rest("ada")
    assert device.reports[-1] == [
        (ecodes.EV_KEY, ecodes.BTN_A, 0),
        (ecodes.EV_ABS, ecodes.ABS_X, 0),
        (ecodes.EV_ABS, ecodes.ABS_HAT0Y, 0),
    ]
    plugs.pads.take("ada", GamepadButton(0, DOWN, True))
    assert device.reports[-1] == [(ecodes.EV_ABS, ecodes.ABS_HAT0Y, 1)]
    assert device.plugged


async def test_who_comes_too_late_has_the_place_of_the_next_that_goes(plugs: Plugs) -> None:
    for viewer in range(MOST):
        await plugs.pressed(f"viewer {viewer}")
    plugs.pads.take("late", GamepadButton(0, START, True))
    await plugs.until(lambda: "no more than 4" in plugs.pads.description)
    assert len(plugs.plugged) == MOST
    plugs.pads.unplug("viewer 2")
    await plugs.until(lambda: len(plugs.devices) > MOST and plugs.devices[-1].reports)
    assert plugs.devices[-1].name == "Fanlight Gamepad 3"
    assert plugs.devices[-1].events == [(ecodes.EV_KEY, ecodes.BTN_START, 1)]
    assert plugs.pads.description == "4 in use"


async def test_where_there_can_be_none_it_says_why_once_and_tries_again_with_the_next(
    plugs: Plugs, caplog: pytest.LogCaptureFixture
) -> None:
    plugs.refuses = PermissionError(errno.EACCES, "Permission denied")
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            plugs.pads.take("ada", GamepadButton(number, A, True))
            await plugs.until(lambda expected=number: plugs.tries > expected)  # type: ignore[misc]
            await plugs.until(lambda: plugs.pads.description.startswith("not passed on: "))
        plugs.pads.unplug("ada")
        await plugs.until(lambda: plugs.pads.description == "none in use")
        plugs.pads.take("ada", GamepadButton(0, A, True))
        await plugs.until(lambda: plugs.pads.description.startswith("not passed on: "))
    why = "not passed on: /dev/uinput: Permission denied; `fanlight doctor` tells what helps"
    assert plugs.pads.description == why
    assert caplog.messages == [f"gamepads: {why}"]
    plugs.refuses = None
    await plugs.pressed("bob")
    await plugs.until(lambda: plugs.pads.description == "2 in use")


async def test_a_device_that_fails_is_replaced_when_its_pad_is_used_again(plugs: Plugs) -> None:
    broken = await plugs.pressed()
    broken.broken = True
    plugs.pads.take("ada", GamepadButton(0, START, True))
    await plugs.until(lambda: not broken.plugged)
    assert (await plugs.pressed()).name == "Fanlight Gamepad 1"


async def test_a_pad_that_is_gone_before_its_device_is_there_leaves_none(plugs: Plugs) -> None:
    plugs.pads.take("ada", GamepadButton(0, A, True))
    await asyncio.sleep(0)
    plugs.pads.unplug("ada")
    await plugs.until(lambda: plugs.devices and not plugs.plugged)
    await plugs.pressed("bob")
    assert plugs.plugged == ["Fanlight Gamepad 1"]


async def test_all_are_unplugged_at_the_end() -> None:
    plugs = Plugs()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(plugs.pads.run())
        await plugs.pressed()
        await plugs.pressed("bob")
        task.cancel()
    assert not plugs.plugged
