"""Decoded for real: one Chromium among fifty viewers, for a minute, at 8 Mb/s.

`python -m bench.crowd [--others 49] [--seconds 60]`. The others are connected and deaf: the box sends
them everything, and taking it in costs this machine nothing. What counts is that nothing is lost and nothing
freezes.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.processes import thread_seconds
from bench.report import Column, Report, Row, arguments
from bench.systems import Job, fanlight
from bench.viewing import drawn, figures, visit, watch
from bench.watchers import watchers
from tests.support.box import Box, counter, x_server

WARM_SECONDS = 5
COLUMNS = (
    Column("fps", "fps"), Column("lost", "lost", 0), Column("freezes", "freezes", 0),
    Column("p50_ms", "p50 ms"), Column("p95_ms", "p95 ms"), Column("received_kbps", "kb/s", 0),
    Column("cpu_percent", "streamer % of a core"),
)  # fmt: skip


async def measure(others: int, options: argparse.Namespace, scratch: Path) -> Row:
    """One run with so many others."""
    log = scratch / "crowd.draw"
    async with (
        x_server() as display,
        counter(display, log=log, fps="30", mode="noise", seconds="600"),
        fanlight(Job(display, kbps=options.kbps), scratch) as (link, own),
        watchers(link, others, "--deaf"),
        visit(link) as page,
    ):
        await asyncio.sleep(WARM_SECONDS)
        pid = (await _stats(own))["pid"]
        cpu, began = thread_seconds(pid), time.monotonic()
        frames, browser = await watch(page, options.seconds)
        cpu, elapsed = thread_seconds(pid) - cpu, time.monotonic() - began
    kept = {key: browser[key] for key in ("lost", "freezes", "received_kbps")}
    return {**figures(frames, drawn(log)), **kept, "cpu_percent": 100 * cpu / elapsed}


async def _stats(own: Box) -> Any:
    return (await own.snapshot())["instances"][0]["stats"]


async def main() -> None:
    parser = arguments(__doc__, seconds=60)
    parser.add_argument("--others", type=int, default=49)
    parser.add_argument("--kbps", type=int, default=8000)
    options = parser.parse_args()
    report = Report(
        f"one Chromium, 1280x720 at 30 fps, {options.kbps} kb/s", COLUMNS, ratio="p50_ms", base="alone"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.runs):
            report.add("alone", await measure(0, options, Path(scratch)))
            report.add(f"among {options.others + 1}", await measure(options.others, options, Path(scratch)))
    report.finish(options)


if __name__ == "__main__":
    asyncio.run(main())
