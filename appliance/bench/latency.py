"""From a change on the screen to its encoded frame, and how many of them a second: on a screen of our own."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xcffib.xproto as x

from appliance.errors import UnavailableError
from appliance.instances.screens import virtual_screen
from appliance.streamer.capture.x11 import X11Source
from appliance.streamer.frames import Codec, EncodedFrame
from hw.x11_client import connected

_KBPS, _FPS = 8000, 240
_PAUSE_S = 0.25  # until the last change has been sharpened
_ANSWER_SECONDS = 5.0
_SQUARE = 128


@dataclass(frozen=True, slots=True)
class CaptureLatency:
    """Ms from drawn to encoded, of changes one by one; frames a second, of changes without a pause."""

    size: str
    p50_ms: float
    p95_ms: float
    fps: float


async def measure(size: tuple[int, int], changes: int) -> CaptureLatency:
    """So many changes each way, in H.264 by software. Raises UnavailableError."""
    width, height = size
    frames: asyncio.Queue[EncodedFrame] = asyncio.Queue()
    async with _screen(width, height) as (display, authority, draw):
        source = X11Source(display, xauthority=authority, codec=Codec.H264, fps=_FPS, kbps=_KBPS)
        async with _running(source, frames):
            took = sorted([await _change(draw, number, frames, _PAUSE_S) for number in range(changes)])
            began = time.monotonic()
            for number in range(changes):
                await _change(draw, changes + number, frames)
            elapsed = time.monotonic() - began
    p50, p95 = took[len(took) // 2], took[len(took) * 95 // 100]
    return CaptureLatency(f"{width}x{height}", p50, p95, changes / elapsed)


async def _change(
    draw: Callable[[int], int], number: int, frames: asyncio.Queue[EncodedFrame], pause_s: float = 0
) -> float:
    """Ms from a change to the frame that shows it."""
    await asyncio.sleep(pause_s)
    asked_ns = time.monotonic_ns()
    drawn_ns = await asyncio.to_thread(draw, number)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            # It may be captured before who draws is told that it is drawn.
            while (frame := await frames.get()).captured_ns < asked_ns:
                pass
    except TimeoutError:
        raise UnavailableError(f"capture: no frame within {_ANSWER_SECONDS:.0f} s of a change") from None
    return (frame.encoded_ns - drawn_ns) / 1e6


@contextlib.asynccontextmanager
async def _screen(width: int, height: int) -> AsyncIterator[tuple[str, str, Callable[[int], int]]]:
    """A screen with nothing on it: its display, its authority, and what draws on it."""
    with tempfile.TemporaryDirectory() as directory:
        async with virtual_screen(
            width=width, height=height, programs=(), env={}, directory=Path(directory), essential=False
        ) as screen:
            with connected(screen.display, screen.xauthority) as (server, root):
                yield screen.display, screen.xauthority, _painter(server, root, width, height)


def _painter(server: Any, root: int, width: int, height: int) -> Callable[[int], int]:
    """What draws change `number`, and returns when the X server had done so, in ns of time.monotonic_ns()."""
    context = server.generate_id()
    server.core.CreateGC(context, root, x.GC.Foreground, [0])

    def draw(number: int) -> int:
        left, top = number * 37 % (width - _SQUARE), number * 23 % (height - _SQUARE)
        server.core.ChangeGC(context, x.GC.Foreground, [number * 2654435761 & 0xFFFFFF])
        square = x.RECTANGLE.synthetic(left, top, _SQUARE, _SQUARE)
        server.core.PolyFillRectangle(root, context, 1, [square])
        server.core.GetInputFocus().reply()
        return time.monotonic_ns()

    return draw


@contextlib.asynccontextmanager
async def _running(source: X11Source, frames: asyncio.Queue[EncodedFrame]) -> AsyncIterator[None]:
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(source.run(frames.put_nowait, started))
        await started.wait()
        try:
            yield
        finally:
            running.cancel()
