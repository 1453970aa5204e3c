"""An X client that draws a frame counter, so that a test can read from decoded video which frame it sees.

`python -m tests.support.counter --fps 30 --log FILE [--mode counter|motion|noise|caret|still]`.
With `--pictures DIR --codes N,M` it draws as far as those frames at once and leaves the pixels in DIR/N.
The counter is a strip of 19 squares at the top left: 16 bits of Gray code, then white, black, white.
The log has a line a frame: the code and the wall clock in ms once the X server has drawn it.
"""

import argparse
import random
import select
import sys
import time
from pathlib import Path
from typing import Any

import xcffib
import xcffib.xproto as x

BLOCK = 24
BITS = 16
NOISE = (320, 180)


def gray(code: int) -> int:
    """Neighbouring codes differ in one square, so a half-updated strip is off by one at most."""
    return code ^ (code >> 1)


class Counter:
    """A full-screen window with the strip, something that moves in mode `motion`, noise in mode `noise`."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self._x: Any = xcffib.connect()
        screen = self._x.get_setup().roots[0]
        self.width, self.height = screen.width_in_pixels, screen.height_in_pixels
        self._core = self._x.core
        self._window = self._x.generate_id()
        events = (
            x.EventMask.KeyPress
            | x.EventMask.KeyRelease
            | x.EventMask.ButtonPress
            | x.EventMask.PointerMotion
        )
        self._core.CreateWindow(
            screen.root_depth, self._window, screen.root, 0, 0, self.width, self.height, 0,
            x.WindowClass.InputOutput, screen.root_visual,
            x.CW.BackPixel | x.CW.OverrideRedirect | x.CW.EventMask, [0x203040, 1, events],
        )  # fmt: skip
        self._core.MapWindow(self._window)
        self._core.SetInputFocus(x.InputFocus.PointerRoot, self._window, x.Time.CurrentTime)
        font = self._x.generate_id()
        self._core.OpenFont(font, 5, "fixed")
        self._gc = self._x.generate_id()
        self._core.CreateGC(
            self._gc, self._window, x.GC.Foreground | x.GC.Background | x.GC.Font, [0xFFFFFF, 0x203040, font]
        )
        rng = random.Random(2)  # noqa: S311
        letters = "abcdefghijklmnop qrstuvw xyz(){}="
        self._noise = self._pictures(rng) if mode == "noise" else []
        self._lines = ["".join(rng.choice(letters) for _ in range(150)) for _ in range(80)]
        for index in range(min(80, (self.height - 80) // 16)):
            self._write(10, 70 + index * 16, self._lines[index])
        self.sync()

    def sync(self) -> None:
        """Until the server has drawn everything."""
        self._core.GetInputFocus().reply()

    def draw(self, code: int) -> None:
        """Frame `code`."""
        if self.mode == "caret":
            self._color(0xFFFFFF if code % 2 else 0x203040)
            self._fill([(400, 400, 2, 16)])
            self.sync()
            return
        if self.mode == "motion":
            if code % 3 == 0:
                self._core.CopyArea(
                    self._window, self._window, self._gc, 0, 60, 0, 44, self.width, self.height - 76
                )
                self._write(10, self.height - 24, self._lines[code % 80])
            self._color((code * 2654435761) & 0xFFFFFF)
            left = self.width // 2 + code * 7 % (self.width // 3)
            self._fill([(left, self.height // 3 + code * 5 % (self.height // 3), 120, 120)])
        if self._noise:
            self._core.CopyArea(
                self._noise[code % len(self._noise)], self._window, self._gc, 0, 0,
                self.width // 3, self.height // 3, *NOISE,
            )  # fmt: skip
        self._color(0)
        self._fill([(0, 0, BLOCK * 20, BLOCK)])
        self._color(0xFFFFFF)
        bits = gray(code & 0xFFFF)
        lit = [index for index in range(BITS) if bits >> index & 1] + [BITS, BITS + 2]
        self._fill([(index * BLOCK, 0, BLOCK, BLOCK) for index in lit])
        self.sync()

    def pixels(self) -> bytes:
        """The screen: rows of 4 bytes a pixel, blue first."""
        whole = 0, 0, self.width, self.height
        image = self._core.GetImage(x.ImageFormat.ZPixmap, self._window, *whole, 0xFFFFFFFF).reply()
        return bytes(image.data.buf())

    def flash(self) -> None:
        """Show that input came: the square below the strip changes its colour."""
        self._color(random.randint(0, 0xFFFFFF))  # noqa: S311
        self._fill([(0, BLOCK * 2, BLOCK * 4, BLOCK * 2)])
        self.sync()

    def events(self, seconds: float) -> list[str]:
        """Input that came within `seconds`: `key 38 down`, `button 1`, `motion 3,4`; waits for the first."""
        found: list[str] = []
        readable, _, _ = select.select([self._x.get_file_descriptor()], [], [], max(0.0, seconds))
        while event := self._x.poll_for_event():
            match event:
                case x.KeyPressEvent():
                    found.append(f"key {event.detail} down")
                case x.KeyReleaseEvent():
                    found.append(f"key {event.detail} up")
                case x.ButtonPressEvent():
                    found.append(f"button {event.detail} {event.event_x},{event.event_y}")
                case x.MotionNotifyEvent():
                    found.append(f"motion {event.event_x},{event.event_y}")
        if readable and not found:
            self.sync()
        return found

    def _pictures(self, rng: random.Random) -> list[int]:
        """Pixmaps that no encoder makes small."""
        width, height = NOISE
        made = []
        for _ in range(8):
            made.append(self._x.generate_id())
            self._core.CreatePixmap(24, made[-1], self._window, width, height)
            for row in range(height):
                pixels = rng.randbytes(width * 4)
                self._core.PutImage(
                    x.ImageFormat.ZPixmap, made[-1], self._gc, width, 1, 0, row, 0, 24, len(pixels), pixels
                )
        return made

    def _write(self, left: int, baseline: int, text: str) -> None:
        self._color(0xFFFFFF)
        self._core.ImageText8(len(text), self._window, self._gc, left, baseline, text)

    def _color(self, color: int) -> None:
        self._core.ChangeGC(self._gc, x.GC.Foreground, [color])

    def _fill(self, boxes: list[tuple[int, int, int, int]]) -> None:
        shapes = [x.RECTANGLE.synthetic(*box) for box in boxes]
        self._core.PolyFillRectangle(self._window, self._gc, len(shapes), shapes)


def main() -> None:
    """Draw until `--seconds` are over or the X server ends; events go to standard output with their time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--log", type=argparse.FileType("w"))
    parser.add_argument("--mode", choices=("counter", "motion", "noise", "caret", "still"), default="counter")
    parser.add_argument("--flash", action="store_true", help="change colour on input")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--codes", default="")
    options = parser.parse_args()
    counter = Counter(options.mode)
    if options.pictures:
        wanted = set(map(int, options.codes.split(",")))
        for code in range(max(wanted) + 1):
            counter.draw(code)
            if code in wanted:
                (options.pictures / str(code)).write_bytes(counter.pixels())
        print("drawn", flush=True)
        return
    print("drawing", flush=True)
    began = time.time()
    code = 0
    counter.draw(0)
    while (now := time.time()) - began < options.seconds:
        due = began + (code + 1) / options.fps if options.mode != "still" else now + 1
        for event in counter.events(due - now):
            if options.flash and not event.startswith("motion"):
                counter.flash()
            print(f"{event} {time.time() * 1000:.3f}", flush=True)
        if options.mode != "still" and time.time() >= due:
            code += 1
            counter.draw(code)
            if options.log:
                options.log.write(f"{code & 0xFFFF} {time.time() * 1000:.3f}\n")
                options.log.flush()


if __name__ == "__main__":
    try:
        main()
    except (xcffib.ConnectionException, KeyboardInterrupt):
        sys.exit(0)
