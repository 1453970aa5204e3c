"""What a desktop of our own shows: the fanlight, a clock, and what the person watching does.

Run as `python -m appliance.instances.welcome` with DISPLAY set. It draws a few small shapes a second.
"""

import math
import select
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any, cast

import xcffib
import xcffib.xproto as x

_RATE = 20.0
_RAYS = 9
_BASE = ((0x7A, 0x86, 0xB6), (0xB9, 0x8A, 0x6E), (0xE8, 0xA8, 0x4C))
_NIGHT = 0x0F1626
_NIGHT_SOFT = 0x1A2440
_FRAME = 0x2C3A63
_WARM = 0xFFD58A
_TEXT = 0xC7D0EA
_SEGMENTS = {
    "0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc",
    "5": "afgcd", "6": "afgedc", "7": "abc", "8": "abcdefg", "9": "abcdfg",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things are, in pixels, on a screen of any size."""

    width: int
    height: int

    @property
    def center(self) -> int:
        return self.width // 2

    @property
    def sill(self) -> int:
        return int(self.height * 0.58)

    @property
    def radius(self) -> int:
        return int(min(self.width * 0.30, self.height * 0.44))

    @property
    def digit(self) -> int:
        return max(6, self.radius // 14)


class Welcome:
    """The root-sized window at the back of the desktop."""

    def __init__(self) -> None:
        self._x = cast("Any", xcffib.connect())
        screen = self._x.get_setup().roots[0]
        self._layout = _Layout(screen.width_in_pixels, screen.height_in_pixels)
        self._core = self._x.core
        self._window = self._x.generate_id()
        mask = (
            x.EventMask.Exposure | x.EventMask.KeyPress | x.EventMask.ButtonPress | x.EventMask.PointerMotion
        )
        # Override redirect and lowered: the window manager leaves it at the back.
        self._core.CreateWindow(
            screen.root_depth, self._window, screen.root, 0, 0, self._layout.width, self._layout.height, 0,
            x.WindowClass.InputOutput, screen.root_visual,
            x.CW.BackPixel | x.CW.OverrideRedirect | x.CW.EventMask, [_NIGHT, 1, mask],
        )  # fmt: skip
        self._core.MapWindow(self._window)
        self._core.ConfigureWindow(self._window, x.ConfigWindow.StackMode, [x.StackMode.Below])
        font = self._x.generate_id()
        self._core.OpenFont(font, 5, "fixed")
        self._gc = self._x.generate_id()
        self._core.CreateGC(
            self._gc, self._window, x.GC.Foreground | x.GC.Background | x.GC.Font, [_TEXT, _NIGHT, font]
        )
        self._echo = "click, move or type: it shows here"
        self._clock = ""
        self._shades: list[int] = [-1] * _RAYS
        self._x.flush()

    def run(self) -> None:
        """Draw until the X server goes away."""
        descriptor = self._x.get_file_descriptor()
        while True:
            select.select([descriptor], [], [], 1 / _RATE)
            while event := self._x.poll_for_event():
                self._handle(event)
            self._draw(time.time())
            self._x.flush()

    def _handle(self, event: object) -> None:
        match event:
            case x.ExposeEvent(count=0):
                self._shades = [-1] * _RAYS
                self._clock = ""
                self._still()
            case x.KeyPressEvent():
                self._say(f"key {event.detail - 8}")
            case x.ButtonPressEvent():
                self._core.SetInputFocus(x.InputFocus.PointerRoot, self._window, x.Time.CurrentTime)
                self._say(f"button {event.detail} at {event.event_x}, {event.event_y}")
            case x.MotionNotifyEvent():
                self._say(f"pointer at {event.event_x}, {event.event_y}")

    def _still(self) -> None:
        layout = self._layout
        self._color(_FRAME)
        reach = layout.radius + 14
        self._fill(layout.center - reach, layout.sill, 2 * reach, 10)
        self._text(layout.height - 46, f"Fanlight on {socket.gethostname()}")
        self._say(self._echo)

    def _draw(self, now: float) -> None:
        """Only what changed: a ray whose shade moved on, a clock whose second did."""
        swing = (math.sin(now * 0.9) + 1) / 2 * (_RAYS - 1)
        for ray in range(_RAYS):
            shade = round(max(0.0, 1 - abs(ray - swing) / 2.4) * 24)
            if shade != self._shades[ray]:
                self._shades[ray] = shade
                self._ray(ray, shade / 24)
        clock = time.strftime("%H:%M:%S", time.localtime(now))
        if clock != self._clock:
            self._clock = clock
            self._digits(clock)

    def _ray(self, ray: int, light: float) -> None:
        layout = self._layout
        gap = 0.012
        start, end = (math.pi * (ray + side) / _RAYS + (gap, -gap)[side] for side in (0, 1))
        inner, outer = layout.radius * 0.30, layout.radius
        points: list[int] = []
        steps = [start + (end - start) * step / 12 for step in range(13)]
        for angle, reach in [(a, outer) for a in steps] + [(a, inner) for a in reversed(steps)]:
            points += [
                int(layout.center - math.cos(angle) * reach),
                int(layout.sill - 6 - math.sin(angle) * reach),
            ]
        self._color(_mix(ray / (_RAYS - 1), light))
        self._core.FillPoly(
            self._window, self._gc, x.PolyShape.Nonconvex,
            x.CoordMode.Origin, len(points) // 2,
            [x.POINT.synthetic(points[i], points[i + 1]) for i in range(0, len(points), 2)],
        )  # fmt: skip

    def _digits(self, clock: str) -> None:
        layout = self._layout
        unit = layout.digit
        step = int(unit * 2.6)
        left = layout.center - step * len(clock) // 2
        top = layout.sill + unit * 2 + 20
        self._color(_NIGHT)
        self._fill(left, top, step * len(clock), unit * 4 + 2)
        self._color(_WARM)
        for index, character in enumerate(clock):
            for box in _glyph(character, left + index * step, top, unit):
                self._fill(*box)

    def _say(self, text: str) -> None:
        self._echo = text
        self._text(self._layout.height - 24, text)

    def _text(self, baseline: int, text: str) -> None:
        layout = self._layout
        self._color(_NIGHT)
        self._fill(layout.center - 200, baseline - 12, 400, 16)
        self._color(_TEXT)
        self._core.ImageText8(
            len(text), self._window, self._gc, layout.center - len(text) * 3, baseline, text
        )

    def _fill(self, left: int, top: int, width: int, height: int) -> None:
        self._core.PolyFillRectangle(
            self._window, self._gc, 1, [x.RECTANGLE.synthetic(left, top, width, height)]
        )

    def _color(self, color: int) -> None:
        self._core.ChangeGC(self._gc, x.GC.Foreground, [color])


def _glyph(character: str, left: int, top: int, unit: int) -> list[tuple[int, int, int, int]]:
    """A seven-segment digit of 1.8 x 4 units as rectangles; a colon as two dots."""
    thick = max(2, unit // 3)
    wide, half = int(unit * 1.8), unit * 2
    if character == ":":
        return [(left + wide // 2, top + half // 2 + offset, thick, thick) for offset in (0, half)]
    boxes = {
        "a": (left, top, wide, thick),
        "b": (left + wide - thick, top, thick, half),
        "c": (left + wide - thick, top + half, thick, half),
        "d": (left, top + 2 * half - thick, wide, thick),
        "e": (left, top + half, thick, half),
        "f": (left, top, thick, half),
        "g": (left, top + half - thick // 2, wide, thick),
    }
    return [boxes[segment] for segment in _SEGMENTS[character]]


def _mix(place: float, light: float) -> int:
    """The colour of the glass at `place` (0..1, left to right) under `light` (0..1)."""
    low, high = (_BASE[0], _BASE[1]) if place < 0.5 else (_BASE[1], _BASE[2])
    share = place * 2 % 1 if place < 1 else 1.0
    glass = [a + (b - a) * share for a, b in zip(low, high, strict=True)]
    night = ((_NIGHT_SOFT >> 16) & 255, (_NIGHT_SOFT >> 8) & 255, _NIGHT_SOFT & 255)
    red, green, blue = (int(n + (g - n) * (0.18 + 0.82 * light)) for n, g in zip(night, glass, strict=True))
    return red << 16 | green << 8 | blue


def main() -> int:
    """Exit code: 0 when the X server ended, 1 where there is none."""
    try:
        welcome = Welcome()
    except xcffib.ConnectionException as exc:
        print(f"welcome: no display: {exc}", file=sys.stderr)  # noqa: T201
        return 1
    try:
        welcome.run()
    except xcffib.ConnectionException:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
