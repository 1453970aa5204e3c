"""Input echo: a key pressed in the page until the pixel that answers it is presented, alone and in company.

`python -m bench.echo [--keys 60] [--others 50]`. An X client changes the colour of a square on every key;
nothing else moves. The clock starts at the `keydown` in the page, and stops when the browser presents the
changed frame.
"""

import asyncio
import contextlib
import random
import tempfile
from pathlib import Path

from bench.report import Column, Report, Row, arguments, quantile
from bench.systems import Job, fanlight
from bench.viewing import visit
from bench.watchers import watchers
from tests.support.box import counter, x_server

KEYS, OTHERS = 60, 50
SETTLE_SECONDS = 3
ANSWER_MS = 2000
COLUMNS = (
    Column("p50_ms", "p50 ms"), Column("p95_ms", "p95 ms"), Column("missed", "without an answer", 0)
)  # fmt: skip
# The square of Counter.flash (tests/support/counter.py): left 0, top 48, 96 by 48.
WATCH = """
() => {
  const video = document.querySelector('video');
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let shown = null;
  window.__echo = { pressed: 0, took: [] };
  window.addEventListener('keydown', (event) => { __echo.pressed = event.timeStamp; }, { capture: true });
  const step = (now, meta) => {
    context.drawImage(video, 40, 64, 16, 16, 0, 0, 1, 1);
    const colour = context.getImageData(0, 0, 1, 1).data;
    const changed = shown && Math.max(...[0, 1, 2].map((i) => Math.abs(colour[i] - shown[i]))) > 24;
    if (changed && __echo.pressed) {
      __echo.took.push(meta.presentationTime - __echo.pressed);
      __echo.pressed = 0;
    }
    if (changed || !shown) shown = colour;
    video.requestVideoFrameCallback(step);
  };
  video.requestVideoFrameCallback(step);
}
"""


async def measure(keys: int, others: int, scratch: Path) -> Row:
    """One run with `others` further viewers."""
    rng = random.Random(3)  # noqa: S311
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        display = await enter(x_server())
        await enter(counter(display, mode="still", flash=""))
        link, own = await enter(fanlight(Job(display, fps=60, role="control"), scratch))
        if others:
            watching = await own.cli("share", "desktop", "--role", "view")
            await enter(watchers(watching["url"], others))
        page = await enter(visit(link))
        await page.evaluate(WATCH)
        await page.focus("#screen")
        await page.keyboard.press("a")  # the first frame that the watch sees
        await asyncio.sleep(SETTLE_SECONDS)
        await page.evaluate("__echo.took.length = 0")
        for count in range(1, keys + 1):
            await page.keyboard.press("a")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_MS / 1000):
                    await page.wait_for_function(f"() => __echo.took.length >= {count}")
            await asyncio.sleep(rng.uniform(0.1, 0.3))  # anywhere between two refreshes
        took = await page.evaluate("__echo.took")
    return {
        "p50_ms": quantile(took, 0.5),
        "p95_ms": quantile(took, 0.95),
        "missed": float(keys - len(took)),
    }


async def main() -> None:
    parser = arguments(__doc__, seconds=None)
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--others", type=int, default=OTHERS)
    options = parser.parse_args()
    report = Report(f"{options.keys} keys, 1280x720", COLUMNS, ratio="p50_ms", base="alone")
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.runs):
            report.add("alone", await measure(options.keys, 0, Path(scratch)))
            name = f"with {options.others} others"
            report.add(name, await measure(options.keys, options.others, Path(scratch)))
    report.finish(options)


if __name__ == "__main__":
    asyncio.run(main())
