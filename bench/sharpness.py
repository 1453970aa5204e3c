"""How much of what was drawn is in the picture that is seen: PSNR of luma, in dB.

What the program had drawn is drawn once more on a screen of its own, as far as the frames that were seen.
"""

import base64
import io
import math
import statistics
import sys
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Page

from tests.support.box import running, x_server

PICTURES = 6
_POINTER = 40
"""Pixels around the middle of the screen, where X shows a pointer that nothing moves."""
_LUMA = np.array((0.299, 0.587, 0.114))

Picture = NDArray[np.float64]


async def seen(page: Page) -> dict[int, Picture]:
    """The luma of some of the next pictures, by the number of their frame."""
    found = {}
    for _ in range(PICTURES):
        code, url = await page.evaluate("__probe.picture()")
        found[int(code)] = _luma(_decoded(base64.b64decode(url.partition(",")[2])))
    return found


async def sharpness(pictures: dict[int, Picture], mode: str, scratch: Path) -> float:
    """Median over the pictures."""
    height, width = next(iter(pictures.values())).shape
    kept = scratch / "drawn"
    kept.mkdir(exist_ok=True)
    codes = ",".join(map(str, pictures))
    program = (sys.executable, "-m", "tests.support.counter", "--mode", mode)
    async with (
        x_server(width, height) as display,
        running((*program, "--pictures", kept, "--codes", codes), env={"DISPLAY": display}) as drawing,
    ):
        await drawing.line("drawn")
    return statistics.median(psnr(picture, _drawn(kept / str(code))) for code, picture in pictures.items())


def psnr(seen: Picture, drawn: Picture) -> float:
    """Without what the pointer hides."""
    error = np.square(seen - drawn.reshape(seen.shape))
    top, left = (size // 2 - _POINTER // 2 for size in seen.shape)
    error[top : top + _POINTER, left : left + _POINTER] = 0
    return 10 * math.log10(255**2 / max(1e-9, float(error.mean())))


def _decoded(png: bytes) -> NDArray[np.uint8]:
    """Red, green, blue."""
    with av.open(io.BytesIO(png), "r") as file:
        return np.asarray(next(file.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


def _drawn(file: Path) -> Picture:
    pixels = np.frombuffer(file.read_bytes(), np.uint8)
    return _luma(pixels.reshape(-1, 4)[:, 2::-1])


def _luma(pixels: NDArray[np.uint8]) -> Picture:
    return np.asarray(pixels @ _LUMA)
