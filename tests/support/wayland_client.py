"""A Wayland client in plain Python that draws a frame counter: `WAYLAND_DISPLAY=… python wayland_client.py`.

Speaks the wire protocol itself (wl_shm, xdg-shell), so that tests need no toolkit and no terminal emulator.
"""

import mmap
import os
import socket
import struct
from pathlib import Path

BITS, BLOCK = 16, 24
DISPLAY = 1
XRGB8888 = 1


class Wire:
    """Requests out, events in."""

    def __init__(self) -> None:
        path = Path(os.environ["XDG_RUNTIME_DIR"]) / os.environ["WAYLAND_DISPLAY"]
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._received = b""
        self._last_id = DISPLAY

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def request(self, target: int, opcode: int, *arguments: int | str, fd: int | None = None) -> None:
        body = b"".join(
            struct.pack("=i", value) if isinstance(value, int) else _string(value) for value in arguments
        )
        message = struct.pack("=II", target, (8 + len(body)) << 16 | opcode) + body
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", fd))] if fd is not None else []
        self._socket.sendmsg([message], rights)

    def event(self) -> tuple[int, int, bytes]:
        """Source, opcode, body of the next one; ends the program with the connection."""
        while True:
            if len(self._received) >= 8:
                source, size = struct.unpack_from("=II", self._received)
                if len(self._received) >= size >> 16:
                    body = self._received[8 : size >> 16]
                    self._received = self._received[size >> 16 :]
                    return source, size & 0xFFFF, body
            data = self._socket.recv(65536)
            if not data:
                raise SystemExit("the compositor is gone")
            self._received += data


def _string(text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("=I", len(data)) + data + bytes(-len(data) % 4)


def bind(wire: Wire, *interfaces: str) -> list[int]:
    """Bind version 1 of each of `interfaces`."""
    registry, done = wire.new_id(), wire.new_id()
    wire.request(DISPLAY, 1, registry)
    wire.request(DISPLAY, 0, done)
    names = {}
    while (event := wire.event())[0] != done:
        source, _, body = event
        if source == registry:
            name, length = struct.unpack_from("=II", body)
            names[body[8 : 8 + length - 1].decode()] = name
    bound = []
    for interface in interfaces:
        bound.append(wire.new_id())
        wire.request(registry, 0, names[interface], interface, 1, bound[-1])
    return bound


def paint(pixels: mmap.mmap, width: int, number: int) -> None:
    """The strip: 16 squares of Gray code, lowest bit first, then white, black, white."""
    gray = number ^ (number >> 1)
    cells = [gray >> bit & 1 for bit in range(BITS)] + [1, 0, 1]
    row = b"".join((b"\xff\xff\xff\0" if cell else bytes(4)) * BLOCK for cell in cells)
    for line in range(BLOCK):
        pixels[line * width * 4 : line * width * 4 + len(row)] = row


def main() -> None:
    """Draw a new number for each frame that the compositor asks for."""
    wire = Wire()
    compositor, shm, shell = bind(wire, "wl_compositor", "wl_shm", "xdg_wm_base")
    surface, shell_surface, window = wire.new_id(), wire.new_id(), wire.new_id()
    wire.request(compositor, 0, surface)
    wire.request(shell, 2, shell_surface, surface)
    wire.request(shell_surface, 1, window)
    wire.request(surface, 6)
    width, height, buffer, number, callback = 640, 480, 0, 0, 0
    while True:
        source, opcode, body = wire.event()
        if source == shell:
            wire.request(shell, 3, *struct.unpack("=i", body))
        elif source == window and opcode == 0 and not buffer:
            asked = struct.unpack_from("=ii", body)
            width, height = asked if all(asked) else (width, height)
        elif source == shell_surface:
            wire.request(shell_surface, 4, *struct.unpack("=i", body))
            if not buffer:
                memory = os.memfd_create("pixels")
                os.ftruncate(memory, width * height * 4)
                pixels = mmap.mmap(memory, width * height * 4)
                pool, buffer = wire.new_id(), wire.new_id()
                wire.request(shm, 0, pool, width * height * 4, fd=memory)
                wire.request(pool, 0, buffer, 0, width, height, width * 4, XRGB8888)
        if buffer and (source in (callback, shell_surface)):
            number += 1
            paint(pixels, width, number)
            callback = wire.new_id()
            wire.request(surface, 3, callback)
            wire.request(surface, 1, buffer, 0, 0)
            wire.request(surface, 2, 0, 0, width, height)
            wire.request(surface, 6)


if __name__ == "__main__":
    main()
