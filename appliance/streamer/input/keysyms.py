"""X11 keysyms and the characters they stand for (X11/keysymdef.h)."""
# ruff: noqa: RUF001 - the alphabets have look-alikes

from functools import cache

CAPS_LOCK = 0xFFE5
NUM_LOCK = 0xFF7F
LEVEL3 = frozenset({0xFE03, 0xFF7E})
"""ISO_Level3_Shift, Mode_switch: what AltGr gives."""
DEAD = range(0xFE50, 0xFE94)
_UNICODE = 0x01000000
_KEYPAD_NAVIGATION_PAIRS = range(0xFFAA, 0xFFBA)

# Before Unicode, each alphabet had a page of 256 keysyms laid out as the 8-bit character set of its day.
_PAGES = {
    1: "iso8859-2",
    2: "iso8859-3",
    3: "iso8859-4",
    5: "iso8859-6",
    6: "koi8-u",
    12: "iso8859-8",
    13: "tis-620",
}
_RUNS = (
    (0x07A1, "ΆΈΉΊΪ"),
    (0x07A7, "ΌΎΫ"),
    (0x07AB, "Ώ"),
    (0x07AE, "΅―"),
    (0x07B1, "άέήίϊΐόύϋΰώ"),
    (0x07C1, "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣ"),
    (0x07D4, "ΤΥΦΧΨΩ"),
    (0x07E1, "αβγδεζηθικλμνξοπρσςτυφχψω"),
    (0x06A1, "ђѓ"),
    (0x06A5, "ѕ"),
    (0x06A8, "јљњћќ"),
    (0x06AE, "ўџ№ЂЃ"),
    (0x06B5, "Ѕ"),
    (0x06B8, "ЈЉЊЋЌ"),
    (0x06BE, "ЎЏ"),
    (0x0AA9, "—–"),
    (0x0AAE, "…"),
    (0x0AC9, "™"),
    (0x0AD0, "‘’“”"),
    (0x0AE6, "•"),
    (0x0AF1, "†‡"),
    (0x0AFD, "‚„"),
    (0x13BC, "ŒœŸ"),
    (0x20AC, "€"),
    (0xFF80, " "),
    (0xFFAA, "*+,-./0123456789"),
    (0xFFBD, "="),
)
_ODD_ONES = {first + n: character for first, run in _RUNS for n, character in enumerate(run)}


@cache
def character_of(keysym: int) -> str:
    """The character of a keysym, "" where it has none."""
    if 0x20 <= keysym <= 0x7E or 0xA0 <= keysym <= 0xFF:
        return chr(keysym)
    if _UNICODE < keysym <= _UNICODE + 0x10FFFF:
        return chr(keysym - _UNICODE)
    if keysym in _ODD_ONES:
        return _ODD_ONES[keysym]
    if (encoding := _PAGES.get(keysym >> 8)) and keysym & 0xFF > 0xA0:
        return bytes((keysym & 0xFF,)).decode(encoding, errors="ignore")
    return ""


def keysym_of(character: str) -> int:
    """The keysym that every toolkit reads as `character`."""
    point = ord(character)
    return point if 0x20 <= point <= 0x7E or 0xA0 <= point <= 0xFF else _UNICODE + point


def is_keypad_character(keysym: int) -> bool:
    """Whether Num Lock, and not Shift, leads to it."""
    return keysym in _KEYPAD_NAVIGATION_PAIRS
