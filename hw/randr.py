"""Another size for an X screen, through RandR 1.2 (X Resize, Rotate and Reflect Extension)."""

from pathlib import Path
from typing import Any

import xcffib
import xcffib.randr
from xcffib import ffi, lib, xproto  # type: ignore[attr-defined]

from hw.x11 import read_cookies

_MM_PER_PIXEL = 25.4 / 96
_COOKIE_NAME = b"MIT-MAGIC-COOKIE-1"


class _Connection(xcffib.Connection):
    """Comes in by a cookie, which xcffib's own way frees before libxcb reads it."""

    core: Any

    def __init__(self, display: str, cookie: bytes) -> None:
        name, data = (ffi.new("char[]", text) for text in (_COOKIE_NAME, cookie))
        lengths = {"namelen": len(_COOKIE_NAME), "datalen": len(cookie)}
        proof = ffi.new("xcb_auth_info_t *", {"name": name, "data": data, **lengths})
        preferred = ffi.new("int *")
        self._conn = lib.xcb_connect_to_display_with_auth_info(display.encode(), proof, preferred)
        self.pref_screen = preferred[0]
        self.invalid()  # type: ignore[no-untyped-call]
        self._init_x()  # type: ignore[no-untyped-call]


def set_size(display: str, width: int, height: int, xauthority: str) -> None:
    """Make the screen of a virtual X server `width` x `height` pixels, and its one output with it. Blocks.

    Raises OSError where the server cannot: it is gone, or was started smaller than that.
    """
    cookies = read_cookies(Path(xauthority), display)
    try:
        server: Any = _Connection(display, cookies[0].data)
        try:
            _resize(server, width, height)
        finally:
            server.disconnect()
    except (xcffib.XcffibException, LookupError) as exc:
        raise OSError(f"display {display}: no size {width}x{height}: {type(exc).__name__}") from exc


def _resize(server: Any, width: int, height: int) -> None:
    root = server.get_setup().roots[server.pref_screen].root
    randr = server(xcffib.randr.key)
    randr.QueryVersion(1, 2).reply()
    geometry = server.core.GetGeometry(root).reply()
    if (geometry.width, geometry.height) == (width, height):
        return
    resources = randr.GetScreenResources(root).reply()
    crtc, output = resources.crtcs[0], resources.outputs[0]
    mode = _mode(server, randr, root, resources, output, width, height)
    # A screen may not be smaller than what its outputs show: none shows anything while it changes.
    _show(randr, crtc, 0, [])
    millimetres = (round(width * _MM_PER_PIXEL), round(height * _MM_PER_PIXEL))
    randr.SetScreenSize(root, width, height, *millimetres, is_checked=True).check()
    _show(randr, crtc, mode, [output])


def _show(randr: Any, crtc: int, mode: int, outputs: list[int]) -> None:
    rotation = xcffib.randr.Rotation.Rotate_0
    time = xproto.Time.CurrentTime
    randr.SetCrtcConfig(crtc, time, time, 0, 0, mode, rotation, len(outputs), outputs).reply()


def _mode(server: Any, randr: Any, root: int, resources: Any, output: int, width: int, height: int) -> int:
    """The mode of this size, made where there is none yet; known to `output`."""
    shown = randr.GetOutputInfo(output, resources.config_timestamp).reply().modes
    for each in resources.modes:
        if each.id in shown and (each.width, each.height) == (width, height):
            return int(each.id)
    name = f"{width}x{height}"
    made = xcffib.randr.ModeInfo.synthetic(
        server.generate_id(), width, height, 0, 0, 0, 0, 0, 0, 0, 0, len(name), 0
    )
    mode = randr.CreateMode(root, made, len(name), name).reply().mode
    randr.AddOutputMode(output, mode, is_checked=True).check()
    return int(mode)
