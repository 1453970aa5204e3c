from dataclasses import dataclass

import pytest

from appliance.bus.messages import Screen, ScreenWish
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


@pytest.mark.parametrize("found", [[Found(":4")], [Found(":7"), Found(":4")]])
def test_the_environment_names_the_display(monkeypatch: pytest.MonkeyPatch, found: list[Found]) -> None:
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setenv("XAUTHORITY", "/somewhere")
    plan = make_plan(DESKTOP, Screen(), found, wayland=True)
    assert (plan.source, plan.display, plan.xauthority) == ("x11", ":7", "/somewhere")


@pytest.mark.parametrize(
    ("variable", "wanted", "found"),
    [
        ("DISPLAY", ":7", Found(":7", reachable=False)),
        ("DISPLAY", "unix:7", Found(":7", reachable=False)),
        ("WAYLAND_DISPLAY", "wayland-1", Found("/run/user/1000/wayland-1", "wayland", reachable=False)),
    ],
)
def test_where_nothing_answers_there_it_is_a_screen_of_our_own_and_nobody_else_s(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variable: str,
    wanted: str,
    found: Found,
) -> None:
    monkeypatch.setenv(variable, wanted)
    plan = make_plan(DESKTOP, Screen(), [found, Found(":4")], wayland=True)
    assert plan.source == "virtual"
    assert f"nothing answers at ${variable} ({wanted})" in caplog.text


def test_a_dead_x_server_leaves_wayland(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-1")
    plan = make_plan(DESKTOP, Screen(), [Found(":7", reachable=False)], wayland=True)
    assert (plan.source, plan.display) == ("wayland", "wayland-1")


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
        "density": 240,
    }
    got = screen_for(DESKTOP, config, ScreenWish(width=801, height=601, fps=120))
    assert (got.width, got.height, got.fps) == (802, 602, 30)
    assert screen_for(DESKTOP, Config(), ScreenWish(density=160)).width == 1920


def test_an_unknown_application_is_named() -> None:
    with pytest.raises(NotFoundError, match="'nope'"):
        find_application(Config(), "nope")
