"""Real X servers: one that is open, one that wants a cookie."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hw.displays import Display, list_displays

pytestmark = pytest.mark.integration


@contextmanager
def xvfb(*arguments: str) -> Iterator[str]:
    """Start Xvfb on a free display and yield its name."""
    executable = shutil.which("Xvfb")
    assert executable
    read, write = os.pipe()
    server = subprocess.Popen(
        [executable, "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp", *arguments],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as said:
            yield f":{int(said.readline())}"
    finally:
        server.terminate()
        server.wait(timeout=10)


async def seen(name: str, **environ: str) -> Display:
    return next(each for each in await list_displays({"DISPLAY": name, **environ}) if each.name == name)


async def test_an_open_server_is_reached_and_measured() -> None:
    with xvfb("-ac") as name:
        display = await seen(name)
    assert (display.kind, display.reachable, display.detail) == ("x11", True, "800x600")
    assert display.xauthority == ""


async def test_a_cookie_opens_what_is_closed_without(tmp_path: Path) -> None:
    file = tmp_path / "Xauthority"
    secret = bytes(range(16))
    fields = (b"box", b"", b"MIT-MAGIC-COOKIE-1", secret)
    file.write_bytes(b"\xff\xff" + b"".join(len(each).to_bytes(2) + each for each in fields))
    with xvfb("-auth", str(file)) as name:
        without = await seen(name, XAUTHORITY=str(tmp_path / "nothing"), HOME=str(tmp_path))
        given = await seen(name, XAUTHORITY=str(file))
    assert not without.reachable
    assert without.served
    assert without.detail.startswith("no authority: ")
    assert given.reachable
    assert given.xauthority == str(file)


async def test_a_server_that_ended_is_not_reachable() -> None:
    with xvfb("-ac") as name:
        assert (await seen(name)).reachable
    gone = await seen(name)
    assert (gone.reachable, gone.served) == (False, False)
