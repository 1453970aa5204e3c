"""Input into pixelflux's Wayland compositor, or through it into another one."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from appliance.signaling.control import CLIPBOARD_BYTES
from appliance.streamer.frames import VideoSource
from appliance.streamer.input import keysyms
from appliance.streamer.input.keyboard import Keyboard

# inject_key and set_keymap_overlay of pixelflux 2.2 take XKB keycodes, whatever its documentation says.
_XKB_OFFSET = 8
_SCROLL_PER_NOTCH = 10.0
_CAPS_LOCK = 58
_SHIFT = frozenset((42, 54))
_SHORTCUT = frozenset((29, 97, 56, 100, 125, 126))
_US_ROWS = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
)
_US = {
    first + n: pair
    for first, plain, shifted in _US_ROWS
    for n, pair in enumerate(zip(plain, shifted, strict=True))
}
_BUTTONS = range(0x110, 0x118)
_KEYPAD = {55: "*", 74: "-", 78: "+", 98: "/"}
_SPARE_KEYS = (84, *range(195, 200), *range(239, 248))
_TEXT_TYPES = ("text/plain;charset=utf-8", "UTF8_STRING", "text/plain", "TEXT", "STRING")


class WaylandSink:
    """`InputSink` of the compositor that `source` captures; without one, input is dropped.

    Our own compositor's layout is US, with spare keys for every other character. Of the layout of somebody
    else's (`own` false) nothing is known: keys go by their position.
    """

    def __init__(self, source: Callable[[], VideoSource | None], *, own: bool) -> None:
        self._source = source
        self._own = own
        self._known: Any = None
        self._owed: set[int] = set()
        """Keys and buttons let go of while nothing was captured: the compositor has them down still."""
        self._keyboard = Keyboard(_UsLayout(self._capture, self._press))
        self._on_clipboard: Callable[[str], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def description(self) -> str:
        """What input goes to, or why it goes nowhere."""
        what = "Wayland compositor of its own" if self._own else "Wayland compositor of the host"
        return what if self._capture() else f"{what}: not running"

    @property
    def size(self) -> tuple[int, int] | None:
        """Of the picture, which is the screen."""
        info = getattr(self._source(), "info", None)
        return (info.width, info.height) if info else None

    def key(self, code: int, key: str, pressed: bool) -> None:
        """A key by its evdev code and its `KeyboardEvent.key`."""
        self._keyboard.key(code, key if self._own else "", pressed)

    def text(self, text: str) -> None:
        """Type `text`; not into a compositor whose layout is not ours to change."""
        if self._own:
            self._keyboard.text(text)

    def move(self, x: float, y: float) -> None:
        """Pointer to a point."""
        if capture := self._capture():
            capture.inject_mouse_move(x, y)

    def move_relative(self, dx: float, dy: float) -> None:
        """Pointer by a distance."""
        if capture := self._capture():
            capture.inject_relative_mouse_move(dx, dy)

    def button(self, button: int, pressed: bool) -> None:
        """A mouse button by its evdev code."""
        self._press(button, pressed)

    def wheel(self, dx: int, dy: int) -> None:
        """Wheel notches."""
        if capture := self._capture():
            capture.inject_mouse_scroll(dx * _SCROLL_PER_NOTCH, dy * _SCROLL_PER_NOTCH)

    def set_clipboard(self, text: str) -> None:
        """Offer `text` to the programs on the screen."""
        if capture := self._capture():
            data = text.encode()
            capture.set_clipboard([(kind, data) for kind in _TEXT_TYPES])

    async def run(self, on_clipboard: Callable[[str], None] | None) -> None:
        """Pass the clipboard on until cancelled; the connection is the source's."""
        self._loop = asyncio.get_running_loop()
        self._on_clipboard = on_clipboard
        self._known = None
        try:
            await asyncio.Event().wait()
        finally:
            self._on_clipboard = None
            self._keyboard.release_all()

    def _capture(self) -> Any:
        """The ScreenCapture in use, made ready when it is a new one; None before it runs."""
        source = self._source()
        capture = getattr(source, "capture", None) if hasattr(source, "info") else None
        if capture is not None and capture is not self._known:
            self._known = capture
            if self._own:
                capture.set_xkb_layout("us")
            if self._on_clipboard:
                capture.set_clipboard_callback(self._clipboard_changed)
        while capture is not None and self._owed:
            _inject(capture, self._owed.pop(), False)
        return capture

    def _press(self, code: int, pressed: bool) -> bool:
        """A key or a button, which share one numbering; whether it was done."""
        if capture := self._capture():
            _inject(capture, code, pressed)
        elif not pressed:
            self._owed.add(code)
        return capture is not None

    def _clipboard_changed(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """In pixelflux's thread."""
        flavors = dict(entries)
        for kind in _TEXT_TYPES:
            data = bytes(flavors.get(kind, b""))
            if self._loop and self._on_clipboard and 0 < len(data) <= CLIPBOARD_BYTES:
                self._loop.call_soon_threadsafe(self._on_clipboard, data.decode("utf-8", errors="replace"))
                return


def _inject(capture: Any, code: int, pressed: bool) -> None:
    if code in _BUTTONS:
        capture.inject_mouse_button(code, int(pressed))
    else:
        capture.inject_key(code + _XKB_OFFSET, int(pressed))


class _UsLayout:
    """`keyboard.Layout` of a compositor whose only keyboard we are: its modifiers are what we sent."""

    def __init__(self, capture: Callable[[], Any], press: Callable[[int, bool], bool]) -> None:
        self._capture = capture
        self._press = press
        self._down: set[int] = set()
        self._bound: dict[int, str] = {}
        """Spare key -> its character, least recently bound first."""
        self.caps_lock = False

    @property
    def shortcut(self) -> bool:
        """Whether Ctrl, Alt or Meta is held."""
        return not _SHORTCUT.isdisjoint(self._down)

    def refresh(self) -> None:
        """Nothing to ask."""

    def produces(self, code: int) -> str:
        """The character that a key produces, "" for none."""
        return self._produces(code, shift=False) or _KEYPAD.get(code, "")

    def shifts_level(self, code: int) -> bool:  # noqa: ARG002
        """No key is AltGr on a US keyboard."""
        return False

    def is_dead(self, code: int) -> bool:  # noqa: ARG002
        """No key is dead on a US keyboard."""
        return False

    def find(self, character: str, busy: frozenset[int], *, shift: bool = False) -> int | None:
        """A key but the `busy` ones that produces `character`; with `shift`, once Shift is held as well."""
        for code in (*_US, *self._bound):
            if code not in busy and self._produces(code, shift=shift) == character:
                return code
        return None

    def bind(self, character: str, busy: frozenset[int]) -> int | None:
        """A spare key made to produce `character`, None where there is none but the `busy` ones."""
        unused = [code for code in _SPARE_KEYS if code not in self._bound]
        code = next((code for code in (*unused, *self._bound) if code not in busy), None)
        if code is not None and (capture := self._capture()):
            self._bound.pop(code, None)
            self._bound[code] = character
            binds = [(code + _XKB_OFFSET, keysyms.keysym_of(bound)) for code, bound in self._bound.items()]
            capture.set_keymap_overlay(binds)
        return code

    def send(self, code: int, pressed: bool) -> None:
        """Press or release a key."""
        done = self._press(code, pressed)
        if not pressed:
            self._down.discard(code)
        elif done:
            self._down.add(code)
            self.caps_lock ^= code == _CAPS_LOCK

    def _produces(self, code: int, *, shift: bool) -> str:
        if code in self._bound:
            return self._bound[code]
        plain, shifted = _US.get(code, ("", ""))
        second = shift or not _SHIFT.isdisjoint(self._down)
        return shifted if second ^ (self.caps_lock and plain.isalpha()) else plain
