"""pixelflux's own Wayland compositor: one for each process, there from its first use to the end."""

import asyncio
import atexit
import functools
import logging
import os
import shutil
import tempfile
import threading
from pathlib import Path

import pixelflux

from appliance.bus.spec import StreamerSpec
from appliance.errors import UnavailableError
from appliance.processes import child, surroundings

logger = logging.getLogger(__name__)

# For toolkits that would otherwise look for an X server first.
_WAYLAND_ENV = {
    "XDG_SESSION_TYPE": "wayland",
    "GDK_BACKEND": "wayland",
    "QT_QPA_PLATFORM": "wayland",
    "SDL_VIDEODRIVER": "wayland",
    "MOZ_ENABLE_WAYLAND": "1",
}
_starting = threading.Lock()


def ensure_compositor(width: int, height: int, render_node: str = "") -> Path:
    """Have it run; returns its socket, where nobody takes it for a desktop. Blocks up to 5 s.

    Raises UnavailableError.
    """
    with _starting:
        outside = os.environ.get("XDG_RUNTIME_DIR")
        directory = _directory()
        os.environ["XDG_RUNTIME_DIR"] = str(directory)  # pixelflux has no other way to be told
        try:
            name = pixelflux.ensure_wayland_display(width, height, render_node)
        finally:
            if outside is None:
                del os.environ["XDG_RUNTIME_DIR"]
            else:
                os.environ["XDG_RUNTIME_DIR"] = outside
    if not name:
        raise UnavailableError(f"the Wayland compositor found no socket in {directory}")
    return directory / str(name)


async def run_program(spec: StreamerSpec) -> None:
    """Run `spec.command` on the compositor's screen for as long as it lives.

    Raises UnavailableError when it ends, for whatever reason: the program is the application.
    """
    env = await asyncio.to_thread(_environment, spec)
    if not spec.command:
        raise UnavailableError(f"application {spec.application}: no command is configured")
    name = Path(spec.command[0]).name
    async with child([*spec.within, *spec.command], name=name, env=env, both=True) as program:
        logger.info("%s runs on %s", name, env["WAYLAND_DISPLAY"])
        code = await program.wait_for_all()
        raise UnavailableError(f"{name} ended with {code}: {program.last_words}")


def _environment(spec: StreamerSpec) -> dict[str, str]:
    """Of a program on the compositor, which runs from then on."""
    node = next((choice.render_node for choice in spec.encoders if choice.render_node), "")
    socket = ensure_compositor(spec.screen.width, spec.screen.height, node)
    env = {**surroundings(), **_WAYLAND_ENV, **spec.env, "WAYLAND_DISPLAY": str(socket)}
    env.pop("DISPLAY", None)
    if not _is_usable(env.get("XDG_RUNTIME_DIR", "")):  # toolkits go nowhere without one
        env["XDG_RUNTIME_DIR"] = str(socket.parent)
    return env


@functools.cache
def _directory() -> Path:
    """For the socket alone, below the place of sockets where there is one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    try:
        made = tempfile.mkdtemp(prefix="fanlight-wayland-", dir=runtime if _is_usable(runtime) else None)
    except OSError as exc:
        raise UnavailableError(f"the Wayland compositor has no place for its socket: {exc}") from exc
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def _is_usable(directory: str) -> bool:
    return bool(directory) and os.access(directory, os.W_OK | os.X_OK)
