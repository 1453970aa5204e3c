"""The few Wayland messages we speak, to a compositor that is made of bytes."""

import asyncio
import struct
from pathlib import Path

import pytest

from hw import wayland

pytestmark = pytest.mark.unit


def event(sender: int, opcode: int, body: bytes) -> bytes:
    return struct.pack("=II", sender, (8 + len(body)) << 16 | opcode) + body


def offer(number: int, interface: str) -> bytes:
    name = interface.encode() + b"\0"
    padded = name + bytes(-len(name) % 4)
    return event(2, 0, struct.pack("=II", number, len(name)) + padded + struct.pack("=I", 1))


async def globals_of(tmp_path: Path, answer: bytes) -> frozenset[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(24) == struct.pack("=IIIIII", 1, 12 << 16 | 1, 2, 1, 12 << 16, 3)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "wayland-0"):
        return await wayland.list_globals(tmp_path / "wayland-0")


async def test_globals_are_read_until_the_callback(tmp_path: Path) -> None:
    answer = offer(1, "wl_compositor") + offer(2, "zwlr_screencopy_manager_v1") + event(3, 0, bytes(4))
    found = await globals_of(tmp_path, answer + offer(3, "too_late"))
    assert found == {"wl_compositor", "zwlr_screencopy_manager_v1"}
    assert wayland.capture_path(found) == "captured through wlr-screencopy"


async def test_an_error_of_the_compositor_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="answered with an error"):
        await globals_of(tmp_path, event(1, 0, bytes(12)))


async def test_something_else_behind_the_socket(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a Wayland compositor"):
        await globals_of(tmp_path, bytes(8))


def test_a_compositor_without_capture_protocols_needs_the_portal() -> None:
    assert wayland.capture_path({"wl_compositor"}) == "captured through the desktop portal"
