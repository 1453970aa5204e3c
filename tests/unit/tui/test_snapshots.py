"""What the screens look like, at 80x24, 140x40 and without colour."""

from collections.abc import Callable
from typing import Any

import pytest

from appliance.control.client import ControlUnreachableError
from appliance.control.snapshot import Snapshot
from tui.app import FanlightApp

pytestmark = pytest.mark.unit

AppOf = Callable[..., FanlightApp]
SMALL, LARGE = (80, 24), (140, 40)
SCREENS = {
    "overview": [],
    "instances": ["2"],
    "viewers": ["3"],
    "share": ["4", "s"],
    "pair": ["4", "p"],
    "hardware": ["5"],
    "logs": ["6"],
    "launch": ["2", "l"],
    "kick": ["3", "x"],
    "revoke": ["4", "down", "down", "u"],
    "help": ["question_mark"],
    "big-qr": ["4", "s", "z"],
}


@pytest.fixture(autouse=True)
def _same_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture must not depend on the time zone, nor on toasts that come and go."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setattr(FanlightApp, "notify", lambda *_, **__: None)


async def _settle(pilot: Any) -> None:
    """Wait for what was asked of the daemon; the follower and open questions go on."""
    asked = [each for each in pilot.app.workers if each.group not in ("follow", "action")]
    if asked:
        await pilot.app.workers.wait_for_complete(asked)
    await pilot.pause()


@pytest.mark.parametrize("name", SCREENS)
def test_small_screen(snap_compare: Any, app_of: AppOf, name: str) -> None:
    assert snap_compare(app_of(), press=SCREENS[name], terminal_size=SMALL, run_before=_settle)


@pytest.mark.parametrize("name", ["overview", "instances", "viewers", "share"])
def test_large_screen(snap_compare: Any, app_of: AppOf, name: str) -> None:
    assert snap_compare(app_of(), press=SCREENS[name], terminal_size=LARGE, run_before=_settle)


@pytest.mark.parametrize("name", ["overview", "viewers", "share"])
def test_screen_without_colour(
    snap_compare: Any, app_of: AppOf, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(app_of(), press=SCREENS[name], terminal_size=SMALL, run_before=_settle)


def test_all_is_well(
    snap_compare: Any, app_of: AppOf, appliance_of: Any, snapshots: Callable[..., Any]
) -> None:
    app = app_of(appliance_of(snapshots(health="idle", problems=False)))
    assert snap_compare(app, terminal_size=SMALL, run_before=_settle)


def test_the_daemon_went_away(
    snap_compare: Any, app_of: AppOf, appliance_of: Any, snapshots: Callable[..., list[Snapshot]]
) -> None:
    gone = ControlUnreachableError("the daemon at /run/fanlight/control.sock hung up")
    assert snap_compare(app_of(appliance_of(snapshots(), then=gone)), terminal_size=SMALL, run_before=_settle)


def test_there_never_was_a_daemon(snap_compare: Any, app_of: AppOf, appliance_of: Any) -> None:
    gone = ControlUnreachableError("no daemon answers at /run/fanlight/control.sock")
    assert snap_compare(app_of(appliance_of([], then=gone)), terminal_size=SMALL, run_before=_settle)


def test_read_only(snap_compare: Any, app_of: AppOf) -> None:
    assert snap_compare(app_of(read_only=True), press=["2"], terminal_size=SMALL, run_before=_settle)
