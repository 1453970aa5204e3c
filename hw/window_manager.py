"""Waiting for a window manager (Extended Window Manager Hints, root window properties)."""

import select
import time

from xcffib import xproto

from hw.x11_client import connected

_MARK = "_NET_SUPPORTING_WM_CHECK"


def wait_for_window_manager(display: str, xauthority: str, seconds: float) -> bool:
    """Whether one manages the screen within `seconds`. Blocks; raises OSError where the server is gone."""
    until = time.monotonic() + seconds
    with connected(display, xauthority) as (server, root):
        mark = server.core.InternAtom(False, len(_MARK), _MARK).reply().atom
        events = [xproto.EventMask.PropertyChange]
        server.core.ChangeWindowAttributes(root, xproto.CW.EventMask, events, is_checked=True).check()
        while not server.core.GetProperty(False, root, mark, xproto.Atom.WINDOW, 0, 1).reply().value_len:
            if server.poll_for_event():  # came with the answer: nothing more may come
                continue
            left = until - time.monotonic()
            if left <= 0 or not select.select([server.get_file_descriptor()], [], [], left)[0]:
                return False
        return True
