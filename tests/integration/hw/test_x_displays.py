"""Real X servers: one that is open, one that wants a cookie."""

from pathlib import Path

import pytest

from hw.displays import Display, list_displays
from tests.support.x_server import served

pytestmark = pytest.mark.integration


async def seen(name: str, **environ: str) -> Display:
    return next(each for each in await list_displays({"DISPLAY": name, **environ}) if each.name == name)


async def test_an_open_server_is_reached_and_measured() -> None:
    with served(800, 600, "-ac") as name:
        display = await seen(name)
    assert (display.kind, display.reachable, display.detail) == ("x11", True, "800x600")
    assert display.xauthority == ""


async def test_a_cookie_opens_what_is_closed_without(tmp_path: Path) -> None:
    file = tmp_path / "Xauthority"
    secret = bytes(range(16))
    fields = (b"box", b"", b"MIT-MAGIC-COOKIE-1", secret)
    file.write_bytes(b"\xff\xff" + b"".join(len(each).to_bytes(2) + each for each in fields))
    with served(800, 600, "-auth", str(file)) as name:
        without = await seen(name, XAUTHORITY=str(tmp_path / "nothing"), HOME=str(tmp_path))
        given = await seen(name, XAUTHORITY=str(file))
    assert not without.reachable
    assert without.served
    assert without.detail.startswith("no authority: ")
    assert given.reachable
    assert given.xauthority == str(file)


async def test_a_server_that_ended_is_not_reachable() -> None:
    with served(800, 600, "-ac") as name:
        assert (await seen(name)).reachable
    gone = await seen(name)
    assert (gone.reachable, gone.served) == (False, False)
