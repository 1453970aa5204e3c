"""What a screen costs with one viewer: still, with a blinking caret, in motion. CPU and network of the box.

`python -m bench.still [--seconds 30] [--size 1920x1080]`. The X server and the browser are not the box's.
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
    "caret, 2 Hz": {"mode": "caret", "fps": "2"},
    "motion, 30 fps": {"mode": "motion", "fps": "30"},
}
COLUMNS = (
    Column("box", "box % of a core", 2), Column("streamer", "streamer", 2), Column("fanlightd", "daemon", 2),
    Column("nats", "bus", 2), Column("kbps", "picture kb/s", 1), Column("connections", "connections", 0),
)  # fmt: skip
_PARTS = {"appliance": "fanlightd", "appliance.streamer": "streamer", "nats-server": "nats"}


async def measure(screen: dict[str, str], options: argparse.Namespace, scratch: Path) -> Row:
    """One run; more than one connection is a page that had to begin anew, and no measurement."""
    width, height = map(int, options.size.split("x"))
    async with (
        x_server(width, height) as display,
        counter(display, **screen),
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
        "kbps": browser["received_kbps"],
        "connections": float(connections),
    }


async def main() -> None:
    parser = arguments(__doc__, seconds=30)
    parser.add_argument("--size", default="1920x1080")
    options = parser.parse_args()
    report = Report(f"{options.size}, one viewer", COLUMNS)
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(options.runs):
            for name, screen in SCREENS.items():
                report.add(name, await measure(screen, options, Path(scratch)))
    report.finish(options)


if __name__ == "__main__":
    asyncio.run(main())
