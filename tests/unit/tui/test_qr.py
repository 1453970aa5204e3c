"""What is drawn in half blocks is the QR code, module for module."""

import pytest
import segno

from tui.widgets.qr import half_blocks

pytestmark = pytest.mark.unit

LINK = "https://192.168.1.20:8443/#share=3q2-7wAAAAAq8Zk1vYdJr0PpXyTfWcGhLmNoBsUe4Ri"


@pytest.mark.parametrize("quiet", [2, 3, 4])
def test_the_modules_survive_the_half_blocks(quiet: int) -> None:
    light = {" ": (False, False), "▄": (False, True), "▀": (True, False), "█": (True, True)}
    drawn: list[list[bool]] = []
    for line in half_blocks(LINK, quiet):
        pairs = [light[char] for char in line]
        drawn += [[not upper for upper, _ in pairs], [not lower for _, lower in pairs]]
    wanted = [
        [bool(dark) for dark in line]
        for line in segno.make(LINK, error="l", micro=False).matrix_iter(border=quiet)
    ]
    assert drawn[: len(wanted)] == wanted


def test_a_share_link_fits_beside_the_choices_at_80_by_24() -> None:
    rows = half_blocks(LINK, 2)
    assert len(rows[0]) <= 41
    assert len(rows) <= 21
