"""Where input goes: the one protocol behind which every kind of screen stands."""

import asyncio
from collections.abc import Callable
from typing import Protocol


class InputSink(Protocol):
    """Injects input into one screen. No call waits for the screen, and none raises where it is gone.

    Buttons are evdev codes (BTN_LEFT...), coordinates pixels inside `size`, wheel steps whole notches with
    down and right positive. There is no touch: the first finger is the pointer.
    """

    @property
    def description(self) -> str:
        """What input goes to, or why it goes nowhere."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels, None while not known."""

    def key(self, code: int, key: str, pressed: bool) -> None:
        """A key by its evdev code, with the viewer's `KeyboardEvent.key` or "": the layouts may differ."""

    def text(self, text: str) -> None:
        """Type `text`, whatever the layout."""

    def move(self, x: float, y: float) -> None:
        """Pointer to a point."""

    def move_relative(self, dx: float, dy: float) -> None:
        """Pointer by a distance."""

    def button(self, button: int, pressed: bool) -> None:
        """A mouse button."""

    def wheel(self, dx: int, dy: int) -> None:
        """Wheel notches."""

    def set_clipboard(self, text: str) -> None:
        """Offer `text` to the programs on the screen."""

    async def run(self, on_clipboard: Callable[[str], None] | None) -> None:
        """Stay connected until cancelled; `on_clipboard` gets each new clipboard, in the event loop."""


class NullSink:
    """Swallows everything and says why."""

    size = None

    def __init__(self, reason: str) -> None:
        self.description = reason

    def key(self, code: int, key: str, pressed: bool) -> None: ...

    def text(self, text: str) -> None: ...

    def move(self, x: float, y: float) -> None: ...

    def move_relative(self, dx: float, dy: float) -> None: ...

    def button(self, button: int, pressed: bool) -> None: ...

    def wheel(self, dx: int, dy: int) -> None: ...

    def set_clipboard(self, text: str) -> None: ...

    async def run(self, on_clipboard: Callable[[str], None] | None) -> None:  # noqa: ARG002
        """Nothing to stay connected to."""
        await asyncio.Event().wait()
