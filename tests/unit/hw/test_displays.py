"""Displays that cannot be reached, each with its reason."""

import socket
from pathlib import Path

import pytest

from hw import displays
from hw.displays import fingerprint, list_displays

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def no_displays_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(displays, "_X11_SOCKETS", tmp_path / "x11")
    monkeypatch.setattr(displays, "_ABSTRACT", displays.re.compile("no such name (x)"))
    monkeypatch.setattr(displays, "_AUTHORITIES", ())


async def test_a_machine_without_displays(tmp_path: Path) -> None:
    assert await list_displays({}) == ()
    assert await list_displays({"XDG_RUNTIME_DIR": str(tmp_path / "nothing")}) == ()


async def test_a_display_without_a_server_is_listed_with_the_reason() -> None:
    (display,) = await list_displays({"DISPLAY": ":987"})
    assert (display.name, display.reachable) == (":987", False)
    assert display.detail == "no server: its socket is missing"


async def test_a_left_over_wayland_socket_is_told_from_a_living_one(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "wayland-0"))
    (tmp_path / "wayland-0.lock").touch()
    (display,) = await list_displays({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert (display.name, display.kind, display.reachable) == (str(tmp_path / "wayland-0"), "wayland", False)
    assert "left over" in display.detail


async def test_the_wayland_display_of_the_environment_comes_first(tmp_path: Path) -> None:
    for name in ("wayland-0", "wayland-1"):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / name))
    environ = {"XDG_RUNTIME_DIR": str(tmp_path), "WAYLAND_DISPLAY": "wayland-1"}
    assert [Path(each.name).name for each in await list_displays(environ)] == ["wayland-1", "wayland-0"]


async def test_a_server_that_says_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(displays, "_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "wayland-0"))
        silent.listen()
        (display,) = await list_displays({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert not display.reachable
    assert display.detail.startswith("no answer within")


def test_the_fingerprint_changes_with_sockets_and_cookies(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path), "XAUTHORITY": str(tmp_path / "cookie")}
    before = fingerprint(environ)
    assert fingerprint(environ) == before
    (tmp_path / "cookie").touch()
    with_cookie = fingerprint(environ)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "wayland-0"))
    assert len({before, with_cookie, fingerprint(environ)}) == 3
