"""A page that plays in headless Chromium, and what its frames say: latency, rate, freezes."""

import asyncio
import contextlib
import itertools
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Page
from playwright.async_api import TimeoutError as PlaywrightTimeout

from bench.report import Row, quantile
from tests.support.box import chromium, visitor

FREEZE_MS = 500
_INBOUND = """
(async () => {
  const found = { connections: __probe.peers.length };
  for (const each of (await __probe.peers.at(-1).getStats()).values()) {
    if (each.type === 'inbound-rtp' && each.kind === 'video') Object.assign(found, each);
    if (each.type === 'transport') found.network = each.bytesReceived;
  }
  return found;
})()
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """One presented frame. Times in ms of the wall clock; NaN where the browser does not say."""

    code: int
    presented: float
    received: float
    """Of its last packet."""
    rtp: int
    """RTP timestamp."""
    decode_ms: float


@contextlib.asynccontextmanager
async def visit(url: str, size: tuple[int, int] = (1280, 720)) -> AsyncIterator[Page]:
    """A page that shows its first frame."""
    async with opened(url, size) as page:
        if not await shows(page):
            raise AssertionError(f"{url} shows nothing")
        yield page


async def shows(page: Page) -> bool:
    """Whether it presents a frame within 30 s."""
    try:
        await page.wait_for_function("() => __probe.firstFrame > 0", timeout=30_000)
    except PlaywrightTimeout:
        return False
    return True


@contextlib.asynccontextmanager
async def opened(
    url: str,
    size: tuple[int, int] = (1280, 720),
    prefix: Sequence[str] = (),
    scratch: Path | None = None,
    script: str = "",
) -> AsyncIterator[Page]:
    """A page of a browser of its own, which with a prefix is started by that; `script` runs first in it."""
    async with contextlib.AsyncExitStack() as stack:
        if prefix:
            assert scratch
            launcher = scratch / "chromium"
            launcher.write_text(f'#!/bin/sh\nexec {" ".join(prefix)} /usr/bin/chromium "$@"\n')
            launcher.chmod(0o755)
            browser = await stack.enter_async_context(chromium(launcher))
        else:
            browser = await stack.enter_async_context(chromium())
        viewport = {"width": size[0], "height": size[1]}
        person = await stack.enter_async_context(visitor(browser, viewport=viewport))
        await person.add_init_script(script)
        page = await person.new_page()
        await page.goto(url)
        yield page


async def watch(page: Page, seconds: float) -> tuple[list[Frame], Row]:
    """The frames presented within the next seconds, and what the browser's own statistics say of that time.

    They have nothing to say where the page connected anew in it.
    """
    skip, before = await page.evaluate("__probe.frames.length"), await page.evaluate(_INBOUND)
    began_ms = time.time() * 1000
    await asyncio.sleep(seconds)
    frames, after = await page.evaluate(f"__probe.frames.slice({skip})"), await page.evaluate(_INBOUND)
    seen = [_frame(each) for each in frames]
    times = [began_ms, *(frame.presented for frame in seen), time.time() * 1000]
    frozen = freezes(times)
    return seen, {
        **_differences(before, after),
        "freezes": float(len(frozen)),
        "frozen_s": sum(gap for _, gap in frozen) / 1000,
    }


def drawn(log: Path) -> dict[int, float]:
    """When each code was on the screen, from the counter's log; the newest where codes came again."""
    return {int(code): float(at) for code, at in (line.split() for line in log.read_text().splitlines())}


def latencies(frames: Sequence[Frame], at: Mapping[int, float]) -> list[tuple[Frame, float]]:
    """Each drawn frame's first presentation, with the ms since it was drawn."""
    first: dict[int, Frame] = {}
    for frame in frames:
        if frame.code in at:
            first.setdefault(frame.code, frame)
    return [(frame, frame.presented - at[frame.code]) for frame in first.values()]


def figures(frames: Sequence[Frame], at: Mapping[int, float]) -> Row:
    """Rate and latency of what was watched."""
    found = latencies(frames, at)
    shown = [latency for _, latency in found]
    received = [frame.received - at[frame.code] for frame, _ in found if frame.received]
    return {
        "frames": float(len(found)),
        "fps": rate(frames),
        "p50_ms": quantile(shown, 0.5),
        "p95_ms": quantile(shown, 0.95),
        "received_p50_ms": quantile(received, 0.5),
        "decode_p50_ms": quantile((frame.decode_ms for frame, _ in found), 0.5),
    }


def rate(frames: Sequence[Frame]) -> float:
    """Frames a second."""
    if len(frames) < 2:
        return 0.0
    return 1000 * (len(frames) - 1) / (frames[-1].presented - frames[0].presented)


def freezes(times: Sequence[float], longest: float = FREEZE_MS) -> list[tuple[float, float]]:
    """When they began and how long they were, of gaps longer than `longest` ms."""
    gaps = ((before, after - before) for before, after in itertools.pairwise(times))
    return [(began, gap) for began, gap in gaps if gap > longest]


def _frame(values: Sequence[float]) -> Frame:
    code, _, presented, received, rtp, decode_ms = values
    return Frame(int(code), presented, received, int(rtp), decode_ms)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Row:
    same = before.get("id") == after.get("id") and before["connections"] == after["connections"]

    def grown(key: str) -> float:
        return float(after[key]) - float(before[key]) if same and key in before else math.nan

    emitted, seconds = grown("jitterBufferEmittedCount"), grown("timestamp") / 1000
    return {
        "network_kbps": grown("network") * 0.008 / (seconds or math.nan),
        "reconnects": float(after["connections"] - before["connections"]),
        "buffer_ms": 1000 * grown("jitterBufferDelay") / (emitted or math.nan),
        "lost": grown("packetsLost"),
        "decoded_fps": grown("framesDecoded") / (seconds or math.nan),
        "nacks": grown("nackCount"),
        "plis": grown("pliCount"),
        "repair": grown("fecPacketsReceived"),
        "retransmitted": grown("retransmittedPacketsReceived"),
        "decoded": grown("framesDecoded"),
        "received_kbps": grown("bytesReceived") * 0.008 / (seconds or math.nan),
    }
