"""The X11 connection set-up (X Window System Protocol, chapter 8): proves a display and says why it refuses.

libxcb answers every failure with the same number, so the reason would be lost.
"""

import asyncio
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

_DISPLAY = re.compile(r"^(?P<host>[^:]*|\[.*\]):(?P<number>\d{1,5})(\.(?P<screen>\d+))?$")
_VERSION = (11, 0)
_COOKIE_NAME = b"MIT-MAGIC-COOKIE-1"
_COOKIES_MAX = 8
_FIXED_PART = 32
"""Bytes of the answer to the set-up from the resource ids to the vendor string."""


class RefusedError(Exception):
    """The server answered and refused; the text is its own."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """One MIT-MAGIC-COOKIE-1."""

    data: bytes = field(repr=False)


def read_cookies(authority: Path, display: str) -> list[Cookie]:
    """Cookies for `display` in an X authority file (Xau(3)); none where it is unreadable. Blocks."""
    try:
        data = authority.read_bytes()
    except OSError:
        return []
    number = _parse(display)[1]
    cookies: dict[bytes, Cookie] = {}
    try:
        while data:
            data = data[2:]
            fields = []
            for _ in range(4):
                (length,) = struct.unpack_from(">H", data)
                fields.append(data[2 : 2 + length])
                data = data[2 + length :]
            _, for_display, name, secret = fields
            # An empty number stands for all displays.
            if name == _COOKIE_NAME and for_display.decode(errors="replace") in ("", str(number)):
                cookies.setdefault(secret, Cookie(secret))
    except struct.error:
        pass  # a truncated file: what was read is good
    return list(cookies.values())[:_COOKIES_MAX]


async def handshake(display: str, cookie: Cookie | None = None) -> tuple[int, int]:
    """Connect to `display` and return its screen's width and height in pixels.

    Raises RefusedError, ValueError for a malformed name, OSError or IncompleteReadError without a server.
    """
    reader, writer = await _connect(display)
    try:
        name, secret = (_COOKIE_NAME, cookie.data) if cookie else (b"", b"")
        writer.write(
            struct.pack("<cxHHHHxx", b"l", *_VERSION, len(name), len(secret))
            + _padded(name)
            + _padded(secret)
        )
        await writer.drain()
        status, reason_length, _, _, units = struct.unpack("<BBHHH", await reader.readexactly(8))
        body = await reader.readexactly(units * 4)
    finally:
        writer.close()
    if status != 1:
        text = body[:reason_length] if status == 0 else body
        raise RefusedError(text.decode("latin-1").strip("\0\n ") or "refused without a reason")
    return _screen_size(body, _parse(display)[2])


def _parse(display: str) -> tuple[str, int, int]:
    """Host, display number, screen number."""
    if not (found := _DISPLAY.match(display)):
        raise ValueError(f"{display!r} is not a display, like :0")
    return found["host"].strip("[]"), int(found["number"]), int(found["screen"] or 0)


async def _connect(display: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, number, _ = _parse(display)
    if host not in ("", "unix"):
        return await asyncio.open_connection(host, 6000 + number)
    path = f"/tmp/.X11-unix/X{number}"  # noqa: S108  (where X servers put them)
    try:
        return await asyncio.open_unix_connection(path)
    except FileNotFoundError:
        # A private /tmp hides the socket, but not its name in the abstract space.
        try:
            return await asyncio.open_unix_connection("\0" + path)
        except ConnectionRefusedError as exc:
            raise FileNotFoundError(path) from exc


def _screen_size(body: bytes, screen: int) -> tuple[int, int]:
    """Size of root window number `screen` in the answer to the set-up."""
    try:
        vendor_length, screens, formats = struct.unpack_from("<H2xBB", body, 16)
        at = _FIXED_PART + vendor_length + -vendor_length % 4 + formats * 8
        if screen >= screens:
            raise ValueError(f"it has {screens} screens, and no number {screen}")
        for _ in range(screen):
            (depths,) = struct.unpack_from("<B", body, at + 39)
            at += 40
            for _ in range(depths):
                (visuals,) = struct.unpack_from("<H", body, at + 2)
                at += 8 + visuals * 24
        width, height = struct.unpack_from("<HH", body, at + 20)
    except struct.error as exc:
        raise ValueError("the server's answer is cut short") from exc
    return width, height


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
