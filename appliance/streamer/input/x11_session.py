"""One connection to an X server and what is done over it, in one thread."""

import contextlib
import logging
import os
import socket
from types import TracebackType
from typing import Any, Self

import xcffib
import xcffib.xkb
import xcffib.xtest
from xcffib import xproto

from appliance.errors import UnavailableError
from appliance.streamer.input.keyboard import Keyboard
from appliance.streamer.input.x11_clipboard import X11Clipboard
from appliance.streamer.input.x11_layout import EVDEV_OFFSET, X11Layout

logger = logging.getLogger(__name__)

_BUTTONS = {0x110: 1, 0x112: 2, 0x111: 3, 0x113: 8, 0x114: 9}
_UP, _DOWN, _LEFT, _RIGHT = 4, 5, 6, 7
_MOTION = 6
_ABSOLUTE, _RELATIVE = 0, 1
_FARTHEST = 32767
_EVENTS_AT_ONCE = 200
_POINTER_BUTTONS = {1: 0x100, 2: 0x200, 3: 0x400}


class X11Session:
    """Every call may raise xcffib.ConnectionException once the server is gone."""

    _x: Any

    def __init__(self, display: str, xauthority: str = "", *, clipboard: bool = True) -> None:
        """Connect. Raises UnavailableError naming the display and what is wrong."""
        if xauthority:
            os.environ["XAUTHORITY"] = xauthority
        try:
            self._x = xcffib.connect(display)
        except xcffib.ConnectionException as exc:
            raise UnavailableError(f"X11 {display}: no X server answers, or it refuses us") from exc
        try:
            self._layout = X11Layout(self._x)
            self._clipboard = X11Clipboard(self._x) if clipboard else None
        except (xcffib.XcffibException, KeyError) as exc:
            self._x.disconnect()
            raise UnavailableError(f"X11 {display}: XTEST, XKB or XFIXES is missing: {exc!r}") from exc
        self.keyboard = Keyboard(self._layout)
        screen = self._x.setup.roots[self._x.pref_screen]
        self._root = screen.root
        self.size = (screen.width_in_pixels, screen.height_in_pixels)
        self._buttons: set[int] = set()
        self._rest_x = self._rest_y = 0.0
        self._xtest = self._x(xcffib.xtest.key)
        watched = xproto.EventMask.StructureNotify
        self._x.core.ChangeWindowAttributes(self._root, xproto.CW.EventMask, [watched])
        self._let_go_of_leftovers()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of everything, give the spare keys back, disconnect."""
        with contextlib.suppress(xcffib.XcffibException):
            self.keyboard.release_all()
            for button in self._buttons:
                self._fake(xproto.ButtonReleaseEvent.event_number, button)
            self._layout.restore()
            self._x.core.GetInputFocus().reply()  # the server has done all that once it answers this
        self._x.disconnect()

    def fileno(self) -> int:
        """What becomes readable when there is something to `pump`."""
        return int(self._x.get_file_descriptor())

    def cut(self) -> None:
        """From any thread: end the connection under a call that waits for a server that does not answer."""
        with contextlib.suppress(OSError, xcffib.XcffibException):
            line = socket.socket(fileno=os.dup(self.fileno()))
            with line:
                line.shutdown(socket.SHUT_RDWR)

    def move(self, x: float, y: float) -> None:
        """Pointer to a point."""
        self._fake(_MOTION, _ABSOLUTE, int(x), int(y))

    def move_relative(self, dx: float, dy: float) -> None:
        """Pointer by a distance; what is less than a pixel adds up."""
        dx, dy = dx + self._rest_x, dy + self._rest_y
        self._rest_x, self._rest_y = dx - int(dx), dy - int(dy)
        if int(dx) or int(dy):
            self._fake(_MOTION, _RELATIVE, _short(dx), _short(dy))

    def button(self, button: int, pressed: bool) -> None:
        """A mouse button by its evdev code."""
        if (number := _BUTTONS.get(button)) is None:
            return
        kind = xproto.ButtonPressEvent if pressed else xproto.ButtonReleaseEvent
        self._fake(kind.event_number, number)
        (self._buttons.add if pressed else self._buttons.discard)(number)

    def wheel(self, dx: int, dy: int) -> None:
        """Wheel notches: X knows them as clicks of buttons 4 to 7."""
        clicks = [_DOWN if dy > 0 else _UP] * abs(dy) + [_RIGHT if dx > 0 else _LEFT] * abs(dx)
        for number in clicks:
            self._fake(xproto.ButtonPressEvent.event_number, number)
            self._fake(xproto.ButtonReleaseEvent.event_number, number)

    def offer(self, text: str) -> None:
        """Own the clipboard."""
        if self._clipboard:
            self._clipboard.offer(text)

    def restore(self, text: str) -> None:
        """Own the clipboard where nobody does."""
        if self._clipboard and not self._clipboard.owned:
            self._clipboard.offer(text)

    def flush(self) -> None:
        """Send what is written."""
        self._x.flush()

    def pump(self) -> tuple[str | None, bool]:
        """Handle events that have come: the newest text on the clipboard, if any, and whether that is all."""
        newest: str | None = None
        for _ in range(_EVENTS_AT_ONCE):
            try:
                if (event := self._x.poll_for_event()) is None:
                    return newest, True
                match event:
                    case xcffib.xkb.NewKeyboardNotifyEvent():  # xcffib takes all of XKB's events for this one
                        self._layout.invalidate()
                    case xproto.ConfigureNotifyEvent() if event.window == self._root:
                        self.size = (event.width, event.height)
                    case _ if self._clipboard and (text := self._clipboard.handle(event)):
                        newest = text
            except xcffib.ProtocolException as exc:
                logger.debug("X error: %r", exc)  # a window of somebody else is gone
        return newest, False

    def _let_go_of_leftovers(self) -> None:
        """XTEST keys and buttons stay down when the client that pressed them dies."""
        pressed = self._x.core.QueryKeymap().reply().keys
        for keycode in range(256):
            if pressed[keycode // 8] >> keycode % 8 & 1:
                self._layout.send(keycode - EVDEV_OFFSET, False)
        mask = self._x.core.QueryPointer(self._root).reply().mask
        for number, bit in _POINTER_BUTTONS.items():
            if mask & bit:
                self._fake(xproto.ButtonReleaseEvent.event_number, number)

    def _fake(self, kind: int, detail: int, x: int = 0, y: int = 0) -> None:
        self._xtest.FakeInput(kind, detail, 0, self._root, x, y, 0)


def _short(distance: float) -> int:
    return max(-_FARTHEST, min(_FARTHEST, int(distance)))
