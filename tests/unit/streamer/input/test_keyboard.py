"""Which key of the screen a key of the viewer is."""

import pytest
from evdev import ecodes

from appliance.streamer.input.keyboard import Keyboard

pytestmark = pytest.mark.unit

Q, A, E, ACCENT, SPARE = ecodes.KEY_Q, ecodes.KEY_A, ecodes.KEY_E, ecodes.KEY_LEFTBRACE, 240


class FewKeys:
    """A keyboard of Q, A, E and a dead accent, with one spare key."""

    def __init__(self) -> None:
        self.shortcut = self.caps_lock = False
        self.spare = ""
        self.sent: list[tuple[int, bool]] = []

    def refresh(self) -> None: ...

    def produces(self, code: int) -> str:
        character = {Q: "q", A: "a", E: "e"}.get(code, "")
        return character.upper() if self.caps_lock else character

    def shifts_level(self, code: int) -> bool:
        return False

    def is_dead(self, code: int) -> bool:
        return code == ACCENT

    def find(self, character: str, busy: frozenset[int], *, shift: bool = False) -> int | None:
        for code in (Q, A, E):
            produced = self.produces(code).upper() if shift else self.produces(code)
            if produced == character and code not in busy:
                return code
        return None

    def bind(self, character: str, busy: frozenset[int]) -> int | None:
        if SPARE in busy:
            return None
        self.spare = character
        return SPARE

    def send(self, code: int, pressed: bool) -> None:
        self.sent.append((code, pressed))


@pytest.fixture
def layout() -> FewKeys:
    return FewKeys()


@pytest.fixture
def keyboard(layout: FewKeys) -> Keyboard:
    return Keyboard(layout)


def pressed(layout: FewKeys) -> list[int]:
    return [code for code, down in layout.sent if down]


def tap(keyboard: Keyboard, code: int, key: str) -> None:
    keyboard.key(code, key, True)
    keyboard.key(code, key, False)


def test_where_the_layouts_agree_the_position_is_kept(keyboard: Keyboard, layout: FewKeys) -> None:
    tap(keyboard, A, "a")
    assert layout.sent == [(A, True), (A, False)]


def test_where_they_differ_the_character_is_kept(keyboard: Keyboard, layout: FewKeys) -> None:
    tap(keyboard, Q, "a")
    tap(keyboard, Q, "ж")
    assert layout.sent == [(A, True), (A, False), (SPARE, True), (SPARE, False)]
    assert layout.spare == "ж"


def test_without_a_spare_key_the_position_is_better_than_nothing(keyboard: Keyboard, layout: FewKeys) -> None:
    keyboard.key(Q, "ж", True)
    keyboard.key(A, "ю", True)
    assert pressed(layout) == [SPARE, A]


def test_what_was_pressed_is_released_whatever_the_key_means_by_then(
    keyboard: Keyboard, layout: FewKeys
) -> None:
    keyboard.key(Q, "ж", True)
    keyboard.key(Q, "Ж", False)
    keyboard.key(Q, "Ж", False)
    assert layout.sent == [(SPARE, True), (SPARE, False)]


def test_two_keys_on_one_release_it_once(keyboard: Keyboard, layout: FewKeys) -> None:
    keyboard.key(A, "", True)
    keyboard.key(Q, "", True)
    keyboard.release_all()
    assert layout.sent[2:] == [(Q, False), (A, False)]


@pytest.mark.parametrize(
    ("next_key", "expected"), [("e", [ACCENT, E]), ("é", [SPARE]), ("Escape", [ecodes.KEY_ESC])]
)
def test_an_accent_is_applied_by_whoever_composes(
    next_key: str, expected: list[int], keyboard: Keyboard, layout: FewKeys
) -> None:
    tap(keyboard, ACCENT, "Dead")
    tap(keyboard, ecodes.KEY_ESC if next_key == "Escape" else E, next_key)
    assert pressed(layout) == expected
    layout.sent.clear()
    tap(keyboard, E, "e")
    assert pressed(layout) == [E]


def test_caps_lock_goes_off_as_at_the_viewer(keyboard: Keyboard, layout: FewKeys) -> None:
    layout.caps_lock = True
    tap(keyboard, A, "a")
    assert pressed(layout) == [ecodes.KEY_CAPSLOCK, A]


def test_a_shortcut_of_another_alphabet_goes_by_position(keyboard: Keyboard, layout: FewKeys) -> None:
    layout.shortcut = True
    tap(keyboard, Q, "й")
    assert pressed(layout) == [Q]


def test_alt_gr_is_not_pressed_where_it_is_only_alt(keyboard: Keyboard, layout: FewKeys) -> None:
    keyboard.key(ecodes.KEY_LEFTCTRL, "Control", True)
    tap(keyboard, ecodes.KEY_RIGHTALT, "AltGraph")
    assert layout.sent == [(ecodes.KEY_LEFTCTRL, True), (ecodes.KEY_LEFTCTRL, False)]


@pytest.mark.parametrize(("key", "code"), [("Home", ecodes.KEY_HOME), ("", ecodes.KEY_KP7)])
def test_the_keypad_is_what_the_viewers_num_lock_makes_it(
    key: str, code: int, keyboard: Keyboard, layout: FewKeys
) -> None:
    tap(keyboard, ecodes.KEY_KP7, key)
    assert pressed(layout) == [code]


def test_text_is_typed_with_what_keys_there_are(keyboard: Keyboard, layout: FewKeys) -> None:
    keyboard.text("aAж\n\x00")
    assert pressed(layout) == [A, ecodes.KEY_LEFTSHIFT, A, SPARE, ecodes.KEY_ENTER]
