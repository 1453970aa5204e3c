"""Small pieces of styled text. What comes from outside goes in as text, never as markup."""

from collections.abc import Iterable, Sequence
from typing import Final

from textual.content import Content

from appliance.control import words
from appliance.control.snapshot import Health, Instance, InstanceState, Part, Problem

DIM: Final = "$faint"
GOOD: Final = "$success"
WARN: Final = "$warning"
BAD: Final = "$error"
LIGHT: Final = "$accent"

HEALTH_STYLE: Final[dict[Health, str]] = {"live": LIGHT, "idle": DIM, "degraded": WARN, "down": BAD}
_STATE_STYLE: Final = {
    InstanceState.PREPARED: DIM,
    InstanceState.STARTED: DIM,
    InstanceState.RUNNING: GOOD,
    InstanceState.STOPPED: DIM,
    InstanceState.ERROR: BAD,
}

Piece = str | Content | tuple[str, str]


def lines(*rows: Content | str) -> Content:
    """Rows one below the other."""
    return Content("\n").join(rows)


def row(*pieces: Piece) -> Content:
    """Pieces one after the other."""
    return Content.assemble(*pieces)


def fact(name: str, *pieces: Piece, width: int = 9) -> Content:
    """A dim name, and what there is to say."""
    return Content.assemble((f"{name:<{width}} ", DIM), *pieces)


def cells(values: Iterable[tuple[str, int, str]]) -> Content:
    """A table row: (text, width, style), cut and padded."""
    return Content.assemble(*((f"{clip(text, width):<{width}}  ", style) for text, width, style in values))


def clip(text: str, width: int) -> str:
    """`text`, cut with an ellipsis to at most `width` columns."""
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"


def state_style(state: InstanceState) -> str:
    """The colour that goes with the glyph and the word."""
    return _STATE_STYLE[state]


def state(instance: Instance) -> Content:
    """`● running`."""
    return Content.styled(" ".join(words.INSTANCE[instance.state]), state_style(instance.state))


def ok(value: bool | None, text: str) -> Content:
    """`✓ text` or `✗ text`."""
    return row((f"{words.mark(value)} ", DIM if value is None else GOOD if value else BAD), text)


def parts(each: Sequence[Part]) -> list[Content]:
    """One line a part of the daemon; the details of what works are dim."""
    width = max((len(part.name) for part in each), default=0)
    return [
        row(ok(part.ok, f"{part.name:<{width}}  "), (part.detail, DIM if part.ok else "")) for part in each
    ]


def problem(each: Problem, width: int) -> list[Content]:
    """What is wrong, and what mends it: beside it where `width` allows, else below."""
    bad = each.severity == "error"
    what = row(("✗ error    " if bad else "▲ warning  ", f"bold {BAD if bad else WARN}"), each.what)
    fix = row(("fix: ", DIM), (each.fix, LIGHT))
    if not each.fix:
        return [what]
    if what.cell_length + 2 + fix.cell_length <= width:
        return [row(what, "  ", fix)]
    return [what, row(" " * 11, fix)]
