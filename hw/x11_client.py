"""A client of an X server through xcffib, which comes in by a cookie."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xcffib
from xcffib import ffi, lib  # type: ignore[attr-defined]

from hw.x11 import read_cookies

_COOKIE_NAME = b"MIT-MAGIC-COOKIE-1"


class _Connection(xcffib.Connection):
    """Keeps the cookie alive; xcffib's own way frees it before libxcb reads it."""

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


@contextlib.contextmanager
def connected(display: str, xauthority: str) -> Iterator[tuple[Any, int]]:
    """A connection and the screen's root window. Blocks; raises OSError, for the body too."""
    try:
        server: Any = _Connection(display, read_cookies(Path(xauthority), display)[0].data)
        try:
            yield server, server.get_setup().roots[server.pref_screen].root
        finally:
            server.disconnect()
    except (xcffib.XcffibException, LookupError) as exc:
        raise OSError(f"display {display}: {type(exc).__name__}") from exc
