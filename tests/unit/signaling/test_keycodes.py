"""The key tables, against the kernel's own names."""

import pytest
from evdev import ecodes

from appliance.signaling.keycodes import BY_ANBOX_CODE, BY_ANDROID_CODE, BY_DOM_CODE, BY_MOUSE_BUTTON

pytestmark = pytest.mark.unit

IRREGULAR = {
    "Digit0": "KEY_0",
    "Escape": "KEY_ESC",
    "BracketLeft": "KEY_LEFTBRACE",
    "BracketRight": "KEY_RIGHTBRACE",
    "Quote": "KEY_APOSTROPHE",
    "Backquote": "KEY_GRAVE",
    "Period": "KEY_DOT",
    "ControlLeft": "KEY_LEFTCTRL",
    "AltRight": "KEY_RIGHTALT",
    "MetaRight": "KEY_RIGHTMETA",
    "IntlBackslash": "KEY_102ND",
    "IntlRo": "KEY_RO",
    "IntlYen": "KEY_YEN",
    "NumpadMultiply": "KEY_KPASTERISK",
    "NumpadSubtract": "KEY_KPMINUS",
    "NumpadDecimal": "KEY_KPDOT",
    "NumpadEnter": "KEY_KPENTER",
    "NumpadDivide": "KEY_KPSLASH",
    "ArrowLeft": "KEY_LEFT",
    "PrintScreen": "KEY_SYSRQ",
    "ContextMenu": "KEY_COMPOSE",
    "AudioVolumeMute": "KEY_MUTE",
    "MediaTrackNext": "KEY_NEXTSONG",
    "MediaPlayPause": "KEY_PLAYPAUSE",
    "MediaTrackPrevious": "KEY_PREVIOUSSONG",
    "MediaStop": "KEY_STOPCD",
    "MediaSelect": "KEY_MEDIA",
    "BrowserBack": "KEY_BACK",
    "BrowserRefresh": "KEY_REFRESH",
    "LaunchMail": "KEY_MAIL",
    "LaunchApp2": "KEY_CALC",
    "Lang1": "KEY_HANGEUL",
    "Convert": "KEY_HENKAN",
    "NonConvert": "KEY_MUHENKAN",
    "KanaMode": "KEY_KATAKANAHIRAGANA",
    "F24": "KEY_F24",
    "Fn": "KEY_FN",
}


@pytest.mark.parametrize(("dom", "name"), IRREGULAR.items())
def test_a_dom_code_is_the_key_of_the_kernel(dom: str, name: str) -> None:
    assert BY_DOM_CODE[dom] == ecodes.ecodes[name]


def test_regular_dom_codes_are_named_as_in_the_kernel() -> None:
    for dom, code in BY_DOM_CODE.items():
        if dom.startswith(("Key", "Digit", "F")) or (dom.startswith("Numpad") and dom[-1].isdigit()):
            name = dom.replace("Key", "").replace("Digit", "").replace("Numpad", "KP").upper()
            assert ecodes.ecodes[f"KEY_{name}"] == code, dom


def test_only_synonyms_share_a_key() -> None:
    codes: dict[int, set[str]] = {}
    for dom, code in BY_DOM_CODE.items():
        codes.setdefault(code, set()).add(dom)
    shared = {code for code, names in codes.items() if len(names) > 1}
    named = {"KEY_MUTE", "KEY_VOLUMEDOWN", "KEY_VOLUMEUP", "KEY_LEFTMETA", "KEY_RIGHTMETA"}
    assert shared == {ecodes.ecodes[name] for name in named}


@pytest.mark.parametrize(
    ("code", "name"),
    {
        4: "KEY_A",
        29: "KEY_Z",
        30: "KEY_1",
        39: "KEY_0",
        40: "KEY_ENTER",
        44: "KEY_SPACE",
        49: "KEY_BACKSLASH",
        50: "KEY_APOSTROPHE",
        51: "KEY_SEMICOLON",
        54: "KEY_COMMA",
        57: "KEY_CAPSLOCK",
        58: "KEY_F1",
        69: "KEY_F12",
        70: "KEY_SYSRQ",
        76: "KEY_DELETE",
        79: "KEY_RIGHT",
        82: "KEY_UP",
        83: "KEY_LEFTCTRL",
        84: "KEY_LEFTSHIFT",
        85: "KEY_LEFTALT",
        86: "KEY_LEFTMETA",
        87: "KEY_RIGHTALT",
        88: "KEY_NUMLOCK",
        89: "KEY_VOLUMEDOWN",
        91: "KEY_POWER",
        92: "KEY_BACK",
    }.items(),
)
def test_an_anbox_code_is_the_key_of_its_private_table(code: int, name: str) -> None:
    assert BY_ANBOX_CODE[code] == ecodes.ecodes[name]


def test_anbox_has_no_key_where_its_table_has_none() -> None:
    assert set(range(256)) - set(BY_ANBOX_CODE) == {*range(4), 52, 53, *range(93, 256)}


def test_android_delete_is_backspace() -> None:
    assert BY_ANDROID_CODE[67] == ecodes.KEY_BACKSPACE


def test_mouse_buttons_are_numbered_as_on_the_wire() -> None:
    names = ["BTN_LEFT", "BTN_MIDDLE", "BTN_RIGHT", "BTN_SIDE", "BTN_EXTRA"]
    assert list(BY_MOUSE_BUTTON.items()) == [(n, ecodes.ecodes[name]) for n, name in enumerate(names, 1)]
