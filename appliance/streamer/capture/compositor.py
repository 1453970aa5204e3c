"""pixelflux's own Wayland compositor: one for each process, there from its first use to the end."""

import asyncio
import atexit
import logging
import os
import shutil
import tempfile
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


def ensure_compositor(width: int, height: int, render_node: str = "") -> str:
    """Have it run; returns the name of its socket in $XDG_RUNTIME_DIR. Blocks up to 5 s.

    Raises UnavailableError.
    """
    _ensure_runtime_dir()
    name = pixelflux.ensure_wayland_display(width, height, render_node)
    if not name:
        raise UnavailableError(f"the Wayland compositor found no socket in {os.environ['XDG_RUNTIME_DIR']}")
    return str(name)


async def run_program(spec: StreamerSpec) -> None:
    """Run `spec.command` on the compositor's screen for as long as it lives.

    Raises UnavailableError when it ends, for whatever reason: the program is the application.
    """
    socket = await asyncio.to_thread(ensure_compositor, spec.screen.width, spec.screen.height, _node(spec))
    env = {**surroundings(), **_WAYLAND_ENV, **spec.env, "WAYLAND_DISPLAY": socket}
    env.pop("DISPLAY", None)
    if not spec.command:
        raise UnavailableError(f"application {spec.application}: no command is configured")
    name = Path(spec.command[0]).name
    async with child([*spec.within, *spec.command], name=name, env=env, both=True) as program:
        logger.info("%s runs on %s", name, socket)
        code = await program.wait()
        raise UnavailableError(f"{name} ended with {code}: {program.last_words}")


def _node(spec: StreamerSpec) -> str:
    return next((choice.render_node for choice in spec.encoders if choice.render_node), "")


def _ensure_runtime_dir() -> None:
    """Sockets need a private directory; a service has none unless it is given one."""
    current = os.environ.get("XDG_RUNTIME_DIR", "")
    if current and os.access(current, os.W_OK | os.X_OK):
        return
    directory = tempfile.mkdtemp(prefix="fanlight-wayland-")
    os.environ["XDG_RUNTIME_DIR"] = directory
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
