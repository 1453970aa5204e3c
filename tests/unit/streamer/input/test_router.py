"""Roles, limits, and who holds what."""

import math
from collections.abc import Callable

import pytest
from evdev import ecodes

from appliance.bus.messages import Role
from appliance.signaling import control
from appliance.signaling.control import Key, MouseButton, MouseMove, TouchEnd, TouchMove, TouchStart, Wheel
from appliance.streamer.input.gamepad import Gamepads
from appliance.streamer.input.router import InputRouter

pytestmark = pytest.mark.unit

A, B = ecodes.KEY_A, ecodes.KEY_B
LEFT = ecodes.BTN_LEFT


class RecordingSink:
    """Notes what it is told."""

    description = "a screen"
    size: tuple[int, int] | None = (1280, 720)

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []

    def key(self, code: int, key: str, pressed: bool) -> None:
        self.done.append(("key", code, key, pressed))

    def text(self, text: str) -> None:
        self.done.append(("text", text))

    def move(self, x: float, y: float) -> None:
        self.done.append(("move", x, y))

    def move_relative(self, dx: float, dy: float) -> None:
        self.done.append(("move_relative", dx, dy))

    def button(self, button: int, pressed: bool) -> None:
        self.done.append(("button", button, pressed))

    def wheel(self, dx: int, dy: int) -> None:
        self.done.append(("wheel", dx, dy))

    def set_clipboard(self, text: str) -> None:
        self.done.append(("clipboard", text))

    async def run(self, on_clipboard: Callable[[str], None] | None) -> None:
        if on_clipboard:
            on_clipboard("copied")


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def router(sink: RecordingSink) -> InputRouter:
    return InputRouter(sink)


class RecordingGamepads(Gamepads):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[object, ...]] = []

    def take(self, viewer: str, message: control.GamepadButton | control.GamepadAxis) -> None:
        super().take(viewer, message)
        self.done.append((viewer, message))

    def rest(self, viewer: str) -> None:
        super().rest(viewer)
        self.done.append((viewer, "rest"))

    def unplug(self, viewer: str, gamepad: int | None = None) -> None:
        super().unplug(viewer, gamepad)
        self.done.append((viewer, "unplug", gamepad))


@pytest.mark.parametrize(
    "message",
    [
        MouseMove(1, 1, 0, 0),
        MouseMove(None, None, 1, 1),
        MouseButton(LEFT, True),
        Wheel(0, 1),
        TouchStart(0, 1, 1),
        Key(A, "a", True),
        control.Clipboard("x"),
        control.ImeText("x"),
        control.ImeKey(A, 1),
        control.GamepadButton(0, 0, True),
        control.GamepadAxis(0, 0, 1.0),
        control.GamepadGone(0),
    ],
)
def test_a_watcher_never_injects(
    message: control.ControlMessage, router: InputRouter, sink: RecordingSink
) -> None:
    router.handle("eve", Role.VIEW, message)
    assert (sink.done, router.refused) == ([], 1)


def test_a_watcher_is_logged_once(router: InputRouter, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        for viewer in ("eve", "eve", "mallory"):
            router.handle(viewer, Role.VIEW, Key(A, "a", True))
    assert [record.getMessage().split()[3] for record in caplog.records] == ["eve", "mallory"]
    assert router.refused == 3


def test_what_is_no_input_is_neither_refused_nor_done(router: InputRouter, sink: RecordingSink) -> None:
    for message in (control.Ping(1), control.Keyframe(), control.Disconnect(), control.Ignored("x")):
        router.handle("eve", Role.VIEW, message)
    router.handle("eve", Role.VIEW, control.Release())
    assert (sink.done, router.refused) == ([], 0)


def test_losing_the_role_lets_go(router: InputRouter, sink: RecordingSink) -> None:
    router.handle("ada", Role.CONTROL, Key(A, "a", True))
    router.handle("ada", Role.VIEW, MouseMove(1, 1, 0, 0))
    assert sink.done[1:] == [("key", A, "", False)]


@pytest.mark.parametrize(
    ("x", "y", "clamped"),
    [(5.5, 6.5, (5.5, 6.5)), (-1, 1e6, (0, 719)), (1280, 720, (1279, 719)), (-1e6, -0.1, (0, 0))],
)
def test_the_pointer_stays_on_the_screen(
    x: float, y: float, clamped: tuple[float, float], router: InputRouter, sink: RecordingSink
) -> None:
    router.handle("ada", Role.ADMIN, MouseMove(x, y, 0, 0))
    assert sink.done == [("move", *clamped)]


def test_a_repeated_press_is_one(router: InputRouter, sink: RecordingSink) -> None:
    for pressed in (True, True, False, False):
        router.handle("ada", Role.CONTROL, Key(A, "a", pressed))
    assert sink.done == [("key", A, "a", True), ("key", A, "a", False)]


def test_leaving_lets_go_of_all_in_reverse_order(router: InputRouter, sink: RecordingSink) -> None:
    for message in (Key(A, "a", True), Key(B, "b", True), MouseButton(LEFT, True)):
        router.handle("ada", Role.CONTROL, message)
    router.release("ada")
    assert sink.done[3:] == [("key", B, "", False), ("key", A, "", False), ("button", LEFT, False)]
    router.release("ada")
    assert len(sink.done) == 6


def test_who_holds_something_is_known(router: InputRouter) -> None:
    held = []
    for pressed in (True, False):
        for message in (Key(A, "a", pressed), MouseButton(LEFT, pressed)):
            router.handle("ada", Role.CONTROL, message)
            held.append(router.holds("ada"))
    assert held == [True, True, True, False]
    assert not router.holds("bob")


def test_leaving_does_not_let_go_of_what_another_holds(router: InputRouter, sink: RecordingSink) -> None:
    for viewer in ("ada", "bob"):
        router.handle(viewer, Role.CONTROL, Key(A, "a", True))
        router.handle(viewer, Role.CONTROL, MouseButton(LEFT, True))
    router.release("ada")
    assert sink.done == [("key", A, "a", True), ("button", LEFT, True)]
    router.release("bob")
    assert sink.done[2:] == [("key", A, "", False), ("button", LEFT, False)]


def test_losing_focus_lets_go_and_does_not_end_the_control(router: InputRouter, sink: RecordingSink) -> None:
    router.handle("ada", Role.CONTROL, Key(A, "a", True))
    router.handle("ada", Role.CONTROL, control.Release())
    router.handle("ada", Role.CONTROL, Key(A, "a", True))
    assert [done[3] for done in sink.done] == [True, False, True]


def test_parts_of_notches_add_up_for_each_viewer(router: InputRouter, sink: RecordingSink) -> None:
    for viewer, dy in (("ada", 0.5), ("bob", 0.5), ("ada", 0.5), ("ada", 0.25), ("ada", -0.5), ("ada", -0.5)):
        router.handle(viewer, Role.CONTROL, Wheel(0, dy))
    assert sink.done == [("wheel", 0, 1), ("wheel", 0, -1)]


def test_a_huge_wheel_turn_is_limited(router: InputRouter, sink: RecordingSink) -> None:
    router.handle("ada", Role.CONTROL, Wheel(-8000, 8000))
    assert sink.done == [("wheel", -20, 20)]


def test_the_first_finger_is_the_pointer(router: InputRouter, sink: RecordingSink) -> None:
    for message in (
        TouchStart(3, 10, 10),
        TouchStart(4, 50, 50),
        TouchMove(4, 60, 60),
        TouchMove(3, 20, 9999),
    ):
        router.handle("ada", Role.CONTROL, message)
    router.handle("ada", Role.CONTROL, TouchEnd(4))
    router.handle("ada", Role.CONTROL, control.TouchCancel(3))
    assert sink.done == [
        ("move", 10, 10),
        ("button", LEFT, True),
        ("move", 20, 719),
        ("button", LEFT, False),
    ]


def test_a_finger_on_the_screen_is_lifted_when_its_viewer_leaves(
    router: InputRouter, sink: RecordingSink
) -> None:
    router.handle("ada", Role.CONTROL, TouchStart(0, 1, 1))
    router.release("ada")
    assert sink.done[-1] == ("button", LEFT, False)
    router.handle("ada", Role.CONTROL, TouchStart(1, 1, 1))
    assert sink.done[-1] == ("button", LEFT, True)


def test_text_without_a_key_is_typed(router: InputRouter, sink: RecordingSink) -> None:
    router.handle("ada", Role.CONTROL, Key(0, "ä", True))
    router.handle("ada", Role.CONTROL, Key(0, "ä", False))
    router.handle("ada", Role.CONTROL, control.ImeText("ö"))
    router.handle("ada", Role.CONTROL, control.ImeKey(ecodes.KEY_BACKSPACE, 2))
    backspace = [("key", ecodes.KEY_BACKSPACE, "", pressed) for pressed in (True, False)]
    assert sink.done == [("text", "ä"), ("text", "ö"), *backspace, *backspace]


async def test_the_clipboard_goes_both_ways_unless_switched_off(sink: RecordingSink) -> None:
    for allowed, expected in ((True, ["copied"]), (False, [])):
        router = InputRouter(sink, clipboard=allowed)
        got: list[str] = []
        router.on_clipboard = got.append
        await router.run()
        router.handle("ada", Role.CONTROL, control.Clipboard("pasted"))
        assert got == expected
    assert sink.done == [("clipboard", "pasted")]


def test_no_coordinate_is_not_a_number(router: InputRouter, sink: RecordingSink) -> None:
    sink.size = None
    router.handle("ada", Role.CONTROL, MouseMove(100, 100, 0, 0))
    assert not any(math.isnan(value) for value in sink.done[0][1:])  # type: ignore[arg-type]


BUTTON, TILT = control.GamepadButton(0, 0, True), control.GamepadAxis(0, 1, -1.0)


def test_gamepads_of_those_who_control_are_taken_and_nobody_elses(sink: RecordingSink) -> None:
    router = InputRouter(sink, pads := RecordingGamepads())
    for message in (BUTTON, TILT, control.GamepadGone(2)):
        router.handle("ada", Role.CONTROL, message)
    assert pads.done == [("ada", BUTTON), ("ada", TILT), ("ada", "unplug", 2)]
    router.handle("eve", Role.VIEW, BUTTON)
    assert pads.done[3:] == [("eve", "unplug", None)]
    assert (sink.done, router.refused) == ([], 1)


def test_a_gamepad_rests_when_the_page_is_left_and_goes_with_its_viewer(sink: RecordingSink) -> None:
    router = InputRouter(sink, pads := RecordingGamepads())
    router.handle("ada", Role.CONTROL, BUTTON)
    assert router.holds("ada")
    router.handle("ada", Role.CONTROL, control.Release())
    assert router.holds("ada"), "it is still looked after"
    router.release("ada")
    assert pads.done[1:] == [("ada", "rest"), ("ada", "unplug", None)]
    assert not router.holds("ada")


def test_losing_the_role_unplugs(sink: RecordingSink) -> None:
    router = InputRouter(sink, pads := RecordingGamepads())
    router.handle("ada", Role.CONTROL, BUTTON)
    router.handle("ada", Role.VIEW, TILT)
    assert pads.done[1:] == [("ada", "unplug", None)]
    assert not router.holds("ada")


def test_how_gamepads_fare_is_told(sink: RecordingSink) -> None:
    assert InputRouter(sink, Gamepads()).gamepads == "none in use"
    assert InputRouter(sink).gamepads == "not passed on"
