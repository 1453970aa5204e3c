"""The viewer's keyboard on the screen's: same position where the layouts agree, else same character."""

import unicodedata
from typing import Protocol

_CONTROL_LEFT = 29
_SHIFT_LEFT = 42
_CAPS_LOCK = 58
_ALT_RIGHT = 100
_LEAVE_DEAD_KEYS = frozenset(("", "Shift", "CapsLock", "AltGraph"))
_NAMED = {"\n": 28, "\r": 28, "\t": 15}
_KEYPAD = frozenset((*range(71, 74), *range(75, 78), *range(79, 84)))
# A keypad without Num Lock moves the cursor, whatever the screen's own Num Lock says.
_KEYPAD_NAVIGATION = {
    "Home": 102,
    "ArrowUp": 103,
    "PageUp": 104,
    "ArrowLeft": 105,
    "ArrowRight": 106,
    "End": 107,
    "ArrowDown": 108,
    "PageDown": 109,
    "Insert": 110,
    "Delete": 111,
}


class Layout(Protocol):
    """The screen's keyboard: keys by evdev code, and what they produce with the modifiers now in effect."""

    def refresh(self) -> None:
        """Learn which modifiers are in effect."""

    @property
    def shortcut(self) -> bool:
        """Whether Ctrl, Alt or Meta is held."""

    @property
    def caps_lock(self) -> bool:
        """Whether Caps Lock is on."""

    def produces(self, code: int) -> str:
        """The character that a key produces, "" for none."""

    def shifts_level(self, code: int) -> bool:
        """Whether a key is AltGr here."""

    def is_dead(self, code: int) -> bool:
        """Whether a key is a dead accent now."""

    def find(self, character: str, busy: frozenset[int], *, shift: bool = False) -> int | None:
        """A key but the `busy` ones that produces `character`; with `shift`, once Shift is held as well."""

    def bind(self, character: str, busy: frozenset[int]) -> int | None:
        """A spare key made to produce `character`, None where there is none but the `busy` ones."""

    def send(self, code: int, pressed: bool) -> None:
        """Press or release a key."""


class Keyboard:
    """Decides which key of the screen a key of the viewer is, and releases just what it pressed."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._down: dict[int, int] = {}
        """The viewer's key -> the screen's."""
        self._dead: int | None = None

    def key(self, code: int, key: str, pressed: bool) -> None:
        """One key event; `key` is `KeyboardEvent.key`, "" where the client does not tell."""
        if not pressed:
            self._release(code)
        elif key == "Dead":
            self._dead = code
        elif key == "AltGraph":
            self._alt_graph(code)
        elif len(key) == 1 and key.isprintable():
            self._press(code, self._key_for(code, key))
        else:
            if key not in _LEAVE_DEAD_KEYS:
                self._dead = None
            self._press(code, _KEYPAD_NAVIGATION.get(key, code) if code in _KEYPAD else code)

    def text(self, text: str) -> None:
        """Type `text`."""
        for character in text:
            self._layout.refresh()
            if code := _NAMED.get(character) or self._layout.find(character, self._busy):
                self._tap(code)
            elif code := self._layout.find(character, self._busy, shift=True):
                self._layout.send(_SHIFT_LEFT, True)
                self._tap(code)
                self._layout.send(_SHIFT_LEFT, False)
            elif character.isprintable() and (code := self._layout.bind(character, self._busy)):
                self._tap(code)

    def release_all(self) -> None:
        """Let go of every key."""
        for code in reversed(list(self._down)):
            self._release(code)

    @property
    def _busy(self) -> frozenset[int]:
        return frozenset(self._down.values())

    def _key_for(self, code: int, character: str) -> int:
        layout = self._layout
        layout.refresh()
        if layout.shortcut and not character.isascii():
            return code  # nobody means Ctrl+Es by the C key of a Cyrillic keyboard
        here = layout.produces(code)
        dead, self._dead = self._dead, None
        if here == character:
            # The viewer's system did not compose: the accent is still to come, and the screen can do it.
            if (
                dead is not None
                and layout.is_dead(dead)
                and len(unicodedata.normalize("NFD", character)) == 1
            ):
                self._tap(dead)
            return code
        if layout.caps_lock and character == here.lower():
            # Programs apply Caps Lock to whatever a key is bound to, so it goes off, as at the viewer.
            self._tap(_CAPS_LOCK)
            return code
        busy = self._busy
        return layout.find(character, busy) or layout.bind(character, busy) or code

    def _alt_graph(self, code: int) -> None:
        # Windows reports AltGr as Control and Alt; characters must not become shortcuts.
        self._release(_CONTROL_LEFT)
        self._layout.refresh()
        if code != _ALT_RIGHT or self._layout.shifts_level(code):
            self._press(code, code)

    def _press(self, code: int, actual: int) -> None:
        self._down[code] = actual
        self._layout.send(actual, True)

    def _release(self, code: int) -> None:
        actual = self._down.pop(code, None)
        if actual is not None and actual not in self._down.values():
            self._layout.send(actual, False)

    def _tap(self, code: int) -> None:
        self._layout.send(code, True)
        self._layout.send(code, False)
