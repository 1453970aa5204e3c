"""Screens for applications: the host's own, or an Xvfb of our own that survives its streamer."""

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import socket
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.errors import UnavailableError
from appliance.instances.logbook import Note
from appliance.processes import Child, child, our_module, surroundings
from appliance.storage import write_atomic
from hw.randr import set_size
from hw.window_manager import wait_for_window_manager

logger = logging.getLogger(__name__)

_AUTHORITY = "xauthority-"
_PEER = struct.Struct("3i")
"""Process, user and group (unix(7))."""
_READY_SECONDS = 15
_RESTART_SECONDS = 2.0
_MANAGED_SECONDS = 5.0
_FILL_SCREEN = ("openbox", "--config-file", str(Path(__file__).with_name("openbox.xml")))


@dataclass(frozen=True, slots=True)
class ScreenHandle:
    """A screen that a streamer can capture. `gone` ends when the screen does, saying why."""

    kind: str
    display: str
    xauthority: str = ""
    pid: int | None = None
    gone: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


def is_ours(display: str) -> bool:
    """Whether the X server of `display` is one that Fanlight started. Blocks."""
    try:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(f"/tmp/.X11-unix/X{display[1:]}")  # noqa: S108 - where X servers listen
            pid, _, _ = _PEER.unpack(caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except (OSError, ValueError):
        return False
    return any(Path(each).name.startswith(_AUTHORITY) for each in command.split("\0"))


@contextlib.asynccontextmanager
async def virtual_screen(
    *,
    width: int,
    height: int,
    programs: Sequence[Sequence[str]],
    env: Mapping[str, str],
    directory: Path,
    essential: bool,
    largest: tuple[int, int] = (0, 0),
    within: Sequence[str] = (),
    note: Note = lambda _: None,
) -> AsyncIterator[ScreenHandle]:
    """An Xvfb of `width` x `height` pixels, with room for `largest`, lying or standing, and `programs` on it.

    `essential`: the programs have the screen to themselves, and the end of one is the end of the screen.
    `within` goes before each of their commands; `note` takes what they say. Raises UnavailableError.
    """
    room = max(width, *largest), max(height, *largest)
    authority = directory / f"{_AUTHORITY}{secrets.token_hex(4)}"
    cookie = secrets.token_bytes(16)
    try:
        await asyncio.to_thread(_write_authority, authority, cookie, "")
        reading, writing = os.pipe()
    except OSError as exc:
        raise UnavailableError(f"Xvfb: {exc}") from exc
    arguments = (
        "Xvfb", "-displayfd", str(writing), "-screen", "0", f"{room[0]}x{room[1]}x24", "-nolisten", "tcp",
        "-auth", str(authority), "-dpi", "96", "-noreset", "+extension", "RANDR",
    )  # fmt: skip
    try:
        async with child(arguments, name="Xvfb", pass_fds=(writing,)) as server:
            os.close(writing)
            writing = -1
            display = f":{await _display_number(server, reading)}"
            await asyncio.to_thread(_write_authority, authority, cookie, display[1:])
            if room != (width, height):
                await _shrink(display, width, height, authority)
            screen = ScreenHandle("x11", display, str(authority), server.pid)
            there = {**surroundings(), **env, "DISPLAY": display, "XAUTHORITY": str(authority)}
            there.pop("WAYLAND_DISPLAY", None)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_watch(server, screen))]
                if essential and shutil.which(_FILL_SCREEN[0]):
                    tasks.append(group.create_task(_keep(_FILL_SCREEN, there, None)))
                    await _managed(screen)
                tasks += [
                    group.create_task(_keep(program, there, screen if essential else None, within, note))
                    for program in programs
                ]
                try:
                    yield screen
                finally:
                    for task in tasks:
                        task.cancel()
    finally:
        for descriptor in (reading, writing):
            if descriptor >= 0:
                os.close(descriptor)
        authority.unlink(missing_ok=True)


async def _display_number(server: Child, reading: int) -> int:
    """Xvfb writes the number it found free to -displayfd once it accepts clients."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def announced() -> None:
        loop.remove_reader(reading)
        readable.set_result(None)

    loop.add_reader(reading, announced)
    try:
        async with asyncio.timeout(_READY_SECONDS), asyncio.TaskGroup() as group:
            ended = group.create_task(server.wait())
            await asyncio.wait((readable, ended), return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
    except TimeoutError:
        raise UnavailableError(f"Xvfb: not ready in {_READY_SECONDS} s") from None
    finally:
        loop.remove_reader(reading)
    number = os.read(reading, 16).strip() if readable.done() else b""
    if not number:
        await server.wait()
        raise UnavailableError(f"Xvfb ended: {server.last_words}")
    return int(number)


async def _shrink(display: str, width: int, height: int, authority: Path) -> None:
    try:
        await asyncio.to_thread(set_size, display, width, height, str(authority))
    except OSError as exc:
        raise UnavailableError(f"Xvfb: {exc}") from exc


async def _managed(screen: ScreenHandle) -> None:
    """Only windows that come after the window manager are made to fill the screen."""
    try:
        if not await asyncio.to_thread(
            wait_for_window_manager, screen.display, screen.xauthority, _MANAGED_SECONDS
        ):
            logger.warning("no window manager on %s in %s s", screen.display, _MANAGED_SECONDS)
    except OSError as exc:
        logger.warning("no window manager: %s", exc)


async def _watch(server: Child, screen: ScreenHandle) -> None:
    code = await server.wait()
    if not screen.gone.done():
        screen.gone.set_result(f"Xvfb ended with {code}: {server.last_words}")


async def _keep(
    program: Sequence[str],
    env: Mapping[str, str],
    essential_on: ScreenHandle | None,
    within: Sequence[str] = (),
    note: Note = lambda _: None,
) -> None:
    """Run `program`, again if it ends: what a person closes on a desktop of ours comes back."""
    while True:
        reason = ""
        try:
            name = Path(program[0]).name
            async with child([*within, *program], name=name, env=env, both=True, note=note) as running:
                code = await running.wait_for_all()
                reason = f"{running.name} ended with {code}: {running.last_words}"
        except UnavailableError as exc:
            reason = str(exc)
        logger.info("%s", reason)
        if essential_on:
            if not essential_on.gone.done():
                essential_on.gone.set_result(reason)
            return
        await asyncio.sleep(_RESTART_SECONDS)


def _write_authority(file: Path, cookie: bytes, display: str) -> None:
    """One MIT-MAGIC-COOKIE-1 entry of family FamilyWild (Xau.h), so that the host's name is no matter."""
    parts = (b"", display.encode(), b"MIT-MAGIC-COOKIE-1", cookie)
    content = struct.pack(">H", 0xFFFF) + b"".join(struct.pack(">H", len(part)) + part for part in parts)
    write_atomic(file, content)


def desktop_programs() -> list[list[str]]:
    """What stands on a desktop of our own: a window manager, a terminal, and the welcome picture."""
    programs = [[*our_module("appliance.instances.welcome")]]
    if shutil.which("openbox"):
        programs.insert(0, ["openbox"])
    if shutil.which("xterm"):
        # A service has no login shell and no home of its own to start in.
        shell = ["sh", "-c", f"cd 2>/dev/null; exec {shutil.which('bash') or '/bin/sh'}"]
        looks = ["-geometry", "58x11+24+24", "-bg", "#0b1020", "-fg", "#c7d0ea", "-fa", "DejaVu Sans Mono"]
        programs.append(["xterm", *looks, "-fs", "11", "-e", *shell])
    return programs
