"""Keysyms to characters and back."""
# ruff: noqa: RUF001 - the alphabets have look-alikes

import pytest

from appliance.streamer.input.keysyms import character_of, keysym_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("keysym", "character"),
    [
        (0x61, "a"),
        (0xE4, "ä"),
        (0x1B1, "ą"),
        (0x1E8, "č"),
        (0x2B1, "ħ"),
        (0x3BA, "ē"),
        (0x5C7, "ا"),
        (0x6C1, "а"),
        (0x6A3, "ё"),
        (0x6AD, "ґ"),
        (0x6A1, "ђ"),
        (0x6BF, "Џ"),
        (0x7E1, "α"),
        (0x7D2, "Σ"),
        (0x7F2, "σ"),
        (0x7F3, "ς"),
        (0x7F9, "ω"),
        (0x7B1, "ά"),
        (0xCE0, "א"),
        (0xDA1, "ก"),
        (0x13BD, "œ"),
        (0x20AC, "€"),
        (0xFFB7, "7"),
        (0xFFAE, "."),
        (0x1002603, "☃"),
        (0x101F600, "😀"),
        (0xFE52, ""),
        (0xFF0D, ""),
        (0xFFE1, ""),
        (0, ""),
    ],
)
def test_a_keysym_stands_for_a_character(keysym: int, character: str) -> None:
    assert character_of(keysym) == character


@pytest.mark.parametrize("character", "aÄ€ąя☃😀")
def test_a_character_survives_the_way_through_its_keysym(character: str) -> None:
    assert character_of(keysym_of(character)) == character


def test_latin_1_has_no_unicode_keysym() -> None:
    assert (keysym_of("~"), keysym_of("ÿ"), keysym_of("Ā")) == (0x7E, 0xFF, 0x1000100)
