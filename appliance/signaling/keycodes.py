"""Key tables: `KeyboardEvent.code`, Anbox's `input::key` and Android key codes, all to Linux evdev codes.

The numbers are those of linux/input-event-codes.h.
"""

from types import MappingProxyType

_LETTERS = dict(
    zip("QWERTYUIOPASDFGHJKLZXCVBNM", (*range(16, 26), *range(30, 39), *range(44, 51)), strict=True)
)
_DIGITS = dict(zip("1234567890", range(2, 12), strict=True))
_NUMPAD_DIGITS = dict(zip("7894561230", (71, 72, 73, 75, 76, 77, 79, 80, 81, 82), strict=True))
_F_KEYS = (*range(59, 69), 87, 88, *range(183, 195))

BY_DOM_CODE = MappingProxyType(
    {
        **{f"Key{letter}": code for letter, code in _LETTERS.items()},
        **{f"Digit{digit}": code for digit, code in _DIGITS.items()},
        **{f"Numpad{digit}": code for digit, code in _NUMPAD_DIGITS.items()},
        **{f"F{number}": code for number, code in enumerate(_F_KEYS, 1)},
        "Escape": 1,
        "Minus": 12,
        "Equal": 13,
        "Backspace": 14,
        "Tab": 15,
        "BracketLeft": 26,
        "BracketRight": 27,
        "Enter": 28,
        "ControlLeft": 29,
        "Semicolon": 39,
        "Quote": 40,
        "Backquote": 41,
        "ShiftLeft": 42,
        "Backslash": 43,
        "Comma": 51,
        "Period": 52,
        "Slash": 53,
        "ShiftRight": 54,
        "NumpadMultiply": 55,
        "AltLeft": 56,
        "Space": 57,
        "CapsLock": 58,
        "NumLock": 69,
        "ScrollLock": 70,
        "NumpadSubtract": 74,
        "NumpadAdd": 78,
        "NumpadDecimal": 83,
        "Lang5": 85,
        "IntlBackslash": 86,
        "IntlRo": 89,
        "Lang3": 90,
        "Lang4": 91,
        "Convert": 92,
        "KanaMode": 93,
        "NonConvert": 94,
        "NumpadEnter": 96,
        "ControlRight": 97,
        "NumpadDivide": 98,
        "PrintScreen": 99,
        "AltRight": 100,
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
        "AudioVolumeMute": 113,
        "VolumeMute": 113,
        "AudioVolumeDown": 114,
        "VolumeDown": 114,
        "AudioVolumeUp": 115,
        "VolumeUp": 115,
        "Power": 116,
        "NumpadEqual": 117,
        "Pause": 119,
        "NumpadComma": 121,
        "Lang1": 122,
        "Lang2": 123,
        "IntlYen": 124,
        "MetaLeft": 125,
        "OSLeft": 125,
        "MetaRight": 126,
        "OSRight": 126,
        "ContextMenu": 127,
        "BrowserStop": 128,
        "Again": 129,
        "Props": 130,
        "Undo": 131,
        "Select": 132,
        "Copy": 133,
        "Open": 134,
        "Paste": 135,
        "Find": 136,
        "Cut": 137,
        "Help": 138,
        "LaunchApp2": 140,
        "Sleep": 142,
        "WakeUp": 143,
        "LaunchApp1": 144,
        "LaunchMail": 155,
        "BrowserFavorites": 156,
        "BrowserBack": 158,
        "BrowserForward": 159,
        "Eject": 161,
        "MediaTrackNext": 163,
        "MediaPlayPause": 164,
        "MediaTrackPrevious": 165,
        "MediaStop": 166,
        "BrowserHome": 172,
        "BrowserRefresh": 173,
        "NumpadParenLeft": 179,
        "NumpadParenRight": 180,
        "BrowserSearch": 217,
        "MediaSelect": 226,
        "Fn": 464,
    }
)
"""`KeyboardEvent.code` (UI Events KeyboardEvent code Values) -> evdev."""

_ANBOX_IN_ORDER = {
    4: [f"Key{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"],
    30: [f"Digit{digit}" for digit in "1234567890"],
    40: ["Enter", "Escape", "Backspace", "Tab", "Space", "Minus", "Equal", "BracketLeft", "BracketRight"],
    49: ["Backslash", "Quote", "Semicolon"],
    54: ["Comma", "Period", "Slash", "CapsLock", *(f"F{number}" for number in range(1, 13))],
    70: ["PrintScreen", "ScrollLock", "Pause", "Insert", "Home", "PageUp", "Delete", "End", "PageDown"],
    79: ["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"],
    83: ["ControlLeft", "ShiftLeft", "AltLeft", "MetaLeft", "AltRight"],
    88: ["NumLock", "AudioVolumeDown", "AudioVolumeUp", "Power", "BrowserBack"],
}

BY_ANBOX_CODE = MappingProxyType(
    {
        first + offset: BY_DOM_CODE[name]
        for first, names in _ANBOX_IN_ORDER.items()
        for offset, name in enumerate(names)
    }
)
"""The private table of Anbox's SDK: USB HID usages up to 82 (but 50 is the apostrophe), then its own."""

BY_ANDROID_CODE = MappingProxyType(
    {
        19: BY_DOM_CODE["ArrowUp"],
        20: BY_DOM_CODE["ArrowDown"],
        21: BY_DOM_CODE["ArrowLeft"],
        22: BY_DOM_CODE["ArrowRight"],
        61: BY_DOM_CODE["Tab"],
        62: BY_DOM_CODE["Space"],
        66: BY_DOM_CODE["Enter"],
        67: BY_DOM_CODE["Backspace"],
        111: BY_DOM_CODE["Escape"],
        112: BY_DOM_CODE["Delete"],
        122: BY_DOM_CODE["Home"],
        123: BY_DOM_CODE["End"],
    }
)
"""The editing keys among Android's KeyEvent codes, as an on-screen keyboard sends them."""

BY_MOUSE_BUTTON = MappingProxyType({1: 0x110, 2: 0x112, 3: 0x111, 4: 0x113, 5: 0x114})
"""Button numbers on the wire -> BTN_LEFT, BTN_MIDDLE, BTN_RIGHT, BTN_SIDE (back), BTN_EXTRA (forward)."""
