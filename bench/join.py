"""Time from the click on an instance to its first presented frame, what a join costs, and whom it delays.

`python -m bench.join [--joins 20]`. The page is loaded, its list shows the instance, the screen moves, and
another viewer watches: how late its frames are within 300 ms of a click, beside all others. Then headless
viewers join on a still screen: the streamer's CPU time for one of them.
"""

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path

from playwright.async_api import Page

from bench.processes import thread_seconds
from bench.report import Column, Report, Row, arguments, quantile
from bench.systems import Job, fanlight
from bench.viewing import visit
from bench.watchers import lateness, watchers
from tests.support.box import Box, counter, x_server
from tests.support.viewer import stop_decoding, viewer

JOINS = 20
SETTLE_S = 3.0
APART_S = 1.0
NEAR_MS = 300.0
COLUMNS = (
    Column("p50_ms", "click to frame p50", 0), Column("p95_ms", "p95", 0),
    Column("cpu_ms", "streamer ms per join"), Column("late_near_ms", "others late p95, at joins"),
    Column("late_far_ms", "otherwise"),
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


async def cost_ms(link: str, own: Box, joins: int) -> float:
    """CPU time of the streamer for one viewer that joins, on a still screen that another one watches."""
    stop_decoding()
    pid = (await own.snapshot())["instances"][0]["stats"]["pid"]
    await asyncio.sleep(SETTLE_S)
    idle, began = thread_seconds(pid), time.monotonic()
    await asyncio.sleep(SETTLE_S)
    idle = (thread_seconds(pid) - idle) / (time.monotonic() - began)
    used, began = thread_seconds(pid), time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(joins):
            await stack.enter_async_context(viewer(link))
        used, elapsed = thread_seconds(pid) - used, time.monotonic() - began
    return 1000 * (used - idle * elapsed) / joins


def others(log: Path, clicked_ms: list[float]) -> Row:
    """How late another viewer's frames were, near the clicks and far from them."""
    near, far = [], []
    for frames in lateness(log, min(clicked_ms) - 1000 * APART_S).values():
        for at, late in frames:
            (near if any(0 <= at - click <= NEAR_MS for click in clicked_ms) else far).append(late)
    return {"late_near_ms": quantile(near, 0.95), "late_far_ms": quantile(far, 0.95)}


async def measure(joins: int, scratch: Path) -> Row:
    """One run."""
    log = scratch / "join.log"
    async with x_server() as display, fanlight(Job(display), scratch) as (link, own):
        async with (
            counter(display, fps="30", mode="motion"),
            watchers(link, 1, "--log", str(log)),
            visit(link) as page,
        ):
            clicked, took = await clicks(page, joins)
        async with watchers(link, 1):
            cost = await cost_ms(link, own, joins)
    return {
        "p50_ms": quantile(took, 0.5),
        "p95_ms": quantile(took, 0.95),
        "cpu_ms": cost,
        **others(log, clicked),
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
