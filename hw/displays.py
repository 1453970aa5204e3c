"""Screens of this machine that could be streamed, and why one cannot be reached."""

import asyncio
import contextlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hw import wayland, x11

_SECONDS = 2.0
_X11_SOCKETS = Path("/tmp/.X11-unix")  # noqa: S108  (where X servers put them)
_WAYLAND_SOCKET = re.compile(r"^wayland-\d+$")
_ABSTRACT = re.compile(r"@/tmp/\.X11-unix/X(\d+)$", re.MULTILINE)
_AUTHORITIES = (
    "/run/user/*/gdm/Xauthority",
    "/run/user/*/xauth_*",
    "/run/user/*/.mutter-Xwaylandauth.*",
    "/run/lightdm/*/xauthority",
    "/run/sddm/xauth_*",
    "/home/*/.Xauthority",
)
"""Where display managers and people keep the cookies of their sessions."""


@dataclass(frozen=True, slots=True)
class Display:
    """A screen; `detail` is its size, or why it is not reachable."""

    name: str
    """`:0`, or the path of a Wayland socket."""
    kind: Literal["x11", "wayland"]
    reachable: bool
    detail: str = ""
    served: bool = True
    """Whether a server is behind it at all; False for a socket that was left over."""
    xauthority: str = ""
    """The file whose cookie opened an X display, empty where it needs none."""


async def list_displays(environ: Mapping[str, str] = os.environ) -> tuple[Display, ...]:
    """All displays, those that `environ` names first, each tried by really connecting."""
    names, sockets, authorities = await asyncio.to_thread(_look, environ)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_try_x11(name, authorities)) for name in names]
        tasks += [group.create_task(_try_wayland(socket)) for socket in sockets]
    return tuple(task.result() for task in tasks)


def fingerprint(environ: Mapping[str, str] = os.environ) -> frozenset[tuple[str, int]]:
    """Changes whenever a display or a cookie file came, went or was made anew. Blocks on the file system."""
    names, sockets, authorities = _look(environ)
    files = [*authorities, *sockets, *(_X11_SOCKETS / f"X{name[1:]}" for name in names)]
    return frozenset((str(file), _made(file)) for file in files) | {(name, 0) for name in names}


def _look(environ: Mapping[str, str]) -> tuple[list[str], list[Path], list[Path]]:
    """X displays, Wayland sockets, X authority files; what the environment names comes first."""
    found = {name[1:] for name in _names(_X11_SOCKETS) if re.match(r"^X\d+$", name)}
    with contextlib.suppress(OSError):
        found |= set(_ABSTRACT.findall(Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace")))
    displays = [f":{number}" for number in sorted(found, key=int)]
    if wanted := environ.get("DISPLAY"):
        # `:0.0` and `:0` are the same server.
        wanted = wanted.removeprefix("unix")
        base = re.sub(r"\.\d+$", "", wanted)
        displays = [wanted, *(name for name in displays if name != base)]
    sockets: list[Path] = []
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        preferred = environ.get("WAYLAND_DISPLAY", "")
        names = sorted(name for name in _names(Path(runtime)) if _WAYLAND_SOCKET.match(name))
        sockets = [Path(runtime) / name for name in dict.fromkeys([preferred, *names]) if name]
    elif environ.get("WAYLAND_DISPLAY", "").startswith("/"):
        sockets = [Path(environ["WAYLAND_DISPLAY"])]
    own = environ.get("XAUTHORITY") or str(Path(environ.get("HOME", "/")) / ".Xauthority")
    others = [path for pattern in _AUTHORITIES for path in _matching(pattern)]
    return displays, sockets, [path for path in dict.fromkeys([Path(own), *others]) if _readable(path)]


def _matching(pattern: str) -> list[Path]:
    try:
        return sorted(Path("/").glob(pattern[1:]))
    except OSError:  # no more files may be open, or a folder went away meanwhile
        return []


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def _readable(path: Path) -> bool:
    return os.access(path, os.R_OK) and path.is_file()


def _made(path: Path) -> int:
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else status.st_mtime_ns


async def _try_x11(name: str, authorities: list[Path]) -> Display:
    """Without a cookie first: many a server trusts its own user (xhost +si:localuser)."""
    why = ""
    for authority in (None, *authorities):
        cookies = await asyncio.to_thread(x11.read_cookies, authority, name) if authority else [None]
        for cookie in cookies:
            try:
                async with asyncio.timeout(_SECONDS):
                    size = await x11.handshake(name, cookie)
            except x11.RefusedError as exc:
                why = why or str(exc)
            except TimeoutError:
                return Display(name, "x11", reachable=False, detail=f"no answer within {_SECONDS:.0f} s")
            except (OSError, ValueError, asyncio.IncompleteReadError) as exc:
                return Display(name, "x11", False, _reason(exc), _served(exc))
            else:
                used = str(authority) if cookie else ""
                return Display(name, "x11", True, f"{size[0]}x{size[1]}", xauthority=used)
    tried = ", ".join(map(str, authorities)) or "no readable X authority file here"
    return Display(name, "x11", reachable=False, detail=f"no authority: {why} (tried {tried})")


async def _try_wayland(socket: Path) -> Display:
    try:
        async with asyncio.timeout(_SECONDS):
            interfaces = await wayland.list_globals(socket)
    except TimeoutError:
        return Display(str(socket), "wayland", reachable=False, detail=f"no answer within {_SECONDS:.0f} s")
    except (OSError, ValueError, asyncio.IncompleteReadError) as exc:
        return Display(str(socket), "wayland", False, _reason(exc), _served(exc))
    return Display(str(socket), "wayland", True, wayland.capture_path(interfaces))


def _served(exc: Exception) -> bool:
    return not isinstance(exc, FileNotFoundError | ConnectionRefusedError)


def _reason(exc: Exception) -> str:
    match exc:
        case FileNotFoundError():
            return "no server: its socket is missing"
        case ConnectionRefusedError():
            return "no server: connection refused, its socket is left over"
        case PermissionError():
            return "permission denied: it belongs to another user"
        case asyncio.IncompleteReadError():
            return "the server closed the connection"
        case _:
            return str(exc) or type(exc).__name__
