import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
import xcffib
import xcffib.xproto

from appliance.errors import UnavailableError
from appliance.instances.screens import is_ours, virtual_screen
from appliance.verbs.doctor_machine import displays
from hw.displays import Display
from hw.randr import set_size
from hw.x11 import handshake, read_cookies
from tests.support.box import x_server

pytestmark = pytest.mark.integration


async def test_a_virtual_screen_has_the_size_and_lets_only_us_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with virtual_screen(
        width=802, height=600, programs=[], env={}, directory=tmp_path, essential=False
    ) as screen:
        monkeypatch.setenv("XAUTHORITY", screen.xauthority)
        connection = xcffib.connect(screen.display)
        root = connection.get_setup().roots[0]
        assert (root.width_in_pixels, root.height_in_pixels) == (802, 600)
        connection.disconnect()
        monkeypatch.setenv("XAUTHORITY", str(tmp_path / "none"))
        with pytest.raises(xcffib.ConnectionException):
            xcffib.connect(screen.display)
    assert not Path(f"/tmp/.X11-unix/X{screen.display[1:]}").exists()


async def test_that_a_screen_of_ours_is_closed_to_others_is_no_fault(tmp_path: Path) -> None:
    async with (
        x_server() as foreign,
        virtual_screen(
            width=800, height=600, programs=[], env={}, directory=tmp_path, essential=False
        ) as screen,
    ):
        assert not await asyncio.to_thread(is_ours, foreign)
        refused = Display(
            screen.display, "x11", reachable=False, detail="no authority: Authorization required"
        )
        (check,) = await asyncio.to_thread(displays, [refused])
        assert (check.ok, check.fix) == (None, "")
    assert not await asyncio.to_thread(is_ours, screen.display)


async def test_a_virtual_screen_may_grow_and_shrink_within_its_room(tmp_path: Path) -> None:
    async with virtual_screen(
        width=800, height=600, programs=[], env={}, directory=tmp_path, essential=False, largest=(1280, 720)
    ) as screen:
        (cookie,) = read_cookies(Path(screen.xauthority), screen.display)
        assert await handshake(screen.display, cookie) == (800, 600)
        for size in ((1280, 720), (640, 480), (720, 1280), (800, 600)):
            await asyncio.to_thread(set_size, screen.display, *size, screen.xauthority)
            assert await handshake(screen.display, cookie) == size
        with pytest.raises(OSError, match="no size 1282x720"):
            await asyncio.to_thread(set_size, screen.display, 1282, 720, screen.xauthority)


async def test_the_end_of_an_essential_program_is_the_end_of_the_screen(tmp_path: Path) -> None:
    async with asyncio.timeout(20), virtual_screen(
        width=640, height=480, programs=[["sh", "-c", "echo enough >&2; exit 4"]], env={},
        directory=tmp_path, essential=True,
    ) as screen:  # fmt: skip
        assert "ended with 4: enough" in await screen.gone


async def test_a_killed_server_says_so(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(20),
        virtual_screen(
            width=640, height=480, programs=[], env={}, directory=tmp_path, essential=False
        ) as screen,
    ):
        assert screen.pid
        os.kill(screen.pid, 9)
        assert "Xvfb ended" in await screen.gone
        Path(f"/tmp/.X11-unix/X{screen.display[1:]}").unlink(missing_ok=True)


async def test_an_impossible_size_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="Xvfb ended: "):
        async with virtual_screen(
            width=0, height=0, programs=[], env={}, directory=tmp_path, essential=False
        ):
            pass


async def test_an_application_fills_its_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asyncio.timeout(20), virtual_screen(
        width=640, height=480, programs=[["xterm", "-geometry", "20x4+50+50"]], env={}, directory=tmp_path,
        essential=True,
    ) as screen:  # fmt: skip
        monkeypatch.setenv("XAUTHORITY", screen.xauthority)
        server = xcffib.connect(screen.display)
        root = server.get_setup().roots[0].root
        sizes: set[tuple[int, int]] = set()
        while (640, 480) not in sizes:
            tops = server.core.QueryTree(root).reply().children
            found = [server.core.GetGeometry(top) for top in tops]
            sizes = {(each.width, each.height) for each in map(_size, found) if each}
            await asyncio.sleep(0.05)
        server.disconnect()


def _size(cookie: xcffib.Cookie) -> Any:
    try:
        return cookie.reply()
    except xcffib.xproto.DrawableError:  # a window that was there just now
        return None
