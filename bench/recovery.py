"""Whom a bad viewer harms: one that loses 30 % and one that never reads, among twenty.

`python -m bench.recovery [--seconds 20]`. One run with them, one without, by turns, on a moving screen. The
other 18 are a Chromium, whose latency is from draw to presented, and headless ones, whose frames' lateness is
over the quickest that each of them got. Bad viewers are made in the kernel: a filter that drops at random, a
stopped process.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.processes import thread_seconds
from bench.report import Column, Report, Row, arguments
from bench.systems import Job, fanlight
from bench.viewing import drawn, figures, visit, watch
from bench.watchers import lateness_p95, watchers
from tests.support.box import Box, counter, x_server

GOOD = 18
LOSS = "0.3"
WARM_SECONDS = 5
COLUMNS = (
    Column("p50_ms", "p50 ms"), Column("p95_ms", "p95 ms"), Column("late_p95_ms", "headless late p95"),
    Column("freezes", "freezes", 0), Column("keyframes_per_minute", "keyframes/min"),
    Column("cpu_percent", "streamer % of a core"),
)  # fmt: skip


async def measure(options: argparse.Namespace, scratch: Path, *, bad: bool) -> Row:
    """One run."""
    drawing, log = scratch / "recovery.draw", scratch / "recovery.log"
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        display = await enter(x_server())
        await enter(counter(display, log=drawing, fps="30", mode="motion", seconds="300"))
        link, own = await enter(fanlight(Job(display), scratch))
        await enter(watchers(link, GOOD - 1, "--log", str(log)))
        page = await enter(visit(link))
        if bad:
            await enter(watchers(link, 1, "--loss", LOSS))
            stopped = await enter(watchers(link, 1))
            os.kill(stopped.process.pid, signal.SIGSTOP)
            stack.callback(os.kill, stopped.process.pid, signal.SIGCONT)
        await asyncio.sleep(WARM_SECONDS)
        before, began_ms = await _stats(own), time.time() * 1000
        cpu = thread_seconds(before["pid"])
        frames, browser = await watch(page, options.seconds)
        cpu, seconds = thread_seconds(before["pid"]) - cpu, time.time() - began_ms / 1000
        after = await _stats(own)
    return {
        **figures(frames, drawn(drawing)),
        "late_p95_ms": lateness_p95(log, began_ms),
        "freezes": browser["freezes"],
        "keyframes_per_minute": 60 * (after["keyframes"] - before["keyframes"]) / seconds,
        "cpu_percent": 100 * cpu / seconds,
    }


async def _stats(own: Box) -> Any:
    return (await own.snapshot())["instances"][0]["stats"]


async def main() -> None:
    options = arguments(__doc__, seconds=20).parse_args()
    report = Report(f"the other {GOOD}, 1280x720 at 30 fps", COLUMNS, ratio="p95_ms", base="all good")
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.runs):
            report.add("all good", await measure(options, Path(scratch), bad=False))
            report.add("two bad ones", await measure(options, Path(scratch), bad=True))
    report.finish(options)


if __name__ == "__main__":
    asyncio.run(main())
