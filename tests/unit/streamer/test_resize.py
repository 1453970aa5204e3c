from typing import Any

import pytest

from appliance.bus.messages import Screen, ScreenWish
from appliance.bus.spec import StreamerSpec
from appliance.streamer import resize
from appliance.streamer.resize import resized

pytestmark = pytest.mark.unit

WISH = ScreenWish(width=720, height=1281, fps=120)


def specification(**changes: Any) -> StreamerSpec:
    fields: dict[str, Any] = {
        "instance": "i",
        "session": "s",
        "application": "a",
        "kind": "test-pattern",
        "screen": Screen(width=640, height=480, fps=15),
        "largest": Screen(width=1920, height=1080, fps=30),
        "resizable": True,
    }
    return StreamerSpec(**fields | changes)


async def test_a_picture_of_our_own_becomes_what_a_client_asks_for() -> None:
    screen = (await resized(specification(), WISH)).screen
    assert (screen.width, screen.height, screen.fps) == (720, 1282, 30)
    assert (await resized(specification(), ScreenWish(density=160))) == specification()


async def test_a_screen_that_is_somebody_else_s_keeps_its_size_at_another_rate() -> None:
    screen = (await resized(specification(kind="x11", display=":0", resizable=False), WISH)).screen
    assert (screen.width, screen.height, screen.fps) == (640, 480, 30)


async def test_a_server_that_cannot_keeps_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr(resize, "set_size", refuse)
    screen = (await resized(specification(kind="x11", display=":9"), WISH)).screen
    assert (screen.width, screen.height, screen.fps) == (640, 480, 30)


@pytest.mark.parametrize("kind", ["camera", "file", "channel"])
async def test_what_has_a_pace_of_its_own_is_left_alone(kind: str) -> None:
    spec = specification(kind=kind, resizable=False)
    assert await resized(spec, WISH) == spec
