"""A labelled chart of the last seconds, from zero up, one column a sample."""

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from tui.widgets.text import DIM, LIGHT, clip

_LEVELS = " ▁▂▃▄▅▆▇█"
_LABEL = 27


class Chart(Widget):
    """Name and value on the left, bars on the right. A gap is a value that was not known."""

    DEFAULT_CSS = "Chart { height: 1; }"

    def __init__(self, name: str, *, id: str) -> None:  # noqa: A002  Textual's word
        super().__init__(id=id)
        self._title = name
        self._value = ""
        self._note = ""
        self._values: Sequence[float | None] = ()
        self._ceiling: float | None = None

    def show(
        self, values: Sequence[float | None], value: str, *, ceiling: float | None = None, note: str = ""
    ) -> None:
        """Draw `values`, the newest at the right edge; the top is `ceiling` or the highest of them."""
        self._values, self._value, self._ceiling, self._note = values, value, ceiling, note
        self.refresh()

    def render(self) -> Content:
        """The label beside as many bars as fit."""
        height, width = max(1, self.size.height), self.size.width - _LABEL
        bars = draw(self._values, width, height, self._ceiling)
        labels = [
            Content.assemble((f"{self._title:<9} ", DIM), (clip(self._value, _LABEL - 11), "bold")),
            Content.assemble((f"{'':<10}{clip(self._note, _LABEL - 11)}", DIM)),
        ]
        labels += [Content("")] * (height - 2)
        return Content("\n").join(
            Content.assemble(label.pad_right(_LABEL - label.cell_length), (bar, LIGHT))
            for label, bar in zip(labels, bars, strict=False)
        )


def draw(values: Sequence[float | None], width: int, height: int, ceiling: float | None = None) -> list[str]:
    """Rows of block characters, top first, `width` columns each; 8 steps a row."""
    shown = list(values)[-width:] if width > 0 else []
    top = max([ceiling or 0.0, *(value for value in shown if value is not None)], default=0.0)
    steps = [None if value is None else _steps(value, top, height) for value in shown]
    pad = " " * max(0, width - len(shown))
    return [
        pad + "".join(" " if step is None else _LEVELS[min(8, max(0, step - 8 * level))] for step in steps)
        for level in reversed(range(height))
    ]


def _steps(value: float, top: float, height: int) -> int:
    """At least one, so that a zero that was measured differs from a value that is not known."""
    return max(1, round(value / top * 8 * height)) if top > 0 else 1
