"""Just enough of the Wayland wire protocol to ask a compositor what it offers."""

import asyncio
import struct
from collections.abc import Collection
from pathlib import Path

_DISPLAY, _REGISTRY, _CALLBACK = 1, 2, 3
_SYNC, _GET_REGISTRY = 0, 1
_ERROR_EVENT, _GLOBAL_EVENT = 0, 0
_EVENTS_MAX = 2000
_CAPTURE = (
    ("ext_image_copy_capture_manager_v1", "ext-image-copy-capture"),
    ("zwlr_screencopy_manager_v1", "wlr-screencopy"),
)


async def list_globals(socket: Path) -> frozenset[str]:
    """Names of the compositor's global interfaces.

    Raises OSError or IncompleteReadError where none answers, ValueError where something else does.
    """
    reader, writer = await asyncio.open_unix_connection(socket)
    interfaces: set[str] = set()
    try:
        for opcode, new_id in ((_GET_REGISTRY, _REGISTRY), (_SYNC, _CALLBACK)):
            writer.write(struct.pack("=III", _DISPLAY, 12 << 16 | opcode, new_id))
        await writer.drain()
        for _ in range(_EVENTS_MAX):
            sender, size_opcode = struct.unpack("=II", await reader.readexactly(8))
            size, opcode = size_opcode >> 16, size_opcode & 0xFFFF
            if size < 8:
                raise ValueError("this is not a Wayland compositor")
            body = await reader.readexactly(size - 8)
            if sender == _CALLBACK:
                return frozenset(interfaces)
            if (sender, opcode) == (_DISPLAY, _ERROR_EVENT):
                raise ValueError("the compositor answered with an error")
            if (sender, opcode) == (_REGISTRY, _GLOBAL_EVENT) and len(body) >= 8:
                (length,) = struct.unpack_from("=I", body, 4)
                interfaces.add(body[8 : 8 + length].rstrip(b"\0").decode(errors="replace"))
    finally:
        writer.close()
    raise ValueError("this is not a Wayland compositor")


def capture_path(interfaces: Collection[str]) -> str:
    """How pictures can be had from a compositor with `interfaces`, for people."""
    for interface, name in _CAPTURE:
        if interface in interfaces:
            return f"captured through {name}"
    return "captured through the desktop portal"
