"""A live table that never re-measures: fixed widths, and only cells that changed are touched."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.widgets import DataTable
from textual.widgets.data_table import RowDoesNotExist

from tui.widgets.text import clip

_PADDING = 1
"""Of a cell, on each side."""


@dataclass(frozen=True, slots=True)
class Column:
    """A heading with its width at least and where there is room; 0 leaves the column out."""

    label: str
    least: int
    wide: int
    right: bool = False


Cell = str | tuple[str, str]
"""Text, perhaps with the name of a theme colour."""


def fitting(columns: Sequence[Column], room: int) -> tuple[int, ...]:
    """The width of each column: the least, and from the left the wider ones that `room` allows."""
    widths = [column.least for column in columns]
    for index, column in enumerate(columns):
        wider = [*widths[:index], column.wide, *widths[index + 1 :]]
        if sum(width + 2 * _PADDING for width in wider if width) <= room:
            widths = wider
    return tuple(widths)


class LiveTable(DataTable[Text]):
    """Rows by key; the cursor stays with its row."""

    def __init__(self, columns: Sequence[Column], *, id: str, none: str = "") -> None:  # noqa: A002
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=_PADDING)
        self._all = tuple(columns)
        self._rows: Mapping[str, Sequence[Cell]] = {}
        self._shown: dict[str, list[Cell]] = {}
        self._widths: tuple[int, ...] = ()
        self._none = none

    @property
    def selected(self) -> str | None:
        """The key of the row under the cursor."""
        if not self.row_count:
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    def select(self, key: str) -> None:
        """Put the cursor on `key`, where it is there."""
        try:
            self.move_cursor(row=self.get_row_index(key))
        except RowDoesNotExist:
            return

    def show(self, rows: Mapping[str, Sequence[Cell]]) -> None:
        """Make the table hold `rows`: key to one cell a column."""
        self._rows = rows
        self.border_subtitle = "" if rows else self._none
        if self._widths:
            self._apply()

    def on_resize(self, _: events.Resize) -> None:
        """Change the columns where there is room for more, or for fewer."""
        widths = fitting(self._all, self.size.width - self.styles.scrollbar_size_vertical)
        if widths != self._widths:
            kept = self.selected
            self._widths = widths
            self._shown.clear()
            self.clear(columns=True)
            for column, width in self._columns():
                label = Text(column.label, justify="right" if column.right else "left")
                self.add_column(label, width=width, key=column.label)
            self._apply()
            if kept:
                self.select(kept)

    def on_app_theme_changed(self) -> None:
        """Cells carry colours of the theme."""
        self._shown = {key: [] for key in self._shown}
        self._apply()

    def _columns(self) -> Iterator[tuple[Column, int]]:
        return (pair for pair in zip(self._all, self._widths, strict=True) if pair[1])

    def _apply(self) -> None:
        for key in [key for key in self._shown if key not in self._rows]:
            del self._shown[key]
            self.remove_row(key)
        for key, row in self._rows.items():
            new = [cell for cell, width in zip(row, self._widths, strict=True) if width]
            old = self._shown.get(key)
            if old is None:
                self.add_row(*(self._text(*pair) for pair in zip(new, self._columns(), strict=True)), key=key)
            else:
                self._update(key, old, new)
            self._shown[key] = new

    def _update(self, key: str, old: list[Cell], new: list[Cell]) -> None:
        for index, (cell, pair) in enumerate(zip(new, self._columns(), strict=True)):
            if index >= len(old) or old[index] != cell:
                self.update_cell(key, pair[0].label, self._text(cell, pair), update_width=False)

    def _text(self, cell: Cell, pair: tuple[Column, int]) -> Text:
        column, width = pair
        text, style = (cell, "") if isinstance(cell, str) else cell
        colour = self.app.theme_variables.get(style.removeprefix("$"), "") if style else ""
        return Text(
            clip(text, width), style=colour, justify="right" if column.right else "left", no_wrap=True, end=""
        )
