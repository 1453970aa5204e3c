"""A QR code in half blocks: two modules a cell, black on white whatever the theme."""

from functools import lru_cache

import segno
from textual.content import Content
from textual.widgets import Static

_STYLE = "#ffffff on #000000"
_QUIET = (4, 3, 2)  # ISO/IEC 18004 asks for 4; phones read 2
_GLYPHS = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}


class QrCode(Static):
    """Draws a link as large as it must be, or says that there is no room."""

    def __init__(self, *, id: str, hint: str = "") -> None:  # noqa: A002  Textual's word
        super().__init__(id=id)
        self._link = ""
        self._hint = hint

    def show(self, link: str) -> None:
        """Draw `link`; nothing where it is empty."""
        self._link = link
        self._draw()

    def on_resize(self) -> None:
        """Room may have come or gone."""
        self._draw()

    def _draw(self) -> None:
        width, height = self.size.width, self.size.height
        if not self._link:
            self.update("")
            return
        for quiet in _QUIET:
            rows = half_blocks(self._link, quiet)
            if len(rows[0]) <= width and len(rows) <= height:
                self.update(Content.styled("\n".join(rows), _STYLE))
                return
        self.update(Content.styled(self._hint, "$faint"))


@lru_cache(16)
def half_blocks(link: str, quiet: int) -> tuple[str, ...]:
    """Rows of a QR code with `quiet` light modules around it; a dark module is the empty part of a cell."""
    code = segno.make(link, error="l", micro=False)
    modules = [[bool(dark) for dark in line] for line in code.matrix_iter(border=quiet)]
    if len(modules) % 2:
        modules.append([False] * len(modules[0]))
    return tuple(
        "".join(_GLYPHS[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(modules[::2], modules[1::2], strict=True)
    )
