"""What keys do: the right call, after the right question, and nothing else."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from appliance.control.client import ControlUnreachableError
from appliance.control.credentials import Role, ShareParams
from appliance.control.schema import DrainParams, IdParams, LaunchParams
from appliance.control.snapshot import Application, Snapshot
from appliance.errors import NotFoundError
from tui.app import FanlightApp
from tui.dialogs import Confirm, Launch
from tui.screens.overview import Overview
from tui.screens.viewers import Viewers
from tui.widgets.table import LiveTable

pytestmark = pytest.mark.unit

Life = Callable[..., list[Snapshot]]


async def _press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


async def _until(pilot: Pilot[None], true: Callable[[], object]) -> None:
    """Let the app work until `true`."""
    async with asyncio.timeout(10):
        while not true():
            await pilot.pause()


async def test_number_keys_show_the_areas(app: FanlightApp) -> None:
    async with app.run_test() as pilot:
        for number, mode in enumerate(app.AREAS, 1):
            await _press(pilot, str(number))
            assert app.current_mode == mode


async def test_a_snapshot_that_comes_while_an_area_opens_ends_nothing(app: FanlightApp, script: Any) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        app.action_area("viewers")
        app._draw()
        await _until(pilot, lambda: app.screen.is_mounted and app.screen.query_one(LiveTable).row_count)


@pytest.mark.parametrize("area", ["2", "3", "4"])
async def test_no_column_hangs_over_the_edge_whatever_the_width(
    app: FanlightApp, script: Any, area: str
) -> None:
    counts = []
    async with app.run_test(size=(80, 30)) as pilot:
        await script.played.wait()
        await _press(pilot, area)
        table = app.screen.query_one(LiveTable)
        for width in (80, 100, 115, 130, 145, 200, 80):
            await pilot.resize_terminal(width, 30)
            await _until(pilot, lambda: table.row_count)
            assert table.virtual_size.width <= table.scrollable_content_region.width
            counts.append(len(table.columns))
    assert counts[0] == counts[-1] <= counts[1]
    assert counts[:-1] == sorted(counts[:-1])
    assert counts[0] < counts[-2] == len(table._all)


async def test_kick_names_the_viewer_and_asks_first(app: FanlightApp, script: Any) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "3", "down", "x")
        assert isinstance(app.screen, Confirm)
        assert "Meeting room" in app.screen._question
        await _press(pilot, "enter")
        assert script.calls == []
        await _press(pilot, "x", "y")
        await _until(pilot, lambda: script.calls)
    assert script.calls == [("kick", IdParams(id="v-2b"))]


async def test_stop_asks_first(app: FanlightApp, script: Any) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "2", "x", "n", "x", "y")
        await _until(pilot, lambda: script.calls)
    assert script.calls == [("stop", IdParams(id="i-desk7f3a"))]


async def test_launch_with_size_and_rate(app: FanlightApp, script: Any) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "l", "down", "tab", *"640x480", "tab", *"25", "enter")
        await _until(pilot, lambda: script.calls)
        assert app.watched_id == "i-new"
    assert script.calls == [("launch", LaunchParams(application="glxgears", width=640, height=480, fps=25))]


async def test_applications_of_one_name_on_several_boxes_can_be_launched(
    app: FanlightApp, script: Any, snapshots: Life
) -> None:
    both = [Application(name="stage", kind="camera"), Application(name="stage", kind="desktop")]
    script.snapshots = [snapshots(0)[0].model_copy(update={"applications": both})]
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "l", "down", "enter")
        await _until(pilot, lambda: script.calls)
    assert script.calls == [("launch", LaunchParams(application="stage"))]


async def test_a_wrong_size_is_told_and_launches_nothing(app: FanlightApp, script: Any) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "l", "tab", *"wide", "enter")
        assert isinstance(app.screen, Launch)
    assert script.calls == []


async def test_share_takes_the_choices_and_copies_the_link(app: FanlightApp, script: Any) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "4", "r", "e", "s")
        await _until(pilot, lambda: script.calls)
        await pilot.pause()
        await _press(pilot, "c")
        assert app.clipboard.startswith("https://192.168.1.20:8443/#share=")
    wanted = ShareParams(instance="i-desk7f3a", role=Role.CONTROL, expires_s=7 * 86400)
    assert script.calls == [("share", wanted)]


async def test_a_pin_stays_until_it_is_used(app: FanlightApp, script: Any) -> None:
    script.knows_devices.clear()
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "4", "p")
        pin = app.screen.query_one("#pin")
        await _until(pilot, lambda: pin.display)
        script.knows_devices.set()
        await _until(pilot, lambda: app.screen.query_one(LiveTable).row_count)
        assert pin.display


async def test_unpair_asks_first(app: FanlightApp, script: Any) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "4")
        await _until(pilot, lambda: app.screen.query_one(LiveTable).row_count)
        await _press(pilot, "u", "y")
        await _until(pilot, lambda: script.calls)
    assert script.calls == [("unpair", IdParams(id="d-1"))]


async def test_a_link_is_revoked_after_a_question(app: FanlightApp, script: Any) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "4")
        await _until(pilot, lambda: app.screen.query_one(LiveTable).row_count)
        await _press(pilot, "s")
        await _until(pilot, lambda: script.calls)
        await _press(pilot, "down", "down", "u", "n", "u", "y")
        await _until(pilot, lambda: len(script.calls) == 2)
        await _press(pilot, "c")
        assert app.clipboard == "https://192.168.1.20:8443/"
    assert script.calls[1] == ("unshare", IdParams(id="sh-1"))


async def test_keyframe(app: FanlightApp, script: Any) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "2", "k")
        await _until(pilot, lambda: script.calls)
    assert script.calls == [("keyframe", IdParams(id="i-desk7f3a"))]


async def test_read_only_calls_nothing(read_only_app: FanlightApp, script: Any) -> None:
    app = read_only_app
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "l", "2", "l", "x", "y", "k", "3", "x", "y", "4", "s", "p", "u", "y")
        assert not app.screen.is_modal
        assert not [name for name, *_ in app.commands() if name.startswith(("Stop", "Launch", "Disconnect"))]
    assert script.calls == []


async def test_an_error_of_the_daemon_is_told(app: FanlightApp, script: Any) -> None:
    script.failing = NotFoundError("no instance i-desk7f3a")
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "2", "k")
        await _until(pilot, lambda: len(app._notifications))
        assert [each.message for each in app._notifications] == ["no instance i-desk7f3a"]


async def test_a_lost_daemon_is_told_and_found_again(app: FanlightApp, script: Any) -> None:
    script.then = ControlUnreachableError("the daemon hung up")
    async with app.run_test() as pilot:
        await _until(pilot, lambda: app.trouble)
        assert app.screen.query_one("#banner").display
        script.then = None
        await _until(pilot, lambda: not app.trouble)
        await pilot.pause()
        assert not app.screen.query_one("#banner").display


async def test_the_cursor_stays_with_its_viewer(app: FanlightApp, script: Any, snapshots: Life) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "3", "down", "down")
        area = app.screen
        assert isinstance(area, Viewers)
        assert area.chosen
        assert area.chosen.id == "v-3c"
        fewer = snapshots(0)[0]
        desktop = fewer.instances[0]
        assert desktop.stats
        left = desktop.stats.model_copy(update={"viewers": desktop.stats.viewers[1:]})
        app.snapshot = fewer.model_copy(update={"instances": [desktop.model_copy(update={"stats": left})]})
        area.draw()
        await pilot.pause()
        assert area.chosen
        assert area.chosen.id == "v-3c"


async def test_arrows_turn_the_stream(app: FanlightApp, script: Any) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "right")
        assert isinstance(app.screen, Overview)
        assert app.watched
        assert app.watched.application == "glxgears"


async def test_the_palette_knows_what_can_be_done(app: FanlightApp, script: Any) -> None:
    async with app.run_test():
        await script.played.wait()
        names = [name for name, *_ in app.commands()]
    known = {"Show Logs", "Launch glxgears", "Stop desktop", "Disconnect Pixel phone", "Drain this box"}
    assert known <= set(names)


async def test_draining_is_asked_for_again_and_opening_is_not(app: FanlightApp, script: Any) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        app.drain(on=True)
        await _until(pilot, lambda: app.screen.is_modal)
        await _press(pilot, "y")
        await _until(pilot, lambda: script.calls)
        app.drain(on=False)
        await _until(pilot, lambda: len(script.calls) == 2)
    assert script.calls == [("drain", DrainParams()), ("drain", DrainParams(on=False))]


async def test_search_and_level_filter_the_log(app: FanlightApp, script: Any) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "6")
        log = app.screen.query_one("#log")
        await _until(pilot, lambda: len(log.lines) == 4)  # type: ignore[attr-defined]
        await _press(pilot, "v")
        assert len(log.lines) == 2  # type: ignore[attr-defined]
        await _press(pilot, "slash", *"nvenc")
        assert len(log.lines) == 1  # type: ignore[attr-defined]
        await _press(pilot, "escape")
        assert len(log.lines) == 2  # type: ignore[attr-defined]


async def test_the_log_of_a_daemon_that_started_again_is_read_from_its_beginning(
    app: FanlightApp, script: Any
) -> None:
    async with app.run_test() as pilot:
        await script.played.wait()
        await _press(pilot, "6")
        log = app.screen.query_one("#log")
        await _until(pilot, lambda: len(log.lines) == 4)  # type: ignore[attr-defined]
        await _press(pilot, "1")
        again = {"began": script.log.began + 60, "records": script.log.records[:2]}
        script.log = script.log.model_copy(update=again)
        await _press(pilot, "6")
        await _until(pilot, lambda: len(log.lines) == 2)  # type: ignore[attr-defined]
