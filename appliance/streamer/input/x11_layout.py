"""The keyboard of an X server: the core protocol's map, XKB's modifiers, XTEST's keys."""

import logging
import time
from collections.abc import Set as AbstractSet
from typing import Any

import xcffib
import xcffib.xkb
import xcffib.xtest
from xcffib import xproto

from appliance.streamer.input import keysyms

logger = logging.getLogger(__name__)

EVDEV_OFFSET = 8
_USE_CORE_KEYBOARD = 0x100
_MAP_EVENTS = xcffib.xkb.EventType.NewKeyboardNotify | xcffib.xkb.EventType.MapNotify
_ALL = 0xFF
_SHIFT, _LOCK, _CONTROL, _MOD1, _MOD4 = 1, 2, 4, 8, 64
_SPARE_KEYS = 32
_SETTLE_SECONDS = 0.4
"""How long programs are given to look up what a spare key is bound to before it changes again."""


class X11Layout:
    """`keyboard.Layout` of one X connection, used from one thread; spare keys are restored by `restore`."""

    def __init__(self, connection: Any) -> None:
        self._x = connection
        self._xkb = connection(xcffib.xkb.key)
        self._xtest = connection(xcffib.xtest.key)
        self._xkb.UseExtension(1, 0).reply()
        self._xtest.GetVersion(2, 2).reply()
        self._xkb.SelectEvents(_USE_CORE_KEYBOARD, _MAP_EVENTS, 0, _MAP_EVENTS, _ALL, _ALL, [])
        self._first: int = max(connection.setup.min_keycode, EVDEV_OFFSET + 1)  # evdev knows no key 0
        self._count = connection.setup.max_keycode - self._first + 1
        self._modifiers = 0
        self._group = 0
        self._level3_mask = self._num_mask = 0
        self._bound: dict[int, float] = {}
        """Spare keycodes that we bound, least recently used first, and when they were used."""
        self._stale = False
        self._reload()

    def invalidate(self) -> None:
        """The map changed: read it again before it is needed."""
        self._stale = True

    def refresh(self) -> None:
        """Ask for the modifiers and the group in effect: one round trip."""
        if self._stale:
            self._stale = False
            self._reload()
        state = self._xkb.GetState(_USE_CORE_KEYBOARD).reply()
        self._modifiers, self._group = state.mods, state.group

    @property
    def shortcut(self) -> bool:
        """Whether Ctrl, Alt or Meta is held."""
        return bool(self._modifiers & (_CONTROL | _MOD1 | _MOD4))

    @property
    def caps_lock(self) -> bool:
        """Whether Caps Lock is on."""
        return bool(self._modifiers & _LOCK)

    def produces(self, code: int) -> str:
        """The character that a key produces, "" for none."""
        return keysyms.character_of(self._keysym(code + EVDEV_OFFSET, self._modifiers))

    def shifts_level(self, code: int) -> bool:
        """Whether a key is AltGr here."""
        return self._keysym(code + EVDEV_OFFSET, 0) in keysyms.LEVEL3

    def is_dead(self, code: int) -> bool:
        """Whether a key is a dead accent now."""
        return self._keysym(code + EVDEV_OFFSET, self._modifiers) in keysyms.DEAD

    def find(self, character: str, busy: frozenset[int], *, shift: bool = False) -> int | None:
        """A key but the `busy` ones that produces `character`; with `shift`, once Shift is held as well."""
        modifiers = self._modifiers | _SHIFT if shift else self._modifiers
        for keycode in self._rows:
            keysym = self._keysym(keycode, modifiers)
            # Programs make of the keypad what they like, above all with Shift.
            if keysyms.character_of(keysym) != character or keysyms.is_keypad_character(keysym):
                continue
            if (code := keycode - EVDEV_OFFSET) not in busy:
                if keycode in self._bound:
                    self._used(keycode)
                return code
        return None

    def bind(self, character: str, busy: frozenset[int]) -> int | None:
        """A spare key made to produce `character`, None where there is none but the `busy` ones."""
        keycode = self._spare(busy)
        if keycode is None:
            return None
        keysym = keysyms.keysym_of(character)
        if not self._change(keycode, [keysym, keysym]):
            return None
        self._used(keycode)
        return keycode - EVDEV_OFFSET

    def send(self, code: int, pressed: bool) -> None:
        """Press or release a key; one that X has no keycode for is left out."""
        if (keycode := code + EVDEV_OFFSET) in self._rows:
            kind = xproto.KeyPressEvent if pressed else xproto.KeyReleaseEvent
            self._xtest.FakeInput(kind.event_number, keycode, 0, 0, 0, 0, 0)

    def restore(self) -> None:
        """Give the spare keys back."""
        for keycode in self._bound:
            self._change(keycode, [0])
        self._bound.clear()

    def _reload(self) -> None:
        core = self._x.core
        keymap_cookie = core.GetKeyboardMapping(self._first, self._count)
        modifiers_cookie = core.GetModifierMapping()
        keymap = keymap_cookie.reply()
        width, syms = keymap.keysyms_per_keycode, list(keymap.keysyms)
        self._rows: dict[int, list[int]] = {
            self._first + n: (syms[n * width : (n + 1) * width] + [0] * 8)[:8] for n in range(self._count)
        }
        self._bound = {keycode: when for keycode, when in self._bound.items() if any(self._rows[keycode])}
        reply = modifiers_cookie.reply()
        per_modifier = reply.keycodes_per_modifier
        masks = {
            keycode: 1 << n // per_modifier
            for n, keycode in enumerate(reply.keycodes)
            if keycode in self._rows
        }
        self._level3_mask = self._mask(masks, keysyms.LEVEL3)
        self._num_mask = self._mask(masks, {keysyms.NUM_LOCK})

    def _spare(self, busy: frozenset[int]) -> int | None:
        """An unused keycode; once there are enough of ours, the one of them that was used longest ago."""
        if len(self._bound) < _SPARE_KEYS:
            for keycode in reversed(self._rows):
                if not any(self._rows[keycode]):
                    return keycode
        for keycode, used_at in self._bound.items():
            if keycode - EVDEV_OFFSET not in busy:
                time.sleep(max(0.0, used_at + _SETTLE_SECONDS - time.monotonic()))
                return keycode
        return None

    def _used(self, keycode: int) -> None:
        self._bound.pop(keycode, None)
        self._bound[keycode] = time.monotonic()

    def _change(self, keycode: int, row: list[int]) -> bool:
        try:
            self._x.core.ChangeKeyboardMappingChecked(1, keycode, len(row), row).check()
        except xcffib.ProtocolException as exc:
            logger.debug("keycode %s cannot be remapped: %r", keycode, exc)
            return False
        self._rows[keycode] = (row + [0] * 8)[:8]
        return True

    def _mask(self, masks: dict[int, int], wanted: AbstractSet[int]) -> int:
        mask = 0
        for keycode, bit in masks.items():
            if not wanted.isdisjoint(self._rows[keycode]):
                mask |= bit
        return mask

    def _keysym(self, keycode: int, modifiers: int) -> int:
        """What XKB's usual key types make of `modifiers`, on the map that the core protocol shows.

        A row holds levels 1 and 2 of group 1 and of group 2, then levels 3 and 4 of both.
        """
        row = self._rows.get(keycode)
        if row is None:
            return 0
        first = 2 if self._group == 1 and (row[2] or row[3]) else 0
        if modifiers & self._level3_mask and (row[first + 4] or row[first + 5]):
            first += 4
        plain, shifted = row[first], row[first + 1]
        second = bool(modifiers & _SHIFT)
        if keysyms.is_keypad_character(shifted):
            second ^= bool(modifiers & self._num_mask)
        elif modifiers & _LOCK:
            lower, upper = keysyms.character_of(plain), keysyms.character_of(shifted)
            second ^= lower != upper and lower.upper() == upper
        return shifted if second and shifted else plain
