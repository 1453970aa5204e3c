"""A compositor that outlives what captures it."""

from types import SimpleNamespace

import pytest
from evdev import ecodes

from appliance.bus.messages import Role
from appliance.signaling.control import Key, MouseButton
from appliance.streamer.input.router import InputRouter
from appliance.streamer.input.wayland import WaylandSink

pytestmark = pytest.mark.unit


class Compositor:
    """What is down in it, whoever injects."""

    def __init__(self) -> None:
        self.down: set[int] = set()

    def capture(self) -> SimpleNamespace:
        """A source of it, as pixelflux would have it."""
        capture = SimpleNamespace(
            inject_key=self._note, inject_mouse_button=self._note, set_xkb_layout=lambda _: None
        )
        return SimpleNamespace(capture=capture, info=SimpleNamespace(width=640, height=360))

    def _note(self, code: int, state: int) -> None:
        (self.down.add if state else self.down.discard)(code)


@pytest.mark.parametrize("anew", [True, False])
def test_what_is_let_go_of_between_two_sources_is_let_go_of_in_the_end(anew: bool) -> None:
    compositor = Compositor()
    source: SimpleNamespace | None = compositor.capture()
    running = source
    sink = WaylandSink(lambda: source, own=True)
    router = InputRouter(sink)
    for pressed in (True, False):
        router.handle("ada", Role.CONTROL, Key(ecodes.KEY_W, "w", pressed))
        router.handle("ada", Role.CONTROL, Key(ecodes.KEY_LEFTSHIFT, "Shift", pressed))
        router.handle("ada", Role.CONTROL, MouseButton(ecodes.BTN_LEFT, pressed))
        if pressed:
            assert len(compositor.down) == 3
            source = None  # another size was asked for
    source = compositor.capture() if anew else running
    assert sink.description == "Wayland compositor of its own"
    assert compositor.down == set()
    router.handle("ada", Role.CONTROL, Key(ecodes.KEY_W, "w", True))
    assert compositor.down == {ecodes.KEY_W + 8}, "Shift is taken for what it is: not held"
