from dataclasses import dataclass

import pytest

from appliance.bus.messages import Screen
from appliance.config import ApplicationSection, Config, VideoSection
from appliance.errors import NotFoundError
from appliance.instances.plan import find_application, make_plan, screen_for

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Found:
    name: str
    kind: str = "x11"
    reachable: bool = True
    xauthority: str = ""


DESKTOP = ApplicationSection(name="desktop", kind="desktop", size="1920x1080")


@pytest.fixture(autouse=True)
def _no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"):
        monkeypatch.delenv(name, raising=False)


def test_a_desktop_without_a_display_gets_a_screen_of_its_own() -> None:
    plan = make_plan(DESKTOP, Screen(), [Found(":3", reachable=False)], wayland=True)
    assert plan.source == "virtual"
    assert not plan.essential
    assert plan.programs


def test_a_desktop_takes_the_display_that_answers() -> None:
    plan = make_plan(DESKTOP, Screen(), [Found(":3", reachable=False), Found(":4")], wayland=True)
    assert (plan.source, plan.display) == ("x11", ":4")


def test_the_environment_names_the_display_even_if_it_is_not_there_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setenv("XAUTHORITY", "/somewhere")
    plan = make_plan(DESKTOP, Screen(), [Found(":4")], wayland=True)
    assert (plan.source, plan.display, plan.xauthority) == ("x11", ":7", "/somewhere")


def test_the_configuration_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":7")
    named = DESKTOP.model_copy(update={"env": {"WAYLAND_DISPLAY": "wayland-1"}})
    assert make_plan(named, Screen(), [], wayland=True).source == "wayland"


def test_a_command_is_the_whole_application() -> None:
    command = ApplicationSection(name="gears", kind="command", command=["glxgears"])
    plan = make_plan(command, Screen(), [], wayland=True)
    assert plan.source == "virtual"
    assert plan.essential
    assert plan.programs == [["glxgears"]]
    assert (
        make_plan(command.model_copy(update={"screen": "wayland"}), Screen(), [], wayland=True).source
        == "command"
    )


def test_the_screen_is_even_and_within_limits() -> None:
    config = Config(video=VideoSection(max_size="1280x720", fps=30))
    assert screen_for(DESKTOP, config, None).model_dump() == {
        "width": 1280,
        "height": 720,
        "fps": 30,
        "density": 96,
    }
    asked = Screen(width=801, height=601, fps=120)
    got = screen_for(DESKTOP, config, asked)
    assert (got.width, got.height, got.fps) == (802, 602, 30)


def test_an_unknown_application_is_named() -> None:
    with pytest.raises(NotFoundError, match="'nope'"):
        find_application(Config(), "nope")
