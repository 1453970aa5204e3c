"""Which screen input goes to, and whether gamepads do."""

import pytest

from appliance.bus.spec import StreamerSpec
from appliance.streamer.input.select import open_input

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({"kind": "x11", "display": ":7"}, "X11 :7: not connected yet"),
        ({"kind": "command"}, "Wayland compositor of its own: not running"),
        ({"kind": "wayland"}, "Wayland compositor of the host: not running"),
        ({"kind": "test-pattern"}, "a test-pattern takes no input"),
        ({"kind": "camera"}, "a camera takes no input"),
        ({"kind": "x11", "input": False}, "input is switched off in the configuration"),
    ],
)
def test_input_goes_where_the_picture_comes_from(changes: dict[str, object], description: str) -> None:
    base: dict[str, object] = {"instance": "i", "session": None, "application": "a"}
    assert open_input(StreamerSpec.model_validate(base | changes), lambda: None).description == description


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({"kind": "x11"}, "none in use"),
        ({"kind": "wayland"}, "none in use"),
        ({"kind": "command"}, "none in use"),
        ({"kind": "test-pattern"}, "a test-pattern takes none"),
        ({"kind": "channel"}, "a channel takes none"),
        ({"kind": "x11", "input": False}, "not passed on: input is switched off in the configuration"),
        ({"kind": "x11", "gamepads": False}, "not passed on: this is switched off in the configuration"),
    ],
)
def test_gamepads_go_where_hands_do(changes: dict[str, object], description: str) -> None:
    base: dict[str, object] = {"instance": "i", "session": None, "application": "a"}
    assert open_input(StreamerSpec.model_validate(base | changes), lambda: None).gamepads == description
