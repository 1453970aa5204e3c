"""Time from the click on an instance to its first presented frame, what a join costs, and whom it delays.

`python -m bench.join [--joins 20]`. The page is loaded, its list shows the instance, the screen moves, and
another viewer watches: how late its frames are within 300 ms of a join, beside all others. Once the page
joins, whose browser takes most of a core for it; then headless viewers do at the lowest priority, so that
what is left is the box's. Of them also the box's own part: from encoded to handed to the kernel. Then
headless viewers join on a still screen: the streamer's CPU time for one of them.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from playwright.async_api import Page

from bench.processes import main_thread_seconds, thread_seconds
from bench.report import Column, Report, Row, arguments, quantile
from bench.systems import Job, fanlight
from bench.viewing import visit
from bench.watchers import lateness, watchers
from tests.support.box import Box, counter, running, x_server
from tests.support.viewer import stop_decoding, viewer

JOINS = 20
SETTLE_S = 3.0
APART_S = 1.0
STAY_S = 0.5
NEAR_MS = 300.0
COLUMNS = (
    Column("p50_ms", "click to frame p50", 0), Column("p95_ms", "p95", 0),
    Column("cpu_ms", "streamer ms per join"), Column("loop_ms", "of it event loop"),
    Column("late_near_ms", "others late p95, headless joins"), Column("late_far_ms", "otherwise"),
    Column("send_near_ms", "box's part p95, headless joins"), Column("send_far_ms", "otherwise"),
    Column("page_late_near_ms", "others late p95, Chromium joins"), Column("page_late_far_ms", "otherwise"),
)  # fmt: skip
CLICK = """
() => new Promise((done) => {
  const known = __probe.frames.length;
  const clicked = performance.timeOrigin + performance.now();
  const look = () => {
    if (__probe.frames.length > known) done([clicked, __probe.frames[known][2]]);
    else requestAnimationFrame(look);
  };
  document.querySelector('[data-session]').click();
  look();
})
"""


async def clicks(page: Page, joins: int) -> tuple[list[float], list[float]]:
    """When each click was, ms of the wall clock, and how many ms later its first frame was presented."""
    at, took = [], []
    for _ in range(joins):
        await page.evaluate("location.hash = ''")
        await page.wait_for_selector("[data-session]:not([disabled])")
        await asyncio.sleep(APART_S)
        clicked, shown = await page.evaluate(CLICK)
        at.append(clicked)
        took.append(shown - clicked)
    return at, took


async def headless(link: str, joins: int) -> list[float]:
    """When each of so many viewers came, one by one and each at the lowest priority; ms of the wall clock."""
    options = ("--count", str(joins), "--stay", str(STAY_S))
    async with running(
        ["nice", "-n", "19", sys.executable, "-m", "bench.watchers", link, *options]
    ) as process:
        said = [await process.line(r"^joins (\S+)") for _ in range(joins)]
        await process.process.wait()
    return [float(each[1]) for each in said]


async def cost(link: str, own: Box, joins: int) -> Row:
    """CPU time of the streamer for one viewer that joins, on a still screen that another one watches."""
    stop_decoding()
    pid = (await own.snapshot())["instances"][0]["stats"]["pid"]
    clocks = {"cpu_ms": thread_seconds, "loop_ms": main_thread_seconds}

    def spent() -> Row:
        return {name: 1000 * clock(pid) for name, clock in clocks.items()}

    await asyncio.sleep(SETTLE_S)
    before, began = spent(), time.monotonic()
    await asyncio.sleep(SETTLE_S)
    idle, settled = spent(), time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(joins):
            await stack.enter_async_context(viewer(link))
        after, elapsed = spent(), time.monotonic() - settled
    share = elapsed / (settled - began)
    return {name: (after[name] - idle[name] - (idle[name] - before[name]) * share) / joins for name in clocks}


def near_and_far(found: Iterable[Sequence[float]], joined_ms: Sequence[float]) -> tuple[float, float]:
    """95th percentiles of values, each after its time in ms, near the joins and far from them."""
    near: list[float] = []
    far: list[float] = []
    for at, value in found:
        if at >= min(joined_ms) - 1000 * APART_S:
            (near if any(0 <= at - joined <= NEAR_MS for joined in joined_ms) else far).append(value)
    return quantile(near, 0.95), quantile(far, 0.95)


def others(log: Path, joined_ms: Sequence[float]) -> tuple[float, float]:
    """How late another viewer's frames were, near the joins and far from them."""
    seen = lateness(log, min(joined_ms) - 1000 * APART_S).values()
    return near_and_far((frame for frames in seen for frame in frames), joined_ms)


async def measure(joins: int, scratch: Path) -> Row:
    """One run."""
    page_log, log, sent = (scratch / name for name in ("page.log", "join.log", "sent.log"))
    async with x_server() as display, fanlight(Job(display), scratch) as (link, own):
        async with counter(display, fps="30", mode="motion"):
            async with watchers(link, 1, "--wide", "--log", str(page_log)), visit(link) as page:
                clicked, took = await clicks(page, joins)
            async with watchers(link, 1, "--wide", "--log", str(log), "--sent", str(sent)):
                joined = await headless(link, joins)
        async with watchers(link, 1):
            found = await cost(link, own, joins)
    page_near, page_far = others(page_log, clicked)
    near, far = others(log, joined)
    send_near, send_far = near_and_far(map(json.loads, sent.read_text().splitlines()), joined)
    return {
        "p50_ms": quantile(took, 0.5),
        "p95_ms": quantile(took, 0.95),
        **found,
        "late_near_ms": near,
        "late_far_ms": far,
        "send_near_ms": send_near,
        "send_far_ms": send_far,
        "page_late_near_ms": page_near,
        "page_late_far_ms": page_far,
    }


async def main() -> None:
    parser = arguments(__doc__, seconds=None)
    parser.add_argument("--joins", type=int, default=JOINS)
    options = parser.parse_args()
    report = Report(f"{options.joins} joins, 1280x720 at 30 fps", COLUMNS)
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.runs):
            report.add("fanlight", await measure(options.joins, Path(scratch)))
    report.finish(options)


if __name__ == "__main__":
    asyncio.run(main())
