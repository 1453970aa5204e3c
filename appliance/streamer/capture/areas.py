"""Parts of a screen that have changed."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

MOST = 8
"""So many at a time; more are taken together."""
_GAP = 32
"""Rows; what is closer than that is taken together."""


class Area(NamedTuple):
    """Pixels; `right` and `bottom` are exclusive, and an area without any pixel is nowhere."""

    left: int
    top: int
    right: int
    bottom: int

    def within(self, width: int, height: int) -> Self:
        """What of it is on a screen of this size."""
        return self._replace(
            left=max(self.left, 0),
            top=max(self.top, 0),
            right=min(self.right, width),
            bottom=min(self.bottom, height),
        )

    def even(self) -> Self:
        """The same and what shares its chroma."""
        return self._replace(
            left=self.left & ~1,
            top=self.top & ~1,
            right=self.right + (self.right & 1),
            bottom=self.bottom + (self.bottom & 1),
        )

    def meets(self, other: "Area") -> bool:
        """Whether they share a pixel."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def __bool__(self) -> bool:
        return self.left < self.right and self.top < self.bottom


NOWHERE = Area(0, 0, 0, 0)


def together(areas: Iterable[Area]) -> Sequence[Area]:
    """At most MOST areas, no two of which share a row, that cover all of these."""
    ordered = sorted(filter(None, areas), key=lambda area: area.top)
    gap, found = _GAP, _merged(ordered, _GAP)
    while len(found) > MOST:
        gap *= 2
        found = _merged(found, gap)
    return found


def _merged(areas: Sequence[Area], gap: int) -> list[Area]:
    found: list[Area] = []
    for area in areas:
        if found and area.top <= found[-1].bottom + gap:
            last = found[-1]
            found[-1] = Area(
                min(last.left, area.left),
                last.top,
                max(last.right, area.right),
                max(last.bottom, area.bottom),
            )
        else:
            found.append(area)
    return found
