"""What a 1080p screen with one viewer costs: CPU of every process of the box, and the network.

`python -m bench.still [--seconds 30] [--mode still|caret|motion]`: nothing moves; a caret changes twice a
second; an editor scrolls at 30 frames a second. The X server and the browser are not the box's.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from bench.processes import cpu_seconds, family
from bench.systems import Job, fanlight
from tests.support.box import chromium, counter, visitor, x_server

SETTLE_SECONDS = 8
_CHANGES = {"still": "1", "caret": "2", "motion": "30"}
"""A second."""
RECEIVED = """
(async () => {
  let bytes = 0;
  for (const pc of __probe.peers)
    (await pc.getStats()).forEach((each) => { if (each.type === 'transport') bytes += each.bytesReceived; });
  return bytes;
})()
"""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--mode", choices=_CHANGES, default="still")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    async with (
        x_server(width, height) as display,
        counter(display, mode=options.mode, fps=_CHANGES[options.mode]),
    ):
        with tempfile.TemporaryDirectory() as scratch:
            job = Job(display, width, height, 60, 8000)
            async with (
                fanlight(job, Path(scratch)) as (url, box),
                chromium() as browser,
                visitor(browser, viewport={"width": width, "height": height}) as person,
            ):
                page = await person.new_page()
                await page.goto(url)
                await page.wait_for_function("() => __probe.firstFrame > 0")
                await asyncio.sleep(SETTLE_SECONDS)
                members = family(box.pid)
                before = {pid: cpu_seconds(pid) for pid in members}
                bytes_before, began = await page.evaluate(RECEIVED), time.monotonic()
                await asyncio.sleep(options.seconds)
                elapsed = time.monotonic() - began
                used = {pid: 100 * (cpu_seconds(pid) - before[pid]) / elapsed for pid in members}
                connections = await page.evaluate("__probe.peers.length")
                kbps = (await page.evaluate(RECEIVED) - bytes_before) * 8 / elapsed / 1000
    print(f"{options.mode} {options.size}, one viewer, {elapsed:.0f} s: % of a core")
    for pid, percent in used.items():
        print(f"  {members[pid]:28}{percent:6.2f}")
    if connections != 1:
        print(f"  the page connected {connections} times: the network figure means nothing")
    print(f"  {'the box':28}{sum(used.values()):6.2f}\n  network {kbps:.1f} kb/s")


if __name__ == "__main__":
    asyncio.run(main())
