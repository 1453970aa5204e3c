"""What a 1080p screen with one viewer costs: CPU of every process of the box, and the network.

`python -m bench.still [--seconds 30] [--screens still,caret,motion]`: nothing moves; a caret changes twice a
second; an editor scrolls at 30 frames a second. The X server and the browser are not the box's.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from bench.processes import cpu_seconds, family
from bench.report import Column, Report, Row, arguments
from bench.systems import Job, fanlight
from bench.viewing import visit, watch
from tests.support.box import counter, x_server

SETTLE_SECONDS = 8
SCREENS = {
    "still": {"mode": "still"},
    "caret": {"mode": "caret", "fps": "2"},
    "motion": {"mode": "motion", "fps": "30"},
}
COLUMNS = (
    Column("box", "box % of a core", 2), Column("streamer", "streamer", 2), Column("fanlightd", "daemon", 2),
    Column("nats", "bus", 2), Column("kbps", "network kb/s", 1), Column("connections", "connections", 0),
)  # fmt: skip
_PARTS = {"appliance": "fanlightd", "appliance.streamer": "streamer", "nats-server": "nats"}


async def measure(screen: dict[str, str], options: argparse.Namespace, scratch: Path) -> Row:
    """One run; more than one connection is a page that had to begin anew, and no measurement."""
    width, height = map(int, options.size.split("x"))
    async with (
        x_server(width, height) as display,
        counter(display, log=None, **screen),
        fanlight(Job(display, width, height, 60, 8000), scratch) as (url, box),
        visit(url, (width, height)) as page,
    ):
        await asyncio.sleep(SETTLE_SECONDS)
        members = family(box.pid)
        before, began = {pid: cpu_seconds(pid) for pid in members}, time.monotonic()
        _, browser = await watch(page, options.seconds)
        elapsed = time.monotonic() - began
        used = {pid: 100 * (cpu_seconds(pid) - before[pid]) / elapsed for pid in members}
        connections = await page.evaluate("__probe.peers.length")
    parts: Row = {}
    for pid, percent in used.items():
        part = _PARTS.get(members[pid], "other")
        parts[part] = parts.get(part, 0.0) + percent
    return {
        **parts,
        "box": sum(used.values()),
        "kbps": browser["network_kbps"],
        "connections": float(connections),
    }


async def main() -> None:
    parser = arguments(__doc__, seconds=30)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--screens", default=",".join(SCREENS))
    options = parser.parse_args()
    report = Report(f"{options.size}, one viewer", COLUMNS)
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.runs):
            for name in options.screens.split(","):
                report.add(name, await measure(SCREENS[name], options, Path(scratch)))
    report.finish(options)


if __name__ == "__main__":
    asyncio.run(main())
