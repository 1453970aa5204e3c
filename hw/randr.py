"""Another size for an X screen, through RandR 1.2 (X Resize, Rotate and Reflect Extension)."""

from typing import Any

import xcffib
import xcffib.randr
from xcffib import xproto

from hw.x11_client import connected

_MM_PER_PIXEL = 25.4 / 96


def set_size(display: str, width: int, height: int, xauthority: str) -> None:
    """Make the screen of a virtual X server `width` x `height` pixels, and its one output with it. Blocks.

    Raises OSError where the server cannot: it is gone, or was started smaller than that.
    """
    try:
        with connected(display, xauthority) as (server, root):
            _resize(server, root, width, height)
    except OSError as exc:
        raise OSError(f"no size {width}x{height}: {exc}") from exc


def _resize(server: Any, root: int, width: int, height: int) -> None:
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
